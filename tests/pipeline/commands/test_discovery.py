"""`irvis kinds`, `schema`, `completion` and `--version`."""

import json
import subprocess
from importlib.metadata import version

import jsonschema
import pytest
import yaml

from common.errors import ConfigError
from pipeline import cli
from pipeline.commands.schema import schema
from pipeline.config.components import FOLDERS, kinds
from pipeline.config.described import PARTS, SECTIONS, meaning, settings, type_text
from pipeline.config.yaml_file import SHIPPED


def typed(capsys, *arguments):
    """Output of a command line."""
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def test_every_kind_is_listed_with_what_it_is(capsys):
    out = typed(capsys, "kinds")
    for part in FOLDERS:
        for kind in kinds(part):
            assert kind in out
            assert meaning(part, kind)
    for section in SECTIONS:
        assert f"irvis kinds {section}" in out


def test_the_kinds_of_a_part_are_listed_alone(capsys):
    out = typed(capsys, "kinds", "detector")
    assert "yolov5" in out
    assert "laplacian" not in out


def test_the_settings_of_a_kind_have_type_default_and_meaning(capsys):
    out = typed(capsys, "kinds", "arms", "laplacian")
    (row,) = [line for line in out.splitlines() if "levels" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:3] == ["levels", "integer [1, 12]", "4"]
    assert cells[3].startswith("detail levels")
    assert "It has no settings." in typed(capsys, "kinds", "sinks", "results")


def test_own_modules_and_sections_are_described(capsys):
    assert [s.name for s in settings("detector", "tests.helpers.toys")][:2] == [
        "conf",
        "image_size",
    ]
    (device,) = [each for each in settings("compute") if each.name == "device"]
    assert (device.type, device.default) == ("text", '"auto"')
    assert device.meaning
    required = [s.name for s in settings("source", "video") if s.default == "required"]
    assert required == ["ir", "vis"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["armz"], "no part 'armz'; did you mean 'arms'"),
        (["arms", "averag"], "did you mean 'average'"),
        (["compute", "x"], "compute has no kinds"),
        (["video"], "video is a kind and no part: irvis kinds source video or irvis kinds sinks"),
    ],
)
def test_what_there_isn_t_is_refused(arguments, what, capsys):
    assert cli.main(["kinds", *arguments]) == 2
    assert what in capsys.readouterr().err


def test_a_file_of_the_working_folder_is_suggested(here, capsys):
    (here / "own_fuser.py").write_text("")
    assert cli.main(["kinds", "arms", "own_fusr"]) == 2
    assert "did you mean 'own_fuser'? choose from average" in capsys.readouterr().err


def test_a_part_with_kinds_has_no_settings_of_its_own():
    with pytest.raises(ConfigError, match="arms has kinds; choose from average"):
        settings("arms")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": "number", "minimum": 0}, "number ≥ 0"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number (0, 1]"),
        ({"type": "number", "exclusiveMaximum": 2}, "number < 2"),
        ({"enum": ["a", 1]}, "a | 1"),
        ({"const": True}, "true"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, "[integer, true | false]"),
        ({"anyOf": [{"$ref": "#/x/Own"}, {"type": "null"}]}, "{a, b} | null"),
        ({"type": "object"}, "map"),
        ({}, "any"),
    ],
)
def test_types_in_words(given, text):
    assert type_text(given, {"Own": {"type": "object", "properties": {"a": {}, "b": {}}}}) == text


@pytest.fixture(scope="module")
def validator():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_are_valid_and_name_the_schema(path, validator):
    assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []
    command, modeline = path.read_text().splitlines()[:2]
    assert command.startswith(("# python run_pipeline.py", "# irvis", "# make demo"))
    assert modeline == "# yaml-language-server: $schema=irvis.schema.json"


@pytest.mark.parametrize(
    "wrong",
    [
        {"arms": {"fused": {"kind": "laplacian", "level": 3}}},
        {"arms": {"fused": {"kind": "laplacan"}}},
        {"arms": {"fused": {"kind": "laplacian", "levels": "many"}}},
        {"detector": {"kind": "yolov5", "weights": "a", "conf": 2}},
        {"source": {"kind": "video", "ir": "a.mp4"}},
        {"computer": {"batch": 4}},
        {"compute": {"batch": 0}},
    ],
)
def test_wrong_settings_are_not_valid(wrong, validator):
    right = {
        "source": {"kind": "msrs", "root": "x"},
        "arms": {"fused": {"kind": "laplacian", "levels": 3}, "own": {"kind": "my.own", "x": 1}},
        "detector": None,
    }
    assert validator.is_valid(right)
    assert not validator.is_valid(right | wrong)


def test_a_training_is_checked_as_such(validator):
    training = yaml.safe_load((SHIPPED / "train_irvis.yaml").read_text())
    training["data"]["sources"]["flir"]["sise"] = 3
    assert not validator.is_valid(training)


def test_the_shipped_schema_has_the_settings_of_today():
    """Not by its bytes: how pydantic words a type differs between its versions."""

    def names(made):
        return {name: sorted(part.get("properties", {})) for name, part in made["$defs"].items()}

    shipped = json.loads((SHIPPED / "irvis.schema.json").read_text())
    hint = "run: irvis schema -o configs/irvis.schema.json"
    assert names(shipped) == names(schema()), hint


def test_the_schema_is_written_where_asked(here, capsys):
    assert typed(capsys, "schema", "-o", "s.json") == ""
    assert json.loads((here / "s.json").read_text()) == json.loads(typed(capsys, "schema"))


@pytest.mark.slow
def test_bash_completes_commands_and_options(here, capsys):
    script = typed(capsys, "completion", "bash")
    (here / "irvis.bash").write_text(script)
    line = 'COMP_WORDS=(irvis cal); COMP_CWORD=1; _shtab_irvis; echo "${COMPREPLY[@]}"'
    program = f"source irvis.bash; {line}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["calibrate"]
    for shell in ("zsh", "fish", "tcsh"):
        assert "calibrate" in typed(capsys, "completion", shell)


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"irvis {version('irvis')}\n"


def test_the_help_of_run_names_every_section(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    out = capsys.readouterr().out
    for part in PARTS:
        assert f"\n  {part} " in out


def test_an_own_kind_is_described_by_what_its_file_says(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    config = "from pydantic import BaseModel\nclass Config(BaseModel):\n    {}\n    x: int = 1\n"
    build = "def build(config):\n    return None\n"
    for name, first, doc in (
        ("own_a", '"""From its file."""\n', '"""Not this."""'),
        ("own_b", "", '"""From its settings.\n\n    More.\n    """'),
        ("own_c", "", "pass"),
    ):
        (here / f"{name}.py").write_text(first + config.format(doc) + build)
    found = [meaning("arms", name) for name in ("own_a", "own_b", "own_c")]
    assert found == ["From its file", "From its settings", ""]

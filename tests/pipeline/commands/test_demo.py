"""`irvis demo`: what each scene changes in the default configuration; nothing is run."""

import pytest

from common.errors import DataError
from pipeline import cli
from pipeline.commands.demo import SCENES, overrides_of
from pipeline.config import config
from pipeline.config.config import DEFAULT

WANTED = {
    "afternoon": ("afternoon_to_night", "clear", "normal"),
    "heat": ("afternoon", "clear", "normal"),
    "day": ("day", "clear", "normal"),
    "dusk": ("dusk_to_night", "clear", "normal"),
    "night": ("night", "clear", "normal"),
    "fog": ("day", "fog", "normal"),
    "rain": ("dusk", "rain", "normal"),
    "crowd": ("night", "clear", "dense"),
}


@pytest.fixture
def typed(monkeypatch, capsys):
    """The configuration that a command line would run."""
    runs = []

    def run(checked, on_progress, on_workers):
        runs.append(checked)
        raise DataError("not run")

    monkeypatch.setattr("pipeline.engine.runner.run", run)

    def type_(*arguments):
        runs.clear()
        assert cli.main(["demo", *arguments]) == 2
        assert capsys.readouterr().err == "irvis: not run\n"
        return runs[0]

    return type_


def test_every_scene_is_known_here():
    assert set(SCENES) == set(WANTED)


@pytest.mark.parametrize("scene", list(WANTED))
def test_a_scene_changes_the_drive_and_the_name_alone(scene):
    plain = config.load(DEFAULT).dump()
    checked = config.load(DEFAULT, overrides_of(scene))
    source = checked.source.config
    assert (source.time, source.weather, source.traffic) == WANTED[scene]
    assert checked.run.name == ("demo" if scene == "afternoon" else f"demo-{scene}")
    for part, value in checked.dump().items():
        if part not in ("run", "source"):
            assert value == plain[part]
    mine = checked.source.dump()
    changed = {key for key in mine if mine[key] != plain["source"].get(key)}
    assert changed <= {"time", "weather", "traffic"}


@pytest.mark.parametrize("scene", list(WANTED))
def test_the_command_line_takes_every_scene(typed, scene):
    assert typed("--scene", scene).dump() == config.load(DEFAULT, overrides_of(scene)).dump()


def test_without_a_scene_it_is_the_default_configuration(typed):
    assert typed().dump() == config.load(DEFAULT).dump()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scene", "fog", "source.time=night", "run.name=mine", "source.frames=60"),
        ("source.time=night", "run.name=mine", "source.frames=60", "--scene", "fog"),
        ("source.time=night", "--scene=fog", "run.name=mine", "source.frames=60"),
    ],
)
def test_overrides_win_over_the_scene(typed, arguments):
    checked = typed(*arguments)
    source = checked.source.config
    assert (source.time, source.weather, source.frames) == ("night", "fog", 60)
    assert checked.run.name == "mine"


def test_an_unknown_scene_names_the_choices(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["demo", "--scene", "snow"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "'snow'" in said
    for scene in SCENES:
        assert scene in said


def test_a_scene_is_no_positional(capsys):
    assert cli.main(["demo", "fog"]) == 2
    said = capsys.readouterr().err
    assert said == "irvis: 'fog' is not an override; write dotted.key=value\n"

import csv
import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from common.errors import ConfigError, DataError
from pipeline import cli
from pipeline.commands.ablate import print_report
from pipeline.config.yaml_file import SHIPPED
from tests.helpers import toys
from tests.helpers.recipes import MAMBA
from tests.helpers.stand import files
from training import ablation, ablation_config
from training.ablation import ablate
from training.losses import PRESETS

VARIANTS = {
    "full": {},
    "no_cmfm": {"network.cmfm": False},
    "no_text": {"loss": {"weights": [100, 0, 1]}},
}

MAP_TITLE = "mAP@.5:.95 with its 95% interval"


@contextmanager
def quiet(title):
    yield lambda done, total: None


def killed_in(part, step):
    """A progress that breaks off after a step of a training, or of the scored run."""

    @contextmanager
    def progress(title):
        def show(done, total):
            if title.startswith(part) and done == step:
                raise KeyboardInterrupt

        yield show

    return progress


def settings():
    source = {"kind": "msrs", "root": "pairs"}
    return {
        "base": "base.yaml",
        "train": {"schedule": {"steps": 2, "warmup": 1}, "run.save_every": 1},
        "variants": dict(VARIANTS),
        "against": ["full", "average"],
        "scoring": {
            "source": source,
            "arms": {"average": {"kind": "average"}},
            "detector": {"kind": "tests.helpers.toys"},
            "evaluation": {"quality": True},
            "compute": {"device": "cpu", "batch": 1},
        },
    }


def base():
    return {
        "network": {**MAMBA, "head": "gate"},
        "data": {
            "cache": "cache",
            "crop": 32,
            "sources": {"pairs": {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vi"}},
        },
        "schedule": {"steps": 90, "learning_rate": 2e-3},
        "compute": {"device": "cpu", "batch": 2, "dtype": "float32"},
    }


def write(name, content):
    Path(name).write_text(yaml.safe_dump(content))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with labelled pairs, and the configurations of an ablation of them."""
    monkeypatch.chdir(tmp_path)
    toys.write_pairs(tmp_path / "pairs", 4)
    write("base.yaml", base())
    write("ablate.yaml", settings())
    return tmp_path


def load(*overrides):
    return ablation_config.load(Path("ablate.yaml"), overrides)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished ablation, which tests only read."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole")
        patch.chdir(folder)
        toys.write_pairs(folder / "pairs", 4)
        write("base.yaml", base())
        write("ablate.yaml", settings())
        ablate(load(), quiet)
    return folder / "runs" / "ablate"


def read(folder):
    with (folder / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return json.loads((folder / "ablation.json").read_text()), rows


def test_variants_are_trainings_and_arms_of_one_run(whole):
    assert sorted(path.name for path in whole.iterdir()) == [
        "ablation.csv", "ablation.json", "full", "no_cmfm", "no_text", "scored",
    ]  # fmt: skip
    trained = yaml.safe_load((whole / "no_text" / "config.yaml").read_text())
    assert trained["loss"]["weights"] == [100, 0, 1]
    assert trained["loss"]["paper"] == "journal-ir-vis"
    assert (trained["schedule"]["steps"], trained["schedule"]["learning_rate"]) == (2, 2e-3)
    results, rows = read(whole)
    scored = json.loads((whole / "scored" / "results.json").read_text())
    assert list(results["arms"]) == list(scored["arms"]) == [*VARIANTS, "average"]
    assert results["arms"]["no_cmfm"]["changes"] == {"network.cmfm": False}
    assert "changes" not in results["arms"]["average"]
    weights = {results["arms"][name]["weights_sha256"] for name in VARIANTS}
    assert len(weights) == 3
    assert (results["pairs"], results["objects"]) == (4, 4)
    assert len(rows) == 4 * (4 + 14)


def test_the_numbers_are_those_of_the_scored_run(whole):
    results, rows = read(whole)
    scored = json.loads((whole / "scored" / "results.json").read_text())
    for arm, part in scored["arms"].items():
        ours = results["arms"][arm]["scores"]
        for key in ("precision", "recall", "map50", "map50_95"):
            assert ours[key]["value"] == part["detection"]["yolo"][key]
            assert ours[key]["ci95"] == part["detection"]["ci95"][key]
            for other in {"full", "average"} - {arm}:
                assert ours[key]["less"][other] == scored["comparisons"][arm][other][key]
        for key, value in part["quality"].items():
            mean = ours[key]["value"]  # None: the images are too small for the metric
            assert mean == (None if value is None else pytest.approx(value, rel=1e-12))
    row = next(r for r in rows if (r["arm"], r["statistic"]) == ("no_text", "scd"))
    entry = results["arms"]["no_text"]["scores"]["scd"]
    assert float(row["value"]) == entry["value"]
    assert float(row["less_average_high"]) == entry["less"]["average"]["ci95"][1]
    assert row["less_full_verdict"] == entry["less"]["full"]["verdict"]
    assert "full" not in results["arms"]["full"]["scores"]["scd"]["less"]


def test_the_printed_tables_have_the_numbers(whole, capsys):
    results, _ = read(whole)
    print_report(ablation.Ablation(whole, results))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    score = results["arms"]["no_text"]["scores"]["map50_95"]
    entry = score["less"]["average"]
    row = next(line for line in lines[lines.index(MAP_TITLE) :] if "no_text" in line)
    assert f"{score['value']:.3f} {score['ci95'][0]:.3f}…" in row
    assert f"{entry['difference']:+.3f} {entry['ci95'][0]:+.3f}…" in row
    assert row.rstrip("│ ").endswith(entry["verdict"])
    assert any("loss.weights=[100, 0, 1]" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "step"), [("2/3", 1), ("scoring", 2)], ids=["second", "scoring"])
def test_a_killed_ablation_goes_on_to_the_same_table(work, whole, part, step, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        ablate(load(), killed_in(part, step))
    begun = []
    train = ablation.loop.train
    monkeypatch.setattr(
        ablation.loop,
        "train",
        lambda config, show: begun.append(config.run.name) or train(config, show),
    )
    outcome = ablate(load("run.resume=true"), quiet)
    finished = {"2/3": 1, "scoring": 3}[part]
    assert begun == list(VARIANTS)[finished:]  # finished variants are not trained again
    assert outcome.folder.resolve() == work / "runs" / "ablate"
    for name in ("ablation.json", "ablation.csv", "full/weights.safetensors"):
        assert (outcome.folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_resume_of_what_is_finished_changes_nothing(work):
    folder = ablate(load("variants.no_text=null"), quiet).folder
    before = files(folder)
    ablate(load("variants.no_text=null", "run.resume=true"), quiet)
    assert files(folder) == before
    with pytest.raises(ConfigError, match=r"was begun with another schedule\.steps"):
        ablate(load("variants.no_text=null", "run.resume=true", "train.schedule.steps=3"), quiet)
    with pytest.raises(ConfigError, match="has no_cmfm too; repeat all"):
        ablate(load("variants.no_cmfm=null", "run.resume=true"), quiet)
    weights = folder / "full" / "weights.safetensors"
    weights.write_bytes((folder / "no_cmfm" / "weights.safetensors").read_bytes())
    with pytest.raises(ConfigError, match=r"full/weights\.safetensors has changed since"):
        ablate(load("variants.no_text=null", "run.resume=true"), quiet)


def test_without_detector_the_images_are_compared(work, capsys):
    arguments = ["scoring.detector=null", "variants.no_text=null", "run.dir=out"]
    assert cli.main(["ablate", "ablate.yaml", *arguments]) == 0
    results, rows = read(work / "out")
    assert len(rows) == 3 * 14
    shown = capsys.readouterr().out
    assert "mAP" not in shown
    value = results["arms"]["no_cmfm"]["scores"]["vif"]["value"]
    assert f"{value:.3f}" in shown
    assert "network.cmfm=false" in shown
    assert "4 pairs, 4 labelled objects" in shown


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("variants.x={network.cmf: false}", r"variants\.x: unknown key network\.cmf; did you mean"),
        ("variants.x={network.fuse: plain}", r"variants\.x: network\.fuse: .*'dffm' or 'dvss'"),
        ("variants.x={run.name: y}", r"variants\.x: run\.name: belongs to the whole ablation"),
        ("variants.x=3", r"variants\.x: "),
        ("variants.average={}", r"variants\.average: this name is taken"),
        ("variants.scored={}", r"variants\.scored: this name is taken"),
        ("variants.a/b={}", r"variants called\.name: .*'a/b'"),
        ("variants=null", "variants"),
        ("variants={}", "variants: there are none; add one"),
        ("train.schedule.stepz=3", r"base with train: unknown key schedule\.stepz"),
        ("base=nowhere", "base: no configuration file nowhere"),
        ("against=[ful]", r"against: there is no 'ful'; did you mean 'full'"),
        ("scoring.sorce=3", "scoring: unknown key sorce"),
        ("scoring.run={name: x}", r"scoring\.run: belongs to the whole ablation"),
        ("scoring.sinks={}", r"scoring\.sinks: none writes the scores"),
        ("scoring.source.root=nowhere", "scoring: .*nowhere is no folder"),
        ("scoring.arms.tiny={kind: gate_unet, weights: none.safetensors}", "scoring: .*none"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(work, capsys, override, message):
    assert cli.main(["ablate", "ablate.yaml", override]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1

    assert re.search(message, shown), shown
    assert not (work / "runs").exists()


def test_what_cannot_be_trained_names_its_variant_and_leaves_no_folder(work):
    with pytest.raises(DataError, match=r"variants\.full: .*nowhere"):
        ablate(load("train.data.sources.pairs.ir=nowhere"), quiet)
    assert list((work / "runs").iterdir()) == []


def test_there_must_be_something_to_score(work):
    overrides = ("scoring.detector=null", "scoring.evaluation.quality=false")
    with pytest.raises(ConfigError, match="without labels and detector there are no scores"):
        ablate(load(*overrides), quiet)


TABLE_11 = (
    "100_20_1 1_10_10 20_1_10 20_20_10 1_10_100 1_1_10 10_1_10 100_1_1 10_1_20 10_1_100 20_10_10"
)


def test_the_shipped_ablations_are_the_papers_tables():
    config = ablation_config.load(SHIPPED / "ablate.yaml")
    changed = {name: dict(variant.changes) for name, variant in config.variants.items()}
    assert list(changed) == [
        "full", "seed1", "seed2", "no_ldc", "no_eca", "evss", "transformer", "dffm_to_dvss",
        "no_dfem", "no_cmfm", "no_ssim", "no_int", "no_text",
    ]  # fmt: skip
    assert all(len(changes) == 1 for name, changes in changed.items() if name != "full")
    losses = {n: v.config.loss for n, v in config.variants.items()}
    preset = PRESETS[losses["full"].paper]
    assert losses["full"].weights is None
    for name, term in (("no_int", 0), ("no_text", 1), ("no_ssim", 2)):
        expected = [0 if i == term else weight for i, weight in enumerate(preset)]
        assert list(losses[name].weights) == expected
    swept = ablation_config.load(SHIPPED / "ablate_weights.yaml").variants
    tried = {name: variant.config.loss.weights for name, variant in swept.items()}
    assert tried == {
        "full": None, **{f"w{row}": tuple(map(float, row.split("_"))) for row in TABLE_11.split()}
    }  # fmt: skip


def test_settings_by_key():
    nested = {"a": {"b": {"c": [1, 2]}, "d": {}}, "e.f": None, "g": {"h.i": 3}}
    assert ablation_config.by_key(nested) == {
        "a.b.c": [1, 2], "a.d": {}, "e.f": None, "g.h.i": 3
    }  # fmt: skip

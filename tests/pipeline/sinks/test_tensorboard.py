import json
import sys

import pytest

from common.errors import ConfigError, DataError
from pipeline.config import config
from pipeline.engine import runner
from pipeline.sinks import tensorboard
from pipeline.sinks._tracking import numbers, read_record
from tests.helpers import stand, toys
from tests.helpers.runs import execute

SINKS = {"tb": {"kind": "tensorboard"}, "results": {"kind": "results"}}


def read(folder):
    """Scalars and texts of the one event file in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (path,) = folder.iterdir()
    events = EventAccumulator(str(path))
    events.Reload()
    scalars = {}
    for tag in events.Tags()["scalars"]:
        (event,) = events.Scalars(tag)
        assert event.step == 0
        scalars[tag] = event.value
    texts = {
        tag.removesuffix("/text_summary"): events.Tensors(tag)[0]
        .tensor_proto.string_val[0]
        .decode()
        for tag in events.Tags()["tensors"]
    }
    return scalars, texts


def test_scalars_are_the_numbers_of_the_run(pairs):
    folder = execute(toys.settings(pairs, sinks=SINKS, evaluation={"quality": True})).folder
    scalars, texts = read(folder / "tb")
    results = json.loads((folder / "results.json").read_text())
    timing = json.loads((folder / "timing.json").read_text())
    for arm, part in results["arms"].items():
        for name in ("precision", "recall", "map50", "map50_95"):
            shown = scalars[f"detection/{arm}/{name}"]
            assert shown == pytest.approx(part["detection"]["yolo"][name], rel=1e-6)
        for name in ("map50", "map50_95"):
            shown = scalars[f"detection/{arm}/coco_{name}"]
            assert shown == pytest.approx(part["detection"]["coco"][name], rel=1e-6)
        for name, mean in part["quality"].items():
            assert scalars.get(f"quality/{arm}/{name}") == (mean and pytest.approx(mean, rel=1e-6))
        for stage, value in timing["arms_ms_per_pair"][arm].items():
            assert scalars[f"ms_per_pair/{arm}/{stage}"] == pytest.approx(value, rel=1e-6)
    assert results["arms"]["fused"]["quality"]["ms_ssim"] is None  # the images are too small
    assert "quality/fused/ms_ssim" not in scalars
    assert scalars["frames/paired"] == 6
    assert scalars.keys() == numbers(read_record(folder, "tb")).keys()
    assert texts["fingerprint"] == results["protocol"]["fingerprint"]
    lines = [line.removeprefix("    ") for line in texts["configuration"].split("\n")]
    assert "\n".join(lines) == (folder / "config.yaml").read_text()
    assert results["warnings"][0] in texts["warnings"]


def test_a_run_without_labels_or_detector(here):
    pairs = toys.write_pairs(here / "pairs", labels=False)
    scalars, texts = read(execute(toys.settings(pairs, sinks=SINKS)).folder / "tb")
    assert not [tag for tag in scalars if tag.startswith(("detection", "quality"))]
    assert scalars["ms_per_pair/late/merge"] > 0
    assert "configuration" in texts
    arms = {"fused": {"kind": "maximum"}}
    settings = toys.settings(pairs, sinks=SINKS, arms=arms, detector=None)
    assert read(execute(settings).folder / "tb")[0]["frames/paired"] == 6


def test_arms_of_any_allowed_name(pairs):
    arms = {"0.a_B-c..": {"kind": "maximum"}, "a.kind": {"kind": "ir_only"}}
    scalars, _ = read(execute(toys.settings(pairs, arms=arms, sinks=SINKS)).folder / "tb")
    assert scalars["detection/0.a_B-c../recall"] == pytest.approx(1)
    assert scalars["detection/a.kind/recall"] == pytest.approx(1)


def test_runs_beside_each_other_in_a_folder_of_the_users(pairs, monkeypatch):
    monkeypatch.setenv("HOME", str(pairs))
    sinks = {**SINKS, "tb": {"kind": "tensorboard", "folder": "~/logs"}}
    first = execute(toys.settings(pairs, sinks=sinks)).folder
    second = execute(toys.settings(pairs, sinks=sinks)).folder
    assert not (first / "tb").exists()
    logs = pairs / "logs"
    assert sorted(path.name for path in logs.iterdir()) == ["toy", "toy-2"]
    assert read(logs / "toy")[0]["wall_s"] != read(logs / "toy-2")[0]["wall_s"]
    # of the same name, from elsewhere
    execute(toys.settings(pairs, sinks=sinks, run={"dir": str(pairs / "toy")}))
    assert sorted(path.name for path in logs.iterdir()) == ["toy", "toy-2", "toy-3"]
    assert second.name == "toy-2"
    for log in logs.iterdir():
        read(log)


def test_publishing_again_replaces_the_file(pairs):
    folder = execute(toys.settings(pairs)).folder
    for place in (None, folder.parent.parent / "logs"):
        settings = {} if place is None else {"folder": place}
        sink = tensorboard.build(tensorboard.Config(**settings), stand.context(folder), "tb")
        sink.publish("toy")
        before = read(folder / "tb" if place is None else place / "toy")
        sink.publish("toy")
        assert read(folder / "tb" if place is None else place / "toy") == before


def test_a_resumed_run_is_logged_whole(pairs, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT", 1)
    settings = toys.settings(pairs, sinks=SINKS)

    def kill(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(config.check(settings), kill)
    folder = execute({**settings, "run": {"name": "toy", "resume": True}}).folder
    assert read(folder / "tb")[0]["frames/paired"] == 6


def test_a_run_without_results(pairs):
    sinks = {"tb": {"kind": "tensorboard"}}
    with pytest.raises(ConfigError, match=r"sinks\.tb: .*add sinks\.results\.kind=results"):
        execute(toys.settings(pairs, sinks=sinks))


@pytest.mark.parametrize("folder", ["runs", "runs/toy"])
def test_the_runs_own_folder_is_refused_before_the_run(pairs, folder):
    sinks = {**SINKS, "tb": {"kind": "tensorboard", "folder": folder}}
    with pytest.raises(ConfigError, match=r"sinks\.tb\.folder: runs/toy.* is the run's own"):
        execute(toys.settings(pairs, sinks=sinks))
    assert not list((pairs.parent / "runs").iterdir())


def test_a_missing_package_is_found_before_the_run(pairs, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigError, match=r"sinks\.tb: .*pip install tensorboard"):
        execute(toys.settings(pairs, sinks=SINKS))
    assert not list((pairs.parent / "runs").iterdir())


def test_a_full_disk_is_an_error_that_names_the_file(pairs, capfd):
    folder = execute(toys.settings(pairs)).folder
    before = stand.files(folder)
    sink = tensorboard.build(tensorboard.Config(), stand.context(folder), "tb")
    with (
        stand.full_disk(1000),
        pytest.raises(DataError, match=r"tb/events\.out\.tfevents\.\w+: cannot be written"),
    ):
        sink.publish("toy")
    assert {**stand.files(folder), **before} == stand.files(folder)
    assert capfd.readouterr() == ("", "")

"""Whole fine-tunings of a few steps."""

import csv
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.errors import ConfigError, DataError
from detection.detectors import yolov5
from fusion.network import checkpoint
from pipeline.cli import main
from pipeline.config.yaml_file import SHIPPED
from tests.helpers import layouts, toys
from tests.helpers.recipes import killed_at
from tests.helpers.runs import read_json, silent
from training.finetune import config, experiment, job
from training.pairs import decoded_sources


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Four training pairs and three other ones to test on, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    toys.write_pairs(tmp_path / "train", 4, size=(48, 64))
    toys.write_pairs(tmp_path / "all", 7, size=(48, 64))
    for number in range(4):
        for kind in ("ir", "vi", "labels"):
            next((tmp_path / "all" / kind).glob(f"{number:03d}.*")).unlink()
    # drawn anew, since the first pictures of both folders would be the same
    (tmp_path / "all").rename(tmp_path / "test")
    return tmp_path


def make(**changes):
    settings = {
        "run": {"name": "f"},
        "source": {"kind": "msrs", "root": "test"},
        "arms": {"ir": {"kind": "ir_only"}, "stacked": {"kind": "stacked"}},
        "detector": {"kind": "yolov5", "weights": "demo", "image_size": 64},
        "data": {
            "cache": "cache",
            "crop": 64,
            "sources": {
                "pairs": {
                    "kind": "files", "ir": "train/ir", "vis": "train/vi", "labels": "train/labels"
                }
            },
        },
        "schedule": {"epochs": 2, "batch": 2, "warmup": 1, "save_every": 1},
        "compute": {"device": "cpu", "dtype": "float32", "batch": 2},
    }  # fmt: skip
    return config.check({**settings, **changes})


def quiet(title):
    return progress(silent)


class progress:  # noqa: N801  (a context, as the terminal's)
    def __init__(self, function):
        self._function = function

    def __enter__(self):
        return self._function

    def __exit__(self, *error):
        pass


def killed(step):
    """Progress under which a training is interrupted after a step."""
    return lambda title: progress(killed_at(step) if "steps" in title else silent)


def weights(folder):
    return {
        path.relative_to(folder).as_posix(): load_file(path)
        for path in sorted(folder.rglob("*.safetensors"))
    }


def equal(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[name][key], b[name][key]) for name in a for key in a[name]
    )


def test_every_arm_is_trained_and_scored_with_each_seed(here):
    arms = {
        "ir": {"kind": "ir_only"},
        "net": {"kind": "gate_unet"},
        "stacked": {"kind": "stacked"},
        "late": {"kind": "late", "arms": ["ir", "net"]},
    }
    given = make(arms=arms, seeds=2, joint={"arm": "net"}, schedule={"epochs": 1, "batch": 4})
    outcome = experiment.finetune(given, quiet)
    folder, summary = outcome.folder, outcome.summary
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml", "finetune.csv", "finetune.json", "scored", "trainings"
    }  # fmt: skip
    assert read_json(folder / "finetune.json") == summary
    names = ("ir", "net", "stacked", "joint", "late")
    assert set(summary["arms"]) == set(names)
    assert summary["arms"]["stacked"]["frozen"] is None
    assert summary["pairs"] == 3
    results = read_json(folder / "scored" / "results.json")
    for arm in names:
        trained = summary["arms"][arm]["trained"]["map50"]
        seeds = [results["arms"][f"{arm}-{s}"]["detection"]["yolo"]["map50"] for s in (1, 2)]
        assert trained["seeds"] == pytest.approx(seeds, abs=1e-9)
        assert trained["value"] == pytest.approx(np.mean(seeds), abs=1e-9)
    frozen = results["arms"]["late"]["detection"]["yolo"]["map50"]
    assert summary["arms"]["late"]["frozen"]["map50"]["value"] == pytest.approx(frozen, abs=1e-9)
    with (folder / "finetune.csv").open() as file:
        rows = [(row["arm"], row["detector"]) for row in csv.DictReader(file)]
    assert rows == [
        (arm, kind) for arm in names for kind in ("frozen", "trained")
        if (arm, kind) not in (("stacked", "frozen"), ("joint", "frozen"))
    ]  # fmt: skip
    # the weights state what they were trained on, so that a run on these pairs says so
    path = folder / "trainings" / "ir-1" / "detector.safetensors"
    assert len(checkpoint.trained_on(path)) == 4
    assert yolov5.load_network(path)[0].names == {0: "person", 1: "bicycle", 2: "car"}
    start = load_file(yolov5.weights.resolve("demo"))
    key = "model.0.conv.weight"
    mine = load_file(path)[key].float()
    assert 0 < (mine - start[key].float()).abs().max() < 0.1
    fuser = load_file(folder / "trainings" / "joint-1" / "fuser.safetensors")
    assert fuser


def test_a_killed_fine_tuning_goes_on_to_the_same_weights(here):
    two_steps = {"epochs": 1, "batch": 2, "warmup": 1, "save_every": 1}
    whole = experiment.finetune(make(schedule=two_steps), quiet)
    for again in (False, True):  # in the first training, which is then finished, and in the second
        given = make(schedule=two_steps, run={"name": "f", "resume": again})
        with pytest.raises(KeyboardInterrupt):
            experiment.finetune(given, killed(1))
    trainings = here / "runs" / "f-2" / "trainings"
    assert [(trainings / name / "checkpoint.pt").is_file() for name in ("ir-1", "stacked-1")] == [
        False, True,
    ]  # fmt: skip
    resumed = experiment.finetune(
        make(schedule=two_steps, run={"name": "f", "resume": True}), quiet
    )
    assert resumed.folder.name == "f-2"
    assert equal(weights(whole.folder), weights(resumed.folder))
    for summary in (whole.summary, resumed.summary):
        for part in summary["arms"].values():
            del part["ms"]
    assert resumed.summary == whole.summary


class Threads(ThreadPoolExecutor):
    """In place of processes, which take ten seconds to start; what they are told is pickled."""

    def __init__(self, workers, mp_context):
        assert mp_context.get_start_method() == "spawn"  # torch's threads don't survive a fork
        super().__init__(workers)

    def submit(self, function, *given):
        function, given = pickle.loads(pickle.dumps((function, given)))
        return super().submit(function, *given)


def test_two_workers_train_to_the_same_weights(here, monkeypatch):
    monkeypatch.setattr(experiment, "ProcessPoolExecutor", Threads)
    few = {"epochs": 1, "batch": 4}
    one = experiment.finetune(make(schedule=few), quiet)
    two = experiment.finetune(make(schedule=few, workers=2), quiet)
    assert equal(weights(one.folder), weights(two.folder))


def test_a_checkpoint_of_other_settings_is_refused(here):
    with pytest.raises(KeyboardInterrupt):
        experiment.finetune(make(), killed(3))
    changed = make(run={"name": "f", "resume": True}, data={**make().settings["data"], "crop": 96})
    with pytest.raises(ConfigError, match=r"run\.resume: .* was begun with another data\.crop"):
        experiment.finetune(changed, quiet)


def test_a_test_pair_is_not_trained_on(here):
    for kind in ("ir", "vi", "labels"):
        for path in (here / "test" / kind).iterdir():
            shutil.copy(path, here / "train" / kind)
    with pytest.raises(DataError, match=r"data\.sources\.pairs: contains 004 of source, which is"):
        experiment.finetune(make(), quiet)
    assert not (here / "runs").exists()


@pytest.mark.parametrize("layout", ["llvip", "m3fd"])
def test_a_data_set_can_be_trained_on(here, layout):
    getattr(layouts, layout)(here / "set")
    source = {"kind": "dataset", "layout": layout, "root": "set", "split": "train"}
    given = make()
    data = {**given.settings["data"], "sources": {"set": {"kind": "labelled", "source": source}}}
    given = make(data=data)
    for _ in range(2):  # decoded, and from the cache
        pairs = decoded_sources(given.sources, given.file.data.cache)["set"].labelled()
        assert pairs.keys == (("010001",) if layout == "llvip" else ("00000", "00002"))
        # people, and of M3FD's classes those that COCO has too
        assert pairs.truth[0].class_id.tolist() == ([0] if layout == "llvip" else [0, 3])
        assert pairs.truth[0].xyxy[0, :2].tolist() == [3, 4]


def test_a_data_set_without_labels_cannot_be_trained_on(here):
    source = {"kind": "image_folder", "ir": "train/ir", "vis": "train/vi"}
    data = {**make().settings["data"], "sources": {"a": {"kind": "labelled", "source": source}}}
    given = make(data=data)
    with pytest.raises(ConfigError, match=r"data\.sources\.a\.source: must be labelled images"):
        experiment.finetune(given, quiet)


def test_pairs_without_labels_are_left_out(here):
    (here / "train" / "labels" / "001.txt").unlink()
    given = make()
    pairs = decoded_sources(given.sources, given.file.data.cache)["pairs"]
    assert (len(pairs), pairs.labelled().keys) == (4, ("000", "002", "003"))


def test_a_class_that_the_detector_lacks_is_said(here):
    (here / "train" / "labels" / "001.txt").write_text("16 .5 .5 .2 .2\n")
    with pytest.raises(ConfigError, match=r"has the class dog, which demo\.safetensors doesn't"):
        experiment.finetune(make(), quiet)


@pytest.mark.parametrize("name", ["finetune", "finetune_llvip"])
def test_shipped_configurations_are_right_and_say_how_to_run_them(name):
    path = SHIPPED / f"{name}.yaml"
    given = config.load(path)
    assert given.trained == ["ir", "vis", "average", "fused", "stacked", "joint"]
    assert given.merging == ["late"]
    assert path.read_text().startswith(f"# irvis finetune configs/{name}.yaml")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"detector": None}, "detector: there is none to train; set detector.weights"),
        ({"joint": {"arm": "fuse"}}, "joint.arm: there is no arm fuse; "),
        ({"seed": 3}, "unknown key seed; did you mean 'seeds'? "),
        (
            {"arms": {"ir": {"kind": "ir_only"}, "ir-1": {"kind": "ir_only"}}},
            "arms.ir-1: an arm after training is called so; rename it",
        ),
        (
            {"arms": {"ir": {"kind": "ir_only", "detector": {"iou": 0.5}}}},
            "arms.ir.detector: all arms begin with the same; remove it",
        ),
    ],
)
def test_wrong_settings(here, changes, text):
    with pytest.raises(ConfigError) as error:
        make(**changes)
    assert str(error.value).startswith(text)


def test_a_fuser_without_a_network_cannot_learn(here):
    given = make(joint={"arm": "ir"})
    with pytest.raises(ConfigError, match=r"joint\.arm: ir has no network that learns"):
        experiment.finetune(given, quiet)


def test_a_loss_that_is_not_finite_ends_it(here, monkeypatch):
    wrong = torch.full((3,), torch.nan, requires_grad=True)
    monkeypatch.setattr(job.Learner, "_detection", lambda *_: wrong)
    with pytest.raises(DataError, match=r"the loss of step \d+ is not finite; lower schedule"):
        experiment.finetune(make(), quiet)


def test_the_command_prints_the_tables(here, capsys):
    import yaml

    given = dict(make(arms={"ir": {"kind": "ir_only"}}).settings)
    (here / "mine.yaml").write_text(yaml.safe_dump(given))
    assert main(["finetune", "mine.yaml", "schedule.epochs=1"]) == 0
    printed = capsys.readouterr().out
    assert "frozen" in printed
    assert "trained" in printed
    assert "Folder: runs/f" in printed

"""Whole fine-tunings of a few steps."""

import csv
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.errors import ConfigError, DataError
from detection.detectors import yolov5
from eval.labels import Labels
from fusion.fusers import gate_unet
from fusion.network import checkpoint
from pipeline.cli import main
from tests.helpers.finetunings import killed, make, quiet
from tests.helpers.runs import read_json, silent
from training.finetune import experiment, job
from training.finetune.images import read_images
from training.pairs import decoded_sources


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


JOINT = {
    "arms": {"net": {"kind": "gate_unet"}},
    "joint": {"arm": "net", "epochs": 1},
    # two steps with the fuser, and two without
    "schedule": {"epochs": 2, "batch": 2, "warmup": 1, "save_every": 1},
}


def train_jointly(folder, progress=silent, **changes):
    """The weights that a joint training writes, by file."""
    folder.mkdir(exist_ok=True)
    given = make(**{**JOINT, **changes})
    pairs = decoded_sources(given.sources, given.file.data.cache)
    sources = {name: mine.labelled() for name, mine in pairs.items()}
    job.make_images(given, sources, "joint", folder)
    job.train(given, sources, "joint", 1, folder, progress)
    return weights(folder / "trainings" / "joint-1")


@pytest.fixture
def jointly(here):
    """A joint training's weights; its folder after the steps 2 and 3 is kept."""

    def keep(done, total):
        if done in (2, 3):
            kept = here / f"step{done}" / "trainings"
            shutil.copytree(here / "whole" / "trainings", kept)

    return train_jointly(here / "whole", keep)


def test_a_joint_fuser_learns_in_its_epochs_alone(here, jointly):
    files = {path.name for path in (here / "whole" / "trainings" / "joint-1").iterdir()}
    assert files == {"log.csv", "tensorboard", "detector.safetensors", "fuser.safetensors"}
    path = here / "step3" / "trainings" / "joint-1" / "checkpoint.pt"
    three = torch.load(path, weights_only=True)
    for name, value in jointly["fuser.safetensors"].items():
        for part in ("learner", "average"):
            assert torch.equal(three[part][f"fuser.network.{name}"].half(), value), (part, name)
    both = train_jointly(here / "b", joint={"arm": "net", "epochs": 2})
    assert not equal(jointly, both)


@pytest.mark.parametrize("step", [2, 3])
def test_a_killed_joint_training_goes_on_to_the_same_weights(here, jointly, step):
    assert equal(train_jointly(here / f"step{step}"), jointly)


def test_a_joint_detector_goes_on_with_the_images_of_its_fuser(here, monkeypatch):
    seen, settle = [], job.Training.settle_fuser
    monkeypatch.setattr(
        job.Training, "settle_fuser", lambda self, made: (seen.append(made), settle(self, made))
    )
    network = train_jointly(here / "a")["fuser.safetensors"]
    (batches,) = seen
    fuser = gate_unet.build(gate_unet.Config())
    fuser.network.load_state_dict({name: value.float() for name, value in network.items()})
    checkpoint.save(here / "own.safetensors", fuser.network, metadata={})
    given = make(arms={"net": {"kind": "gate_unet", "weights": "own.safetensors"}})
    sources = decoded_sources(given.sources, given.file.data.cache)
    job.make_images(given, sources, "net", here / "b")
    again = read_images(sources["pairs"], 3, here / "b" / "images" / "net" / "pairs")
    for one, other in zip(batches._images, again, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1  # the weights' file is in half precision


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


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (BrokenProcessPool("x"), DataError)],
)
def test_workers_end_with_the_fine_tuning(here, monkeypatch, raised, expected):
    """Stopped, or when one of them is killed."""
    ended, children = [], []
    other, worker = (SimpleNamespace(terminate=lambda w=w: ended.append(w)) for w in ("o", "w"))
    children.append(other)  # of the caller

    def fail(*given):
        children.append(worker)
        raise raised

    monkeypatch.setattr(experiment, "ProcessPoolExecutor", Threads)
    monkeypatch.setattr(experiment.multiprocessing, "active_children", lambda: [*children])
    monkeypatch.setattr(experiment, "as_completed", fail)
    with pytest.raises(expected, match="was killed" if expected is DataError else None):
        experiment.finetune(make(schedule={"epochs": 1, "batch": 4}, workers=2), quiet)
    assert ended == ["w"]


def test_a_checkpoint_of_other_settings_is_refused(here):
    with pytest.raises(KeyboardInterrupt):
        experiment.finetune(make(), killed(3))
    changed = make(run={"name": "f", "resume": True}, data={**make().settings["data"], "crop": 96})
    with pytest.raises(ConfigError, match=r"run\.resume: .* was begun with another data\.crop"):
        experiment.finetune(changed, quiet)


def test_weights_that_were_exchanged_are_refused(here):
    fuser = gate_unet.build(gate_unet.Config()).network
    checkpoint.save(here / "own.safetensors", fuser, metadata={"trained_on": "a b"})
    arms = {"net": {"kind": "gate_unet", "weights": str(here / "own.safetensors")}}
    with pytest.raises(KeyboardInterrupt):
        experiment.finetune(make(arms=arms), killed(1))
    checkpoint.save(here / "own.safetensors", fuser, metadata={"trained_on": "c"})
    with pytest.raises(ConfigError, match=r"run\.resume: the file of arms\.net has changed since"):
        experiment.finetune(make(arms=arms, run={"name": "f", "resume": True}), quiet)


def test_weights_state_the_pairs_of_those_they_began_with(here):
    start, own = here / "start.safetensors", here / "own.safetensors"
    fuser = gate_unet.build(gate_unet.Config()).network
    checkpoint.save(own, fuser, metadata={"trained_on": "a b"})
    network = yolov5.new_network("yolov5n.yaml", {0: "person"})
    described = {"model": "yolov5n.yaml", "names": {0: "person"}, "metadata": {"trained_on": "c"}}
    yolov5.save_network(start, network, **described)
    given = make(
        arms={"net": {"kind": "gate_unet", "weights": str(own)}, "ir": {"kind": "ir_only"}},
        joint={"arm": "net"},
        detector={"kind": "yolov5", "weights": str(start)},
    )
    sources = {"pairs": SimpleNamespace(ids=("d",))}
    listed = {arm: job._metadata(given, sources, arm, 1)["trained_on"] for arm in given.trained}
    assert listed == {"net": "a b c d", "ir": "c d", "joint": "a b c d"}


def test_regions_to_ignore_of_pairs_without_objects_are_kept(here):
    truth = Labels(np.zeros((0, 4)), np.zeros(0, np.int64), np.array([[0.0, 0, 64, 48]]))
    given = make(arms={"ir": {"kind": "ir_only"}})
    pairs = decoded_sources(given.sources, given.file.data.cache)["pairs"]
    sources = {"pairs": replace(pairs, truth=(truth,) * 4)}
    job.make_images(given, sources, "ir", here)
    batch = job._batches(given, sources, 3, 1, here / "images" / "ir")(0)
    assert len(batch.objects) == 0
    assert len(batch.regions) > 0


def test_a_loss_that_is_not_finite_ends_it(here, monkeypatch):
    wrong = torch.full((3,), torch.nan, requires_grad=True)
    monkeypatch.setattr(job.Learner, "_detection", lambda *_: wrong)
    with pytest.raises(DataError, match=r"the loss is nan at step 1; lower schedule\."):
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

"""Components of a user's own modules, which say what they are as the built-in ones do."""

import hashlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file

from common.component import ArmConfig, SinkConfig
from common.errors import ConfigError, DataError
from detection.boxes import Detections
from eval.labels import Labels
from pipeline.config import config
from pipeline.engine import runner
from pipeline.engine.compute import Compute
from pipeline.frames import Frame, FramePair, Item
from pipeline.images import read_image, to_rgb, write_png
from pipeline.interfaces import Arm, Source
from tests.helpers import toys

CPU = torch.device("cpu")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return toys.settings(toys.write_pairs(tmp_path / "pairs", 4))


@pytest.fixture
def own(monkeypatch):
    """Makes the module of a kind; its dotted path."""

    def make(model, build):
        module = ModuleType("own.kind")
        module.Config, module.build = model, build
        monkeypatch.setitem(sys.modules, "own.kind", module)
        return "own.kind"

    return make


def run(settings):
    return runner.run(config.check(settings), lambda done, total: None)


class Thermal(ArmConfig):
    modality = "ir"


def thermal(*, ir, vis):
    return 1 - ir.repeat(1, 3, 1, 1)


class Best(ArmConfig):
    of: tuple[str, ...] = ("ir", "vis")

    def merged_arms(self):
        return self.of


class BestArm(Arm):
    def merge(self, detections):
        """Of all arms the one that is surest."""
        every = Detections.concatenate([detections[arm] for arm in self.config.of])
        return every[np.argsort(-every.score)[:1]]


class Ready(ArmConfig):
    reads_images = True
    root: str


class ReadyArm(Arm):
    def check(self, keys):
        for key in keys:
            self.read(key, None)

    def read(self, key, size):
        return to_rgb(read_image(Path(self.config.root) / f"{key}.png"))


def test_a_fuser_that_shows_one_modality_is_its_baseline(settings, own):
    settings["arms"] = {
        "hot": {"kind": own(Thermal, lambda c: thermal)},
        "vis": {"kind": "vis_only"},
    }
    results = run(settings).results
    assert results["protocol"]["baselines"] == {"ir": "hot", "vis": "vis"}


def test_a_fuser_that_shows_a_dead_camera_alone_shows_nothing(settings, own):
    settings["arms"] = {
        "hot": {"kind": own(Thermal, lambda c: thermal)},
        "max": {"kind": "maximum"},
    }
    arms = runner.build_arms(config.check(settings), CPU)
    frame = Frame(np.full((8, 8), 250, np.uint8), None, 0)
    item = Item(FramePair("a", frame, frame), None, {}, dead="ir")
    result = Compute(arms, dict.fromkeys(arms, toys.BrightBox()), device=CPU, batch=1)([item], 0)[0]
    assert (result.image("hot").max(), len(result.detections["hot"])) == (0, 0)
    assert (result.image("max").min(), len(result.detections["max"])) == (250, 1)


def test_an_arm_that_merges_has_no_image(settings, own):
    settings["arms"]["best"] = {"kind": own(Best, BestArm)}
    settings["sinks"]["fused"] = {"kind": "images"}
    outcome = run(settings)
    assert sorted(path.name for path in (outcome.folder / "fused").iterdir()) == [
        "fused", "ir", "vis",
    ]  # fmt: skip
    assert outcome.results["arms"]["best"]["detection"]["yolo"]["labels"] == 4
    assert set(outcome.timing["arms_ms_per_pair"]["best"]) == {"merge"}
    settings["sinks"]["fused"]["arms"] = ["best"]
    with pytest.raises(ConfigError, match=r"sinks\.fused\.arms: arm 'best' merges detections"):
        run(settings)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"detector": None}, r"arms\.best: merges detections, but there is no detector"),
        ({"late": ["ir", "best"]}, r"arms\.late\.arms: 'best' merges detections itself"),
        ({"best": ["ir", "late"]}, r"arms\.best\.arms: 'late' merges detections itself"),
        ({"best": ["ir", "viz"]}, r"arms\.best\.arms: there is no arm 'viz'"),
    ],
)
def test_an_arm_that_merges_needs_what_it_merges(settings, own, change, match):
    settings["arms"]["best"] = {"kind": own(Best, BestArm), "of": change.get("best", ["ir"])}
    if "detector" in change:
        del settings["arms"]["late"]
        settings["detector"] = None
    elif "late" in change:
        settings["arms"]["late"]["arms"] = change["late"]
    with pytest.raises(ConfigError, match=match):
        run(settings)


def test_an_arm_that_reads_images(settings, own, tmp_path):
    """It scores as the built-in one does, lacks no image unseen, and can't be perturbed."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for path in (tmp_path / "pairs" / "ir").iterdir():
        write_png(theirs / path.name, to_rgb(read_image(path)))
    settings["arms"] = {
        "mine": {"kind": own(Ready, ReadyArm), "root": str(theirs)},
        "folder": {"kind": "folder", "root": str(theirs)},
    }
    arms = run(settings).results["arms"]
    assert arms["mine"] == arms["folder"]
    assert arms["mine"]["detection"]["yolo"]["recall"] == 1
    with pytest.raises(ConfigError, match=r"perturb\.ir_noise: can't change arms\.mine"):
        config.check({**settings, "perturb": {"ir_noise": 3}})
    del settings["arms"]["folder"]
    (theirs / "002.png").unlink()
    with pytest.raises(DataError, match=r"002\.png"):
        run(settings)


class Weighing(BaseModel):
    """A plain model, whose `weights` name no file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = "equal"
    arms: int = 2


def test_an_unrelated_setting_called_weights_is_no_file(settings, own):
    kind = own(Weighing, lambda c: lambda *, ir, vis: (ir + vis) / 2)
    settings["arms"]["fused"] = {"kind": kind, "weights": "equal", "arms": 3}
    assert run(settings).results["protocol"]["arms"]["fused"] == {
        "kind": kind, "weights": "equal", "arms": 3,
    }  # fmt: skip


def test_the_weights_of_a_fuser_are_identified(settings, own, tmp_path):
    path = tmp_path / "own.safetensors"
    save_file({"a": torch.zeros(1)}, path)

    class Holding(ArmConfig):
        def weights_file(self):
            return path

    kind = own(Holding, lambda c: lambda *, ir, vis: (ir + vis) / 2)
    settings["arms"]["fused"] = {"kind": kind}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    protocol = run(settings).results["protocol"]
    assert protocol["arms"]["fused"] == {"kind": kind, "weights_sha256": digest}


def test_a_sink_that_shows_results_needs_them(settings, own):
    class Showing(SinkConfig):
        needs_results = True

    settings["sinks"] = {"page": {"kind": own(Showing, lambda c, context, name: None)}}
    with pytest.raises(ConfigError, match=r"sinks\.page: a own\.kind needs results"):
        config.check(settings)


class Still(Source):
    """One pair that is whole, and one whose visible image is missing; the defaults do the rest."""

    def __iter__(self):
        frame = Frame(np.full((16, 16), 250, np.uint8), None, 0)
        yield FramePair("whole", frame, frame)
        yield FramePair("half", frame, None)


def test_a_source_needs_no_more_than_its_pairs(settings, own):
    settings["source"] = {"kind": own(Weighing, lambda config, names: Still())}
    outcome = run(settings)
    frames = outcome.results["frames"]
    assert (frames["paired"], frames["unpaired"]) == (1, 1)
    assert (outcome.results["sync"], outcome.results["arms"]["ir"]["detection"]) == (None, None)


def test_labels_are_read_once_a_pair(settings, own):
    """Those of a pair that is left out are only counted."""
    asked = []

    class Labelled(Still):
        has_labels = True

        def labels(self, key, size):
            asked.append(("labels", key))
            return Labels(np.array([[2.0, 2, 9, 9]] * 3), np.array([0, 2, 0]), np.zeros((0, 4)))

        def label_classes(self, key):
            asked.append(("classes", key))
            return np.array([0, 2])

    settings["run"]["on_bad_pair"] = "skip"
    settings["evaluation"] = {"classes": [0]}
    settings["source"] = {"kind": own(Weighing, lambda config, names: Labelled())}
    assert run(settings).results["objects"] == {"scored": 2, "labelled": 2 + 1}
    assert asked == [("labels", "whole"), ("classes", "half")]


@pytest.mark.parametrize("part", ["source", "sinks.mine"])
def test_what_is_no_component_is_one_line(settings, own, part):
    broken = {"kind": own(Weighing, lambda *given: object())}
    if part == "source":
        settings["source"] = broken
    else:
        settings["sinks"]["mine"] = broken
    base = "Source" if part == "source" else "Sink"
    with pytest.raises(ConfigError, match=rf"{part}\.kind: own\.kind builds no pipeline.*{base}"):
        run(settings)

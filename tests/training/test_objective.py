"""What is minimised: each term by its weight, each crop by its own detector."""

import numpy as np
import pytest
import torch

from common.checksums import sha256
from common.errors import ConfigError, DataError, WeightsError
from detection.weights import resolve
from fusion.color import rgb_to_ycbcr, ycbcr_to_rgb
from fusion.network.checkpoint import find, read, trained_on
from tests.helpers.recipes import judged, make, trainer
from tests.helpers.runs import silent
from training.crops import Sampler
from training.loop import train
from training.networks import load_network
from training.pairs import open_sources
from training.records import COLUMNS


@pytest.mark.usefixtures("nothing_found")
def test_the_total_is_the_weighted_sum(here, monkeypatch):
    seen = []

    def detector(fused, targets):
        seen.append((fused, targets))
        return fused.mean()

    monkeypatch.setattr("training.objective.DetectorLoss", lambda config, device, trunk: detector)
    training = trainer(judged())
    values = dict(zip(COLUMNS, training.advance().tolist(), strict=True))
    (fused, targets), terms = seen[0], [values[k] for k in ("intensity", "texture", "structure")]
    assert values["total"] == pytest.approx(
        np.dot((100, 10, 1), terms) + 7 * values["detector"] + 3 * values["outside"]
    )
    assert values["detector"] == pytest.approx(fused.mean().item())
    assert values["outside"] == 0  # the mean is between the images
    assert values["teacher"] == 0
    # untrained, the network gives the mean of what it sees, and the chroma stays
    batch = training._sample(0)
    y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)
    expected = ycbcr_to_rgb((batch.ir_input.float() / 255 + y) / 2, cbcr)
    assert torch.allclose(fused, expected, atol=1e-6)
    assert len(targets) == 2


@pytest.mark.parametrize("weights", [[0, 20, 1], [5, 0, 0.5]])
def test_weights_take_the_place_of_the_presets(here, weights):
    """As in the paper's Tables 10 and 11."""
    training = trainer(make(loss={"paper": "journal-ct-mri", "weights": weights}))
    values = dict(zip(COLUMNS, training.advance().tolist(), strict=True))
    terms = [values[k] for k in ("intensity", "texture", "structure")]
    assert min(terms) > 0
    assert values["total"] == pytest.approx(np.dot(weights, terms))


@pytest.mark.usefixtures("nothing_found")
def test_each_detector_judges_its_own_crops(here, monkeypatch):
    judges = {}

    def made(config, device, trunk):
        def detector(fused, targets):
            judges.setdefault(config.classes, []).append(len(fused))
            return 0 * fused.sum() + config.classes[0]

        return detector

    monkeypatch.setattr("training.objective.DetectorLoss", made)
    source = {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vis"}
    checked = make(
        loss={"paper": None, "detector": 1.0},
        detectors={"a": {"weights": "demo", "classes": [0]}, "b": {"weights": "demo"}},
        data__sources={
            "first": {**source, "detector": "a"},
            "second": {**source, "detector": "b"},
            "third": source,
        },
        compute={"device": "cpu", "batch": 12, "dtype": "float32"},
    )
    training = trainer(checked)
    crops = Sampler(checked, open_sources(checked), {})(0).detectors
    values = dict(zip(COLUMNS, training.advance().tolist(), strict=True))
    assert judges == {(0,): [crops.count("a")], (0, 2): [crops.count("b")]}
    assert values["detector"] == 0
    assert crops.count(None) > 0


@pytest.mark.usefixtures("nothing_found")
def test_a_loss_that_is_not_finite_ends_the_run(here, monkeypatch):
    def detector(fused, targets):
        return fused.sum() * float("nan")

    monkeypatch.setattr("training.objective.DetectorLoss", lambda config, device, trunk: detector)
    with pytest.raises(DataError, match=r"the loss is nan at step 1; lower") as caught:
        train(judged(), silent)
    assert "\n" not in str(caught.value)


def test_a_teacher_is_imitated(here):
    training = trainer(make(loss={"paper": None, "teacher": 4.0}, teacher="gate_unet"))
    batch = training._sample(0)
    ir, (y, _) = batch.ir_input.float() / 255, rgb_to_ycbcr(batch.vis.float() / 255)
    wanted = load_network("gate_unet")(ir=ir, vis=y)
    values = dict(zip(COLUMNS, training.advance().tolist(), strict=True))
    difference = (wanted - (ir + y) / 2).abs().mean().item()  # untrained, it gives the mean
    assert difference > 0.01
    assert values["teacher"] == pytest.approx(difference, rel=1e-4)
    assert values["total"] == pytest.approx(4 * values["teacher"])


def test_what_a_teacher_was_trained_on_counts(here):
    checked = make(loss={"paper": None, "teacher": 4.0}, teacher="gate_unet")
    path = train(checked, silent).weights
    assert trained_on(path) > trained_on(find("gate_unet"))
    assert read(path).metadata["teacher"] == sha256(find("gate_unet"))


def test_a_loss_without_its_teacher_is_refused():
    with pytest.raises(ConfigError, match=r"loss.teacher: .* teacher=gate_unet"):
        make(loss={"teacher": 1.0})


def test_a_teacher_must_say_what_it_is(here):
    with pytest.raises(WeightsError, match="names no network that can be trained"):
        trainer(make(loss={"teacher": 1.0}, teacher=str(resolve("demo"))))

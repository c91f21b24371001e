"""What is minimised: each term by its weight, each crop by its own detector."""

import numpy as np
import pytest
import torch

from common.errors import DataError
from fusion.color import rgb_to_ycbcr, ycbcr_to_rgb
from tests.helpers.recipes import judged, make, quiet, trainer
from training.crops import Sampler
from training.loop import train
from training.pairs import open_sources
from training.records import COLUMNS


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
    # untrained, the network gives the mean of what it sees, and the chroma stays
    batch = training._sample(0)
    y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)
    expected = ycbcr_to_rgb((batch.ir_input.float() / 255 + y) / 2, cbcr)
    assert torch.allclose(fused, expected, atol=1e-6)
    assert len(targets) == 2


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


def test_a_loss_that_is_not_finite_ends_the_run(here, monkeypatch):
    def detector(fused, targets):
        return fused.sum() * float("nan")

    monkeypatch.setattr("training.objective.DetectorLoss", lambda config, device, trunk: detector)
    with pytest.raises(DataError, match=r"the loss is nan at step 1; lower") as caught:
        train(judged(), quiet)
    assert "\n" not in str(caught.value)

"""The leakage guard: weights that saw a pair in training say so when they are judged on it."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from common.errors import WeightsError
from fusion.network import checkpoint
from fusion.network.fusionmamba import Architecture, FusionMamba
from pipeline.config import config
from pipeline.engine import runner
from pipeline.engine.leakage import training_ids
from pipeline.images import pair_id
from tests.helpers import toys
from tests.helpers.runs import execute


def content(pairs, stem):
    images = [np.asarray(Image.open(pairs / name / f"{stem}.png")) for name in ("ir", "vi")]
    return pair_id(*images)


def weights(path, ids):
    """A small network's weights that were trained on these pairs."""
    architecture = Architecture(width=16, depths=(1, 1, 1, 1))
    torch.manual_seed(0)
    checkpoint.save(path, FusionMamba(architecture))
    metadata = {
        "network": FusionMamba.NAME,
        "architecture": architecture.model_dump_json(),
        "trained_on": " ".join(ids),
    }
    save_file(load_file(path), path, metadata)
    return path


def test_id_is_of_the_pixels():
    ir, vis = np.zeros((4, 6), np.uint8), np.ones((4, 6, 3), np.uint8)
    assert pair_id(ir, vis) == pair_id(np.asfortranarray(ir), vis.copy())
    assert len(pair_id(ir, vis)) == 16
    other = vis.copy()
    other[3, 5, 2] = 0
    assert len({pair_id(ir, vis), pair_id(ir, other), pair_id(ir + 1, vis)}) == 3


def test_evaluating_on_training_pairs_is_said(pairs, caplog):
    path = weights(
        pairs / "w.safetensors", [content(pairs, "001"), content(pairs, "004"), "f" * 16]
    )
    settings = toys.settings(pairs)
    settings["arms"]["fused"] = {"kind": "fusionmamba", "weights": str(path)}
    results = execute(settings).results
    assert results["leaked"] == {"fused": ["001", "004"]}
    assert results["warnings"][0] == (
        "fused was trained on 2 of these 6 pairs (001, 004): its numbers say nothing about new "
        "images"
    )


def test_weights_of_other_pairs_are_fine(pairs):
    path = weights(pairs / "w.safetensors", ["0" * 16])
    settings = toys.settings(pairs)
    settings["arms"]["fused"] = {"kind": "fusionmamba", "weights": str(path)}
    checked = config.check(settings)
    assert training_ids(checked) == {"fused": frozenset(["0" * 16])}
    results = runner.run(checked, lambda done, total: None).results
    assert results["leaked"] == {}
    assert not any("trained" in warning for warning in results["warnings"])


def test_damaged_weights_are_one_line(pairs):
    path = pairs / "w.safetensors"
    path.write_bytes(b"nothing")
    settings = toys.settings(pairs)
    settings["arms"]["fused"] = {"kind": "fusionmamba", "weights": str(path)}
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        training_ids(config.check(settings))

"""The Triton kernels: in the interpreter everywhere, compiled where there is CUDA."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.fusion.scan.cases import disagreements, draw, draw_map, run
from tests.fusion.scan.interpreted import CASES

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    """Results of the interpreter: Triton must be told before it is imported."""
    pytest.importorskip("triton")
    path = tmp_path_factory.mktemp("triton") / "results.pt"
    subprocess.run(
        [sys.executable, "-m", "tests.fusion.scan.interpreted", path],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=True,
        timeout=300,
    )
    return torch.load(path, weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_interpreted_kernels_agree_with_float64(interpreted, name):
    values, options = CASES[name]
    expected = run(values, "reference", torch.float64, **options)
    assert disagreements(interpreted[name], expected) == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("state", [1, 5, 16, 64])
def test_compiled_scan(state):
    values = draw(batch=2, groups=4, per_group=5, state=state, tokens=300)
    expected = run(values, "reference", torch.float64, delta_softplus=True)
    found = run(values, "triton", torch.float32, "cuda", delta_softplus=True)
    assert disagreements(found, expected) == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compiled_map():
    values = draw_map(batch=2, height=30, width=22, inner=12, state=16)
    expected = run(values, "reference", torch.float64)
    assert disagreements(run(values, "triton", torch.float32, "cuda"), expected) == {}

"""Which backend is chosen, and what is said of one that cannot run."""

import importlib
import logging

import pytest
import torch

from common.errors import DeviceError
from fusion.scan import BACKENDS, backends, problem, selective_scan
from fusion.scan import reference as reference_backend

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without CUDA")


@pytest.fixture(autouse=True)
def _forget():
    backends._load.cache_clear()
    yield
    backends._load.cache_clear()


def draw(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = {"u": (1, 4, 9), "delta": (1, 4, 9), "A": (4, 3), "B": (1, 2, 3, 9), "C": (1, 2, 3, 9)}
    values = {k: torch.rand(shape, generator=generator) for k, shape in shapes.items()}
    return {k: (-v if k == "A" else v).to(dtype) for k, v in values.items()}


def test_auto_is_numba_and_says_so_once(caplog):
    caplog.set_level(logging.INFO, "fusion.scan")
    for _ in range(3):
        y = selective_scan(**draw())
    assert [record.getMessage() for record in caplog.records] == ["selective scan on cpu: numba"]
    assert torch.equal(y, selective_scan(**draw(), backend="numba"))


def test_auto_leaves_float64_to_the_reference():
    values = draw(torch.float64)
    assert torch.equal(selective_scan(**values), reference_backend.selective_scan(**values))


def test_auto_falls_back_and_says_why(monkeypatch, caplog):
    monkeypatch.setattr("fusion.scan.numba.problem", lambda: "no compiler")
    y = selective_scan(**draw())
    assert torch.equal(y, selective_scan(**draw(), backend="reference"))
    assert "numba cannot run here (no compiler): the slow reference" in caplog.text


def test_unknown_backend_names_the_choices():
    with pytest.raises(DeviceError, match=r"unknown scan backend 'cuda9'.*auto, numba, triton"):
        selective_scan(**draw(), backend="cuda9")


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_always_usable(backend):
    assert problem(backend) is None


def test_every_backend_answers():
    assert {name: problem(name) for name in BACKENDS}.keys() == set(BACKENDS)


@no_gpu
@pytest.mark.parametrize(
    ("backend", "text"),
    [
        ("mamba_ssm", r"CUDA.*pip install --no-build-isolation -e '\.\[cuda\]'"),
        ("triton", "no CUDA device|cannot import"),
    ],
)
def test_named_backend_that_cannot_run(backend, text):
    with pytest.raises(DeviceError, match=rf"scan backend '{backend}' cannot run here.*({text})"):
        selective_scan(**draw(), backend=backend)


def test_missing_package(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'triton'", name="triton")

    monkeypatch.setattr(importlib, "import_module", fail)
    assert problem("triton") == "cannot import triton: No module named 'triton'"


def test_mamba_ssm_says_how_to_install(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "`pip install --no-build-isolation -e '.[cuda]'`" in problem("mamba_ssm")


@pytest.mark.parametrize("backend", ["numba", "mamba_ssm", "triton"])
def test_float64_is_refused(backend):
    module = pytest.importorskip(f"fusion.scan.{backend}", exc_type=ImportError)
    with pytest.raises(DeviceError, match=r"works in float32 on .*choose auto or reference"):
        module.selective_scan(**draw(torch.float64))

import os
import signal
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.scan import selective_scan
from tests.fusion.scan.cases import disagreements, draw, run


def check(values, softplus):
    expected = run(values, "reference", torch.float64, delta_softplus=softplus)
    found = run(values, "numba", torch.float32, delta_softplus=softplus)
    assert disagreements(found, expected) == {}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    groups=st.sampled_from([1, 4]),
    per_group=st.integers(1, 5),
    state=st.sampled_from([1, 5, 8, 16, 64]),
    tokens=st.sampled_from([1, 2, 63, 64, 65, 150]),
    optional=st.sampled_from([(), ("D",), ("delta_bias",), ("D", "delta_bias")]),
    softplus=st.booleans(),
    seed=st.integers(0, 999),
)
def test_agrees_with_float64(softplus, **shape):
    check(draw(softplus=softplus, **shape), softplus)


@pytest.mark.parametrize("scale", [1e-3, 10.0, 100.0, 1e4])
@pytest.mark.parametrize("softplus", [False, True])
def test_tiny_and_huge_steps(scale, softplus):
    # at 1e4 every exp(delta A) underflows to 0, at 1e-3 it rounds to nearly 1
    check(draw(groups=4, tokens=200, scale=scale, softplus=softplus), softplus)


def test_growing_state():
    values = draw(tokens=30, scale=0.1)
    values["A"] = -values["A"]
    check(values, softplus=True)


def test_many_tokens_and_threads():
    # enough rows that the group is cut into parts
    check(draw(batch=2, per_group=24, tokens=700), softplus=True)


def test_no_rounding_builds_up_over_a_long_sequence():
    values = draw(per_group=1, tokens=4800, scale=0.05)
    values["delta_bias"] -= 4  # steps of 0.02: a memory of thousands of tokens
    check(values, softplus=True)


def test_non_contiguous_inputs():
    values = {k: v.float() for k, v in draw(groups=2, tokens=70).items()}
    expected = selective_scan(**values, delta_softplus=True)
    strided = {k: torch.stack((v, v), -1)[..., 0] for k, v in values.items()}
    strided["u"] = values["u"].transpose(0, 2).contiguous().transpose(0, 2)
    assert not strided["B"].is_contiguous()
    assert torch.equal(selective_scan(**strided, delta_softplus=True), expected)


def test_bfloat16_rounds_only_the_result():
    values = {k: v.to(torch.bfloat16) for k, v in draw(groups=4, tokens=300).items()}
    y = selective_scan(**values, delta_softplus=True)
    as_float = {k: v.float() for k, v in values.items()}
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, selective_scan(**as_float, delta_softplus=True).bfloat16())


def test_nan_spreads_only_forward():
    values = {k: v.float() for k, v in draw(tokens=80).items()}
    values["u"][0, 0, 70] = torch.nan
    y = selective_scan(**values, delta_softplus=True)
    assert y[0, 0, 70:].isnan().all()
    assert not y[0, 0, :70].isnan().any()
    assert not y[0, 1].isnan().any()


def test_the_same_bits_again_and_without_gradient():
    values = {k: v.float() for k, v in draw(batch=2, groups=4, per_group=20, tokens=300).items()}
    first, second = (run(values, "numba", torch.float32, delta_softplus=True) for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    with torch.inference_mode():
        y = selective_scan(**values, delta_softplus=True)
    assert torch.equal(y, first["y"])


def test_the_result_does_not_depend_on_batch_or_threads():
    values = {k: v.float() for k, v in draw(batch=3, groups=4, per_group=20, tokens=300).items()}
    y = selective_scan(**values, delta_softplus=True)
    one = {k: v[:1] if k in ("u", "delta", "B", "C") else v for k, v in values.items()}
    assert torch.equal(selective_scan(**one, delta_softplus=True), y[:1])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(selective_scan(**values, delta_softplus=True), y)
    finally:
        torch.set_num_threads(threads)


def test_autocast():
    values = {k: v.float() for k, v in draw(tokens=100).items()}
    y = selective_scan(**values, delta_softplus=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(selective_scan(**values, delta_softplus=True), y)


def test_calls_from_several_threads():
    values = {k: v.float() for k, v in draw(groups=4, per_group=20, tokens=300).items()}
    expected = selective_scan(**values, delta_softplus=True)
    found = []
    callers = [
        threading.Thread(target=lambda: found.append(selective_scan(**values, delta_softplus=True)))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert len(found) == 4
    assert all(torch.equal(y, expected) for y in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_after_fork():
    """A copy of a process whose threads have computed starts threads of its own."""

    def scan():
        u, B = torch.ones(1, 64, 200), torch.ones(1, 1, 16, 200)
        return selective_scan(u, u, -torch.ones(64, 16), B, B).sum().item()

    expected = scan()
    child = os.fork()
    if not child:
        signal.alarm(60)  # kills it where it hangs
        try:
            os._exit(0 if scan() == expected else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

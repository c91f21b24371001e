"""Which registers the compiler may use."""

import pytest
from numba import config

from common import compiled


@pytest.mark.parametrize(
    ("features", "name", "given", "expected"),
    [
        ("+avx2,+avx512f", None, None, "+avx2,+avx512f,-prefer-256-bit"),
        ("+avx2,-avx512f", None, None, None),
        ("+avx2,+avx512f", None, "+sse2", "+sse2"),
        ("+avx2,+avx512f", "generic", None, None),
    ],
)
def test_whole_registers_unless_numba_is_told_otherwise(
    monkeypatch, features, name, given, expected
):
    monkeypatch.setattr(compiled, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(config, "CPU_NAME", name)
    monkeypatch.setattr(config, "CPU_FEATURES", given)
    compiled._use_whole_registers()
    assert expected == config.CPU_FEATURES

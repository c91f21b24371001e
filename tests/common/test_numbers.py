"""Numbers that only Python takes are none; all others are what Python says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.numbers import decimal, whole


@pytest.mark.parametrize(
    "text", ["1_0", "١٢", "", " 1", "0x1", "1e", "1.2.3", "infinity", "--1", "²"]
)
def test_what_is_no_number(text):
    for read in (whole, decimal):
        with pytest.raises(ValueError, match="number"):
            read(text)


@given(st.floats())
def test_every_float_is_a_number(value):
    again = decimal(repr(value))
    assert again == value or (math.isnan(again) and math.isnan(value))


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_whole_number_is_one(value):
    assert whole(str(value)) == value

"""Cells of CSV files: harmless in a spreadsheet, and the same when they are read back."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cells import cell, plain

RISKY = "=+-@\t\r"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_comes_back(text):
    file = io.StringIO(newline="")
    csv.writer(file).writerow([cell(text), "end"])
    file.seek(0)
    assert plain(next(csv.reader(file))[0]) == text


@given(st.sampled_from(RISKY), st.text("=+-@()A1!|cmd' \t", max_size=8))
def test_no_text_begins_a_formula(first, rest):
    written = cell(first + rest)
    assert written[0] not in RISKY or float(written) is not None


@pytest.mark.parametrize("number", [-1, -0.5, 3, None, "-1", "+2.5e-3", "-.5"])
def test_numbers_stay_numbers(number):
    assert cell(number) == number

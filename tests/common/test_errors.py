"""What messages may show: nothing secret, nothing long, and no value that takes long to write."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import LONGEST, QUOTED, DataError, mask, shown

WORD = st.text("abcXYZ019!$&*+,;=:'\"()~%._-", min_size=3, max_size=20)


@settings(max_examples=50)
@given(WORD, WORD, st.sampled_from(["rtsp", "http", "https", "file+x"]))
def test_no_message_shows_a_password(user, password, scheme):
    user, secret = f"u{user}", f"S3CRET{password}"
    for address in (
        f"{scheme}://{user}:{secret}@host/stream",
        f"{scheme}:/{user}:{secret}@host/stream",  # as a Path
        f"{user}:{secret}@host/stream",
        f"{scheme}://host/stream?key={re.sub('[^A-Za-z0-9]', '', secret)}",
    ):
        for text in (address, f"source.ir: {[address]!r} is none", f"{{a: {address}: b}}"):
            assert "S3CRET" not in mask(text)
            assert "S3CRET" not in str(DataError(text))
            assert mask(mask(text)) == mask(text)
        assert "S3CRET" not in shown(address) + shown([address]) + shown({"k": (address,)})


def test_what_is_no_address_stays():
    text = "C:/Users/a@b.png: did you mean 'x'? choose from a?b, mail@host"
    assert mask(text) == text
    assert mask("p://user:S3CRET@host") == "p://***@host"  # no drive of Windows has two slashes


def test_values_are_cut():
    assert shown("x" * 10**7) == "'" + "x" * 52 + "…" + "x" * 25 + "'"
    bomb = ["lol"]
    for _ in range(40):
        bomb = [bomb] * 9  # 9^40 words
    assert len(shown(bomb)) <= QUOTED
    assert shown(10**5000) == "a number of 16610 bits"
    assert shown({"a": 1, "b": [True, None]}) == "{'a': 1, 'b': [True, None]}"


@pytest.mark.parametrize("text", ["a" * 10**6, "a\nb\n" * 10**6, "rtsp://u:S3CRET" * 10**5 + "@h"])
def test_a_message_is_one_short_line(text):
    message = str(DataError(text))
    assert len(message) <= LONGEST
    assert "\n" not in message

"""Small changes to good inputs, for ``fuzz.py``."""

import json
import random
from typing import Any

SECRET = "S3CRET"  # noqa: S105  (no message may show it)
ADDRESS = f"rtsp://user:{SECRET}@host/x"

VALUES: list[Any] = [
    None, True, -1, 0, 1e308, float("nan"), 10**30, "", "x" * 500, "\ud800", "[/x]", [], {}, [[]],
    {"a": None}, ADDRESS, "../..", "nan", "١", "=1+1", 0.5, [1, 2, 3, 4], "null",
]  # fmt: skip
TEXTS = [
    "!!int ''", "!!bool x", "!!timestamp x", "!!set [1]", "&a [*a]", "{", "[", "]", "'", '"', "*b",
    "<<: 1", "\t", "\0", "١", "1_0", "1e999", "NaN", "-", "=", "9" * 5000, "<a>", "&#0;", ADDRESS,
]  # fmt: skip


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """A few bytes flipped, cut, doubled or put in."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        what = rng.randrange(6)
        if what == 0 and at < len(out):
            out[at] = rng.randrange(256)
        elif what == 1:
            del out[at : at + rng.choice((1, 4, 64, 4096))]
        elif what == 2:
            out[at:at] = rng.choice(TEXTS).encode()
        elif what == 3:
            out[at:at] = out[at : at + rng.choice((1, 8, 256))]
        elif what == 4 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        else:
            out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
    return bytes(out)


def changed_value(rng: random.Random, value: Any) -> Any:
    """Plain values with one of them, anywhere, replaced, removed or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            rest = {k: v for k, v in value.items() if k != key}
            return rest if rng.random() < 0.5 else {**rest, rng.choice(["x", "", 1]): value[key]}
        return {**value, key: changed_value(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], changed_value(rng, value[at]), *value[at + rng.randrange(2) :]]
    return rng.choice(VALUES)


def some_json(rng: random.Random, value: object) -> bytes:
    """JSON of changed values, or changed text of it."""
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        value = changed_value(rng, value)
    data = json.dumps(value).encode()
    return changed_bytes(rng, data) if rng.random() < 0.4 else data

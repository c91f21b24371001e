"""Which entries of a protocol change what a score means, and which only accompany it."""

import copy
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.fingerprint import ABSENT, differences, fingerprint, matters, side_differences

PROTOCOL = {
    "preset": "paper-msrs",
    "modified": ["pad"],
    "notes": ["read this"],
    "classes": [0, 2],
    "baselines": {"ir": "ir", "vis": None},
    "perturb": None,
    "arms": {"fused": {"kind": "average"}, "ir": {"kind": "ir_only"}},
    "compute": {"device": "cpu", "dtype": "bfloat16", "batch": 4, "threads": 2},
    "versions": {"irvis": "0.1.0", "torch": "2.15.0"},
    "detector": {
        "network": "yolov5n",
        "weights": "yolov5n.pt",
        "weights_sha256": "ab",
        "conf": 0.001,
        "ultralytics": "8.4.190",
        "input_shapes": [[512, 640]],
    },
    "images": 12,
    "ground_truth_sha256": "cd",
}


def changed(path, value):
    """The protocol with another value at a dotted key."""
    protocol = copy.deepcopy(PROTOCOL)
    *sections, name = path.split(".")
    part = protocol
    for section in sections:
        part = part[section]
    part[name] = value
    return protocol


def test_by_hand():
    text = (
        '{"classes":[0,2],"detector":{"conf":0.001,"input_shapes":[[512,640]],'
        '"network":"yolov5n","weights_sha256":"ab"},"ground_truth_sha256":"cd","images":12}'
    )
    assert matters(PROTOCOL) == json.loads(text)
    assert fingerprint(PROTOCOL) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_before_and_after_writing_it_is_the_same():
    tuples = {**changed("detector.input_shapes", [(512, 640)]), "classes": (0, 2)}
    assert matters(tuples) == matters(PROTOCOL)
    backwards = dict(reversed(PROTOCOL.items()))
    assert fingerprint(tuples) == fingerprint(backwards) == fingerprint(PROTOCOL)
    marked = {**PROTOCOL, "fingerprint": fingerprint(PROTOCOL)}
    assert fingerprint(marked) == fingerprint(PROTOCOL)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", None),
        ("images", 13),
        ("ground_truth_sha256", "ce"),
        ("detector.weights_sha256", "ac"),
        ("detector.conf", 0.25),
        ("detector.dtype", "bfloat16"),
        ("detector.input_shapes", [[512, 640], [480, 640]]),
        ("detector.tiles", 4),  # a setting that this version doesn't know
        ("curve_end", "last_recall"),
    ],
)
def test_what_matters(key, value):
    other = changed(key, value)
    assert fingerprint(other) != fingerprint(PROTOCOL)
    before = PROTOCOL
    for name in key.split("."):
        before = before.get(name, ABSENT)
    assert differences(PROTOCOL, other) == [(key, before, value)]
    assert differences(other, PROTOCOL) == [(key, value, before)]
    assert side_differences(PROTOCOL, other) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("versions.torch", "2.16.0", [("versions.torch", "2.15.0", "2.16.0")]),
        ("detector.ultralytics", "9", [("detector.ultralytics", "8.4.190", "9")]),
        ("compute.dtype", "float32", [("compute.dtype", "bfloat16", "float32")]),
        ("perturb", {"ir_noise": 20.0}, [("perturb.ir_noise", ABSENT, 20.0)]),
        (
            "arms.fused",
            {"kind": "laplacian", "levels": 4},
            [("arms.fused.kind", "average", "laplacian"), ("arms.fused.levels", ABSENT, 4)],
        ),
        ("arms.more", {"kind": "maximum"}, []),  # no arm of the same name
        ("detector.weights", "mine.pt", []),  # the sha256 says that they are the same
        ("preset", "detect", []),
        ("modified", [], []),
        ("notes", [], []),
        ("baselines", {"ir": None, "vis": None}, []),
    ],
)
def test_what_only_accompanies(key, value, expected):
    other = changed(key, value)
    assert fingerprint(other) == fingerprint(PROTOCOL)
    assert differences(PROTOCOL, other) == []
    assert side_differences(PROTOCOL, other) == expected


def test_a_run_that_only_fuses():
    other = changed("detector", None)
    assert matters(other)["detector"] is None
    assert differences(PROTOCOL, other) == [("detector", matters(PROTOCOL)["detector"], None)]
    assert side_differences(other, PROTOCOL) == [("detector.ultralytics", ABSENT, "8.4.190")]


values = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 0.5, "a"]))
protocols = st.fixed_dictionaries(
    {"classes": values, "detector": st.none() | st.dictionaries(st.sampled_from("abc"), values)}
)


@given(a=protocols, b=protocols)
def test_there_are_differences_where_the_fingerprints_differ_and_only_there(a, b):
    assert (differences(a, b) == []) == (fingerprint(a) == fingerprint(b))


def test_float32_is_what_runs_had_before_there_was_a_choice():
    assert fingerprint(changed("detector.dtype", "float32")) == fingerprint(PROTOCOL)

"""When two runs' scores mean the same: the part of a run's protocol that they depend on."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = "absent"  # stands for what one of two protocols doesn't have

# What differs between runs that are worth comparing, or follows from what is left. Every other
# entry counts, also one that this version doesn't know.
_SIDE = ("perturb", "arms", "compute", "versions")
_NAMES = ("fingerprint", "preset", "modified", "notes", "baselines")
# Of the detector: the sha256 says what the weights are, whatever their file is called.
_WEIGHTS, _LIBRARY = "weights", "ultralytics"
WITHOUT_DTYPE = "float32"  # what a detector without a dtype computes in

Differences = list[tuple[str, Any, Any]]


def matters(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``results.json``'s ``protocol`` that changes what a score means.

    The classes that count, the detector with its settings and its weights' hash, the images and
    their labels. Runs that agree in it differ in what their arms showed to the detector. The
    preset's name isn't in it: what a preset sets is.
    """
    kept = {name: part for name, part in protocol.items() if name not in _SIDE + _NAMES}
    if kept.get("detector") is not None:
        detector = kept["detector"].items()
        kept["detector"] = {
            name: value
            for name, value in detector
            if name not in (_WEIGHTS, _LIBRARY) and (name, value) != ("dtype", WITHOUT_DTYPE)
        }
    plain: dict[str, Any] = json.loads(json.dumps(kept))  # as it stands in a file: no tuples
    return plain


def fingerprint(protocol: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that are equal where what matters is: SHA-256 of its canonical JSON."""
    return hashlib.sha256(_canonical(matters(protocol)).encode()).hexdigest()[:16]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Differences:
    """In what two protocols differ that matters: dotted key, value in a, value in b.

    Empty where the fingerprints are equal, and only there. ``ABSENT`` is the value of a key that
    one of them doesn't have.
    """
    return list(_compare(matters(a), matters(b)))


def side_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Differences:
    """In what else they differ that a reader should know: see ``differences``.

    Perturbation, settings of arms that both have, device and number type, versions.
    """
    both = set(a["arms"]) & set(b["arms"])
    return list(_compare(_side(a, both), _side(b, both)))


def _side(protocol: Mapping[str, Any], arms: set[str]) -> dict[str, Any]:
    detector = protocol["detector"] or {}
    library = {_LIBRARY: detector[_LIBRARY]} if _LIBRARY in detector else {}
    return {
        "perturb": protocol["perturb"] or {},
        "arms": {name: arm for name, arm in protocol["arms"].items() if name in arms},
        "compute": protocol["compute"],
        "versions": protocol["versions"],
        "detector": library,
    }


def _compare(a: Any, b: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in {**a, **b}:
            inner = f"{path}.{name}" if path else name
            yield from _compare(a.get(name, ABSENT), b.get(name, ABSENT), inner)
    elif _canonical(a) != _canonical(b):
        yield path, a, b


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

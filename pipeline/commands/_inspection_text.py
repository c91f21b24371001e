"""What an inspection found, a line each."""

from collections.abc import Iterator, Mapping

import numpy as np

from common.modality import CAMERA, MODALITIES
from eval.label_report import Counted, counted_text
from pipeline.commands._inspection import GAP, Camera, Inspection
from pipeline.geometry.misalignment import TELLING

_SECOND = 1_000_000_000  # in nanoseconds
_MOST = 5  # kinds of images in a line


def lines(found: Inspection) -> Iterator[str]:
    """All that was found, in words."""
    if found.title:
        yield _line("data set", found.title)
    alone = [f"{found.cameras[c].alone} {CAMERA[c]} without partner" for c in MODALITIES
             if found.cameras[c].alone]  # fmt: skip
    yield _line("pairs", ", ".join([str(found.pairs), *alone]))
    for camera in MODALITIES:
        yield _line(CAMERA[camera], _several(found.cameras[camera].kinds))
    yield _line("looked at", f"{found.looked} pairs, evenly spaced")
    yield _line("labels", _labels(found))
    if found.labels is not None:
        yield from (_line("", text) for text in (*found.labels.warnings, *found.labels.notes))
    yield _line("light", _light(found))
    yield _line("misalignment", _misalignment(found))
    for camera in MODALITIES:
        if len(found.cameras[camera].times) > 1:
            yield _line(f"{CAMERA[camera]} rate", _rate(found.cameras[camera]))
    if found.damaged:
        yield _line("damaged", f"{len(found.damaged)}, the first: {found.damaged[0]}")


def _line(name: str, text: str) -> str:
    return f"{name:<15}{text}"


def _several(numbers: Mapping[str, int]) -> str:
    """Like ``640x512, 8 bit grey`` or, of several kinds, each with its number."""
    ranked = sorted(numbers.items(), key=lambda item: -item[1])
    if len(ranked) == 1:
        return ranked[0][0]
    some = "; ".join(f"{number} of {kind}" for kind, number in ranked[:_MOST])
    return (some or "none") + (f"; {len(ranked)} kinds in all" if len(ranked) > _MOST else "")


def _labels(found: Inspection) -> str:
    if found.labels is None:
        return "none"
    counted = Counted.of(found.labels, None)
    return (
        f"{counted_text(counted.counted, counted.not_counted) or 'no object'}; "
        f"no object in {found.empty} pair(s)"
    )


def _light(found: Inspection) -> str:
    """Day and night, and how that is known."""
    parts = [
        f"{numbers['day']} day, {numbers['night']} night {how}"
        for numbers, how in ((found.named, "by name"), (found.bright, "by brightness, of those"))
        if numbers
    ]
    return "; ".join(parts) + (" looked at" if found.bright else "") if parts else "unknown"


def _misalignment(found: Inspection) -> str:
    """The median shift and length of those that are reliable."""
    if not found.shifts:
        why = "the cameras' sizes differ: irvis calibrate" if found.unequal else "no pair"
        return f"not measured: {why}"
    told = [shift for shift in found.shifts if shift.response >= TELLING]
    of = f"{len(told)} of {len(found.shifts)} pairs tell"
    if not told:
        return f"unknown: {of}"
    x, y = (np.array([getattr(shift, name) for shift in told]) for name in ("dx", "dy"))
    length = np.hypot(x, y)
    return (
        f"median {np.median(length):.1f} pixels, 90% within {np.quantile(length, 0.9):.1f}; "
        f"infrared is {np.median(x):+.1f} right, {np.median(y):+.1f} down in the median; {of}"
    )


def _rate(camera: Camera) -> str:
    """Frames per second, and the gaps between frames."""
    times = np.sort(np.array(camera.times, np.int64))
    steps = np.diff(times)
    usual = float(np.median(steps))
    text = f"{_SECOND / usual:.4g} frames per second" if usual else "all at one time"
    text += f", {len(times)} frames in {(times[-1] - times[0]) / _SECOND:.4g} s"
    gaps = steps[steps > GAP * usual] if usual else steps[:0]
    if not gaps.size:
        return f"{text}, no gap"
    return f"{text}, {gaps.size} gap(s), the longest {gaps.max() / _SECOND:.4g} s"

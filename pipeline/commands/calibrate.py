"""`irvis calibrate`: estimates the registration of two fixed cameras from image pairs."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.table import Table

from common.errors import ConfigError, DataError
from eval.report.tables import NONE
from pipeline.commands import _terminal
from pipeline.commands._calibration_pairs import open_evenly, read_pairs, size_text
from pipeline.commands._terminal import console
from pipeline.commands.fuse import section
from pipeline.config.overrides import apply_override
from pipeline.geometry import registration
from pipeline.geometry.alignment import ROUNDS, Alignment, Model, Pair, align, candidates, choose
from pipeline.geometry.checkerboard import checkerboard, registered
from pipeline.geometry.misalignment import TELLING, misalignment
from pipeline.geometry.registration import Calibration, Homography, Register
from pipeline.images import write_png

_DISTANCE = 0.015  # largest distance of a consistent pair, relative to the visible diagonal
_FEWEST, _SHARE = 3, 0.25  # least number and share of consistent pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add inputs, output and settings."""
    parser.add_argument("ir", type=Path, metavar="IR", help="folder, recording or image")
    parser.add_argument("vis", type=Path, metavar="VIS", help="folder, recording or image")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="json")
    parser.add_argument(
        "--model",
        choices=["auto", "translation", "similarity", "affine", "homography"],
        default="auto",
        help="auto: the simplest that fits; similarity: for few or similar pairs; homography: for "
        "many pairs of different places",
    )
    parser.add_argument(
        "--ir-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of 16-bit infrared"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="checkerboard png, IR in orange"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="source.key=value",
        help="settings of the pairs as in a run: source.offset_ms=40, source.names.ir=_IR",
    )


def run(parsed: argparse.Namespace) -> None:
    """Estimate, write the file and print the result."""
    with _terminal.progress("estimates") as show:
        calibration = calibrate(
            parsed.ir,
            parsed.vis,
            model=parsed.model,
            picture=parsed.picture,
            ir_range=tuple(parsed.ir_range) if parsed.ir_range else None,
            settings=parsed.overrides,
            on_progress=show,
        )
    registration.write(parsed.output, calibration)
    print_report(calibration)


def calibrate(
    ir: Path,
    vis: Path,
    *,
    model: Model | Literal["auto"] = "auto",
    ir_range: tuple[float, float] | None = None,
    picture: Path | None = None,
    settings: Sequence[str] = (),
    on_progress: Callable[[int, int | None], None],
) -> Calibration:
    """Estimate the mapping from infrared to visible pixels.

    Up to 40 pairs, evenly spaced over the input, are used. The residual measures their consistency,
    not their accuracy: all pairs of one still scene have the same error, above all in corners of
    the image without edges. Check the picture, and give pairs of many places.

    If the distance between the cameras is small compared with that of the scene, the images differ
    by a homography, which is close to a similarity if the cameras look in nearly the same
    direction. ``translation`` is for images that only differ by a shift, ``similarity`` (zoom,
    rotation, shift) for few or similar pairs, ``affine`` also for different aspect ratios, and
    ``homography`` for many pairs of different places with edges everywhere in the image, where it
    is the most accurate model; otherwise it is the least accurate. ``auto`` chooses the simplest
    of all models but ``affine`` whose agreement is close to the best.

    Args:
        ir: Infrared folder, recording or image.
        vis: Visible folder, recording or image; its size may differ from the infrared's.
        model: ``auto``, ``translation``, ``similarity``, ``affine`` or ``homography``.
        ir_range: Counts of 16-bit infrared that become black and white.
        picture: A `.png` file for a checkerboard of the visible and the registered infrared image
            of a typical pair.
        settings: ``source.KEY=value``, as in a run's configuration.
        on_progress: Called with the number of finished estimates and of all.

    Raises:
        ConfigError: The picture is not a PNG in an existing folder, or ``ir_range`` is wrong.
        DataError: The input cannot be read, sizes change, or too few pairs are consistent.
    """
    if picture is not None and picture.suffix != ".png":
        raise ConfigError(f"{picture}: the picture needs a name that ends with .png")
    if picture is not None and not picture.parent.is_dir():
        raise ConfigError(f"{picture}: there is no folder {picture.parent}")
    chosen: dict[str, Any] = {}
    for setting in settings:
        apply_override(chosen, setting)
    of_source = section(chosen, "source")
    if chosen:
        raise ConfigError(f"{next(iter(chosen))}: only keys of the source can be set: source.KEY")
    pairs = read_pairs(open_evenly(ir, vis, {"ir_range": ir_range, **of_source}))
    if not pairs:
        raise DataError(f"{ir} and {vis}: no frame of one has a partner in the other")
    total = len(pairs) * len(ROUNDS) * (len(candidates(len(pairs))) if model == "auto" else 1)

    def step(done: int) -> None:
        on_progress(done, total)

    used, alignment = choose(pairs, step) if model == "auto" else (model, align(pairs, model, step))
    calibration, agreeing = _calibration(pairs, alignment, used)
    if picture is not None:
        by_distance = sorted(agreeing, key=lambda index: alignment.distances[index])
        ir_image, vis_image = pairs[by_distance[len(by_distance) // 2]]
        write_png(picture, checkerboard(ir_image, vis_image, calibration))
    return calibration


def print_report(calibration: Calibration) -> None:
    """Print the calibration and its residual."""
    made = calibration.made or registration.Made(by="hand")
    table = Table(show_header=False)
    middle = registration.project(
        calibration.matrix, registration.corners(calibration.ir_size).mean(axis=0)[None]
    )[0]
    residual = made.residual_px
    for name, text in (
        ("model", made.model),
        ("infrared", size_text(calibration.ir_size)),
        ("visible", size_text(calibration.vis_size)),
        ("infrared centre at", f"x {middle[0]:.1f}, y {middle[1]:.1f}"),
        ("visible image covered", f"{Register(calibration).covered.mean():.0%}"),
        ("pairs used", f"{made.used} of {made.pairs}"),
        ("residual, median", f"{residual.median:.2f} pixels" if residual else NONE),
        ("residual, 95%", f"{residual.p95:.2f} pixels" if residual else NONE),
    ):
        table.add_row(name, text)
    out = console()
    out.print(table, highlight=False)
    if residual is None:
        text = "Warning: fewer than two pairs were used, so its accuracy is unknown."
        out.print(text, soft_wrap=True)


def _calibration(
    pairs: Sequence[Pair], alignment: Alignment, model: Model
) -> tuple[Calibration, list[int]]:
    """The calibration, and the indices of the consistent pairs.

    A pair is consistent if its own estimate is close to the common one and its gradient directions,
    which the estimate does not use, correlate after registration.
    """
    ir_size, vis_size = pairs[0][0].shape, pairs[0][1].shape
    advice = "give more pairs with edges that both cameras see (by day, not all of one place)"
    try:
        bare = Calibration(
            schema=1, homography=_rows(alignment.homography), ir_size=ir_size, vis_size=vis_size
        )
    except ValueError as error:
        raise DataError(f"no alignment of the {len(pairs)} pairs was found; {advice}") from error
    register = Register(bare)
    near = alignment.distances <= _DISTANCE * np.hypot(*vis_size)  # (n,), False for NaN
    agreeing = [i for i, pair in enumerate(pairs) if near[i] and _reliable(pair, register)]
    least = max(min(_FEWEST, len(pairs)), round(_SHARE * len(pairs)))
    estimated = np.isfinite(alignment.distances).sum()
    if len(agreeing) < least or len(agreeing) < estimated / 2:
        needed = max(least, -(-estimated // 2))
        raise DataError(
            f"{len(agreeing)} of {len(pairs)} pairs agree on an alignment, {needed} must; {advice},"
            " check that the pairs are of one moment, or try --model translation"
        )
    residual = None
    if len(agreeing) > 1:
        median, p95 = np.percentile(alignment.distances[agreeing], (50, 95))
        residual = registration.Residual(median=round(float(median), 3), p95=round(float(p95), 3))
    made = registration.Made(by="irvis calibrate", model=model, pairs=len(pairs),
                             used=len(agreeing), residual_px=residual)  # fmt: skip
    return bare.model_copy(update={"made": made}), agreeing


def _reliable(pair: Pair, register: Register) -> bool:
    """Whether the misalignment of a registered pair can be measured."""
    ir, vis = pair
    measured = misalignment(ir=registered(ir, register), vis=vis, covered=register.covered)
    return measured.response >= TELLING


def _rows(matrix: Homography) -> tuple[tuple[float, float, float], ...]:
    """The rows of a matrix, scaled so that the lower right element is 1."""
    return tuple(tuple(row) for row in (matrix / matrix[2, 2]).tolist())

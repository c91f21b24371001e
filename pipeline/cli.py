"""The command line `irvis`: arguments in, exit code out.

Exit code 0: done; 1: a bug, with its traceback; 2: the user's mistake, one line; 130: Ctrl-C;
143: SIGTERM.
"""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from errors import IrvisError
from pipeline.config import DEFAULT
from pipeline.demo import SCENES, overrides_of

KEYS = "dotted.key=value"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    parser = _parser()
    parsed, rest = parser.parse_known_args(arguments)
    if not hasattr(parsed, "overrides") or any("=" not in r or r.startswith("-") for r in rest):
        parser.parse_args(arguments)  # says what is wrong
    else:
        parsed.overrides += rest  # argparse wants all positionals together
    errors = Console(stderr=True)
    handler = RichHandler(console=errors, show_time=False, show_path=False, markup=False)
    level = logging.INFO if parsed.verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], format="%(message)s", force=True)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        parsed.command(parsed)
    except IrvisError as error:
        print(f"irvis: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:  # no permission, no space: not ours, and no bug either
        if parsed.verbose:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"irvis: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, _Terminated) as stop:
        print("irvis: stopped; run.resume=true continues an unfinished run", file=sys.stderr)
        return 143 if isinstance(stop, _Terminated) else 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


class _Terminated(BaseException):
    """SIGTERM came; as with Ctrl-C, files are closed on the way out."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="irvis", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a configuration: fuse, detect, evaluate")
    _add_configuration(run, "arms.lap.kind=laplacian")
    run.set_defaults(command=_run)

    drive = commands.add_parser("demo", help="generate a drive, fuse it, detect, say what helped")
    drive.add_argument(
        "--scene", choices=list(SCENES), default="dusk", help="default dusk to night"
    )
    drive.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. source.seed=3")
    drive.set_defaults(command=_demo)

    fuse = commands.add_parser("fuse", help="only fuse: two folders, two videos or two images")
    fuse.add_argument("ir", type=Path, metavar="IR", help="folder, recording or image")
    fuse.add_argument("vis", type=Path, metavar="VIS", help="likewise")
    fuse.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="new folder")
    fuse.add_argument(
        "overrides", nargs="*", metavar="key=value", help="of the fuser: kind=maximum"
    )
    fuse.set_defaults(command=_fuse)

    sweep = commands.add_parser("sweep", help="run a configuration at several values of a key")
    _add_configuration(sweep, "perturb.ir_noise=0,10,20")
    sweep.set_defaults(command=_sweep)

    show = commands.add_parser("show", help="all tables of a finished run")
    show.add_argument("run", type=Path, metavar="RUN", help="run folder")
    show.set_defaults(command=_show)

    report = commands.add_parser("report", help="a page of a run, of several, or of a sweep")
    report.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run or sweep folder")
    report.add_argument("-o", "--output", type=Path, metavar="FILE", help="default RUN/report.html")
    report.add_argument(
        "--figures", type=Path, metavar="OUT", help="instead of a page: PDF charts, LaTeX tables"
    )
    report.set_defaults(command=_report)

    compare = commands.add_parser("compare", help="runs on the same images against each other")
    compare.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="later less the first")
    compare.add_argument("-o", "--output", type=Path, help="write the numbers as json")
    compare.set_defaults(command=_compare)

    evaluate = commands.add_parser("evaluate", help="score COCO predictions made by any program")
    evaluate.add_argument(
        "predictions", type=Path, metavar="PREDICTIONS", help="COCO results json, or dir"
    )
    evaluate.add_argument("labels", type=Path, metavar="LABELS", help="COCO json, YOLO or VOC dir")
    evaluate.add_argument("--images", type=Path, help="the images, for labels that are a folder")
    evaluate.add_argument(
        "--classes", help="names of those that count, default person,car as far as they are there"
    )
    evaluate.add_argument("-o", "--output", type=Path, help="write the numbers as json")
    evaluate.set_defaults(command=_evaluate)

    train = commands.add_parser("train", help="train the fuser on pairs of images and recordings")
    train.add_argument("config", type=Path, metavar="CONFIG", help="e.g. configs/train_irvis.yaml")
    train.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. network.size=small")
    train.set_defaults(command=_train)

    quality = commands.add_parser("quality", help="measure fused images made by any program")
    for name, what in (("ir", "infrared"), ("vis", "visible"), ("fused", "fused")):
        quality.add_argument(name, type=Path, metavar=name.upper(), help=f"{what} folder or image")
    quality.add_argument("-o", "--output", type=Path, help="write one row an image as csv")
    quality.set_defaults(command=_quality)

    calibrate = commands.add_parser("calibrate", help="estimate how two cameras lie to each other")
    calibrate.add_argument("ir", type=Path, metavar="IR", help="folder, recording or image")
    calibrate.add_argument("vis", type=Path, metavar="VIS", help="likewise")
    calibrate.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="json")
    calibrate.add_argument(
        "--model",
        choices=["auto", "translation", "similarity", "affine", "homography"],
        default="auto",
        help="auto takes the simplest that fits; similarity for few or similar pairs, homography "
        "for many of different places",
    )
    calibrate.add_argument(
        "--ir-range", type=int, nargs=2, metavar=("LOW", "HIGH"), help="of 16-bit infrared"
    )
    calibrate.add_argument(
        "--picture", type=Path, metavar="FILE", help="checkerboard png, IR in orange"
    )
    calibrate.set_defaults(command=_calibrate)

    download = commands.add_parser("download", help="fetch known weights, checked by sha256")
    download.add_argument("name", nargs="+", help="e.g. yolov5s")
    download.set_defaults(command=_download)

    bench = commands.add_parser("bench", help="how fast the fusers are here and where time goes")
    bench.add_argument("what", choices=["fuser"], help="fusionmamba with random weights")
    bench.add_argument("--size", nargs="+", default=["tiny", "small", "base"], metavar="SIZE")
    bench.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"], metavar="DTYPE")
    bench.add_argument("--quick", action="store_true", help="480x640 only, three runs each")
    bench.set_defaults(command=_bench)

    doctor = commands.add_parser("doctor", help="what is installed, what is missing, what to do")
    doctor.set_defaults(command=_doctor)

    for command in commands.choices.values():
        command.add_argument("-v", "--verbose", action="store_true", help="say more")
    return parser


def _add_configuration(command: argparse.ArgumentParser, example: str) -> None:
    """What ``_configuration`` reads."""
    command.add_argument("config", nargs="?", help=f"YAML file, default {DEFAULT.name}")
    command.add_argument("overrides", nargs="*", metavar=KEYS, help=f"e.g. {example}")


# The commands import what they need: `irvis --help` shouldn't wait for torch.


def _configuration(parsed: argparse.Namespace) -> tuple[Path, list[str]]:
    """The configuration file and the overrides."""
    path, overrides = parsed.config, list(parsed.overrides)
    if path is not None and "=" in path and not Path(path).is_file():
        return DEFAULT, [path, *overrides]  # only overrides
    return Path(path) if path else DEFAULT, overrides


def _run(parsed: argparse.Namespace) -> None:
    _run_configuration(*_configuration(parsed))


def _demo(parsed: argparse.Namespace) -> None:
    _run_configuration(DEFAULT, [*overrides_of(parsed.scene), *parsed.overrides])


def _run_configuration(path: Path, overrides: Sequence[str]) -> None:
    from pipeline import config, runner, terminal

    checked = config.load(path, overrides)
    with terminal.progress() as show:
        outcome = runner.run(checked, show)
    terminal.report(outcome)


def _fuse(parsed: argparse.Namespace) -> None:
    from pipeline import fuse, terminal

    with terminal.progress() as show:
        count = fuse.fuse(parsed.ir, parsed.vis, parsed.output, parsed.overrides, show)
    print(f"{count} fused {'image' if count == 1 else 'images'} in {parsed.output}")


def _sweep(parsed: argparse.Namespace) -> None:
    from pipeline import sweep, terminal

    sweep.report(sweep.sweep(*_configuration(parsed), terminal.progress))


def _show(parsed: argparse.Namespace) -> None:
    from pipeline import show

    show.report(parsed.run)


def _report(parsed: argparse.Namespace) -> None:
    from errors import ConfigError
    from pipeline import report

    if parsed.figures is None:
        print(report.report(parsed.runs, parsed.output))
        return
    if len(parsed.runs) > 1 or parsed.output:
        raise ConfigError("irvis report --figures: takes one run, and no -o")
    for path in report.figures(parsed.runs[0], parsed.figures):
        print(path)


def _compare(parsed: argparse.Namespace) -> None:
    from pipeline import compare, evaluate

    comparison = compare.compare(parsed.runs)
    if parsed.output:
        evaluate.write(parsed.output, comparison)
    compare.report(comparison)


def _evaluate(parsed: argparse.Namespace) -> None:
    from pipeline import evaluate, terminal

    results = evaluate.evaluate(
        parsed.predictions,
        parsed.labels,
        images=parsed.images,
        classes=parsed.classes.split(",") if parsed.classes else None,
    )
    if parsed.output:
        evaluate.write(parsed.output, results)
    terminal.evaluation(results)


def _train(parsed: argparse.Namespace) -> None:
    from pipeline import terminal
    from training import config, loop

    checked = config.load(parsed.config, parsed.overrides)
    with terminal.progress("steps") as show:
        outcome = loop.train(checked, show)
    print(f"{outcome.weights}: {outcome.seconds / 60:.1f} minutes, sha256 {outcome.sha256}")


def _quality(parsed: argparse.Namespace) -> None:
    from pipeline import quality, terminal

    with terminal.progress("images") as show:
        measured = quality.measure(parsed.ir, parsed.vis, parsed.fused, show)
    if parsed.output:
        quality.write(parsed.output, measured)
    quality.report(measured)


def _calibrate(parsed: argparse.Namespace) -> None:
    from pipeline import calibrate, registration, terminal

    with terminal.progress("estimates") as show:
        found = calibrate.calibrate(
            parsed.ir,
            parsed.vis,
            model=parsed.model,
            picture=parsed.picture,
            ir_range=tuple(parsed.ir_range) if parsed.ir_range else None,
            on_progress=show,
        )
    registration.write(parsed.output, found)
    calibrate.report(found)


def _download(parsed: argparse.Namespace) -> None:
    from detection import weights

    logging.getLogger("detection").setLevel(logging.INFO)
    for name in parsed.name:
        print(weights.download(name))


def _bench(parsed: argparse.Namespace) -> None:
    from pipeline import bench

    bench.report(parsed.size, parsed.dtype, quick=parsed.quick)


def _doctor(parsed: argparse.Namespace) -> None:
    from pipeline import doctor

    doctor.report()

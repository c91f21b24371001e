"""What a person sees: the progress bar on standard error, the tables on standard output."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from pipeline.runner import Outcome

NONE = "–"


@contextmanager
def progress() -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar with pairs per second and the time left; gives the function that moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("pairs", total=None, speed="")

        def show(done: int, total: int | None) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            text = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, speed=text)

        yield show


def report(outcome: Outcome) -> None:
    """The headline, the table of arms and where the files are."""
    console = _console()
    console.print(headline(outcome), highlight=False, markup=False)
    if outcome.results is not None:
        arms = outcome.results["arms"]
        detection = {arm: part["detection"] for arm, part in arms.items()}
        if any(detection.values()):
            detection_table(detection, outcome.timing["arms_ms_per_pair"])
        elif outcome.results["protocol"]["detector"] is not None:
            console.print("The source has no labels: detections and times, but no scores.")
            time_table(outcome.timing["arms_ms_per_pair"])
    for line in _notes(outcome):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"Run folder: {outcome.folder}", highlight=False, markup=False, soft_wrap=True)


def headline(outcome: Outcome) -> str:
    """How much of the input the numbers speak of."""
    summary, frames = outcome.summary, outcome.summary.frames
    pairs = frames["paired"]
    text = f"{pairs} of {pairs + frames['failed']} pairs"
    if summary.labelled_objects:
        text += f", {summary.objects} of {summary.labelled_objects} objects"
    if frames["unpaired"]:
        text += f"; {frames['unpaired']} frames without a partner"
    if frames["failed"] or frames["unpaired"]:
        text += " (reasons in ledger.csv)"
    seconds = outcome.timing["wall_s"]
    return f"{text}; {seconds:.1f} s, {outcome.timing['pairs'] / seconds:.1f} pairs/s"


def detection_table(
    detection: Mapping[str, Mapping[str, Any] | None], times: Mapping[str, Mapping[str, float]]
) -> None:
    """One row an arm: both conventions side by side."""
    table = Table()
    table.add_column("arm")
    for name in ("P", "R", "mAP@.5", "mAP@.5:.95", "COCO AP@.5", "COCO AP"):
        table.add_column(name, justify="right")
    if times:
        table.add_column("ms/pair", justify="right")
    for arm, numbers in detection.items():
        if numbers is None:
            continue
        yolo, coco = numbers["yolo"], numbers["coco"]
        cells = [yolo[key] for key in ("precision", "recall", "map50", "map50_95")]
        cells += [coco["map50"], coco["map50_95"]]
        row = [NONE if cell is None else f"{cell:.3f}" for cell in cells]
        total = [f"{sum(times[arm].values()):.0f}"] if times else []
        table.add_row(arm, *row, *total)
    _console().print(table)


def time_table(times: Mapping[str, Mapping[str, float]]) -> None:
    """Milliseconds a pair, one row an arm, one column a stage."""
    stages = list(dict.fromkeys(stage for arm in times.values() for stage in arm))
    table = Table()
    table.add_column("ms/pair")
    for stage in stages:
        table.add_column(stage, justify="right")
    for arm, parts in times.items():
        table.add_row(arm, *(f"{parts[s]:.1f}" if s in parts else NONE for s in stages))
    _console().print(table)


def _notes(outcome: Outcome) -> Iterator[str]:
    if outcome.results is None:
        return
    protocol = outcome.results["protocol"]
    detector = protocol["detector"]
    if detector is None:
        return
    network = f"{detector['network']} ({detector['head']}, {detector['weights']})"
    changed = f", modified ({', '.join(protocol['modified'])})" if protocol["modified"] else ""
    scored = any(arm["detection"] for arm in outcome.results["arms"].values())
    yield (
        f"Protocol {protocol['preset']}{changed}: {network}, conf {detector['conf']}, NMS IoU "
        f"{detector['iou']}" + ("; P, R, mAP: YOLO convention" if scored else "")
    )


def _console() -> Console:
    """Standard output; a pipe is as wide as the table needs."""
    console = Console()
    return console if console.is_terminal else Console(width=120)

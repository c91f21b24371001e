"""What a person sees: the progress bar on standard error, the tables on standard output."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from rich.text import Text

from pipeline.runner import Outcome

NONE = "–"


@contextmanager
def progress(what: str = "pairs") -> Iterator[Callable[[int, int | None], None]]:
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
        task = bar.add_task(what, total=None, speed="")

        def show(done: int, total: int | None) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            text = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, speed=text)

        yield show


def report(outcome: Outcome) -> None:
    """The headline, the table of arms and where the files are."""
    out = console()
    out.print(headline(outcome), highlight=False, markup=False)
    if outcome.results is not None:
        arms = outcome.results["arms"]
        detection = {arm: part["detection"] for arm, part in arms.items()}
        if any(detection.values()):
            detection_table(detection, outcome.timing["arms_ms_per_pair"])
            comparison_table(outcome.results)
        elif outcome.results["protocol"]["detector"] is not None:
            out.print("The source has no labels: detections and times, but no scores.")
            time_table(outcome.timing["arms_ms_per_pair"])
        if any(part["quality"] for part in arms.values()):
            out.print("Image quality: irvis show has the means, quality.csv each image.")
    for line in _notes(outcome):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"Run folder: {outcome.folder}", highlight=False, markup=False, soft_wrap=True)


def evaluation(results: Mapping[str, Any]) -> None:
    """What `irvis evaluate` found."""
    detection = {arm: part["detection"] for arm, part in results["arms"].items()}
    detection_table(detection, {})
    comparison_table(results)
    classes = next(iter(detection.values()))["yolo"]["per_class"]
    out = console()
    for warning in results["warnings"]:
        out.print(f"Warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"Counted: {', '.join(classes) or 'no labels'}", highlight=False, markup=False)


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
    """One row an arm: both conventions side by side, mAP with its 95% interval."""
    table = Table()
    table.add_column("arm")
    for name in ("P", "R", "mAP@.5", "mAP@.5:.95", "COCO AP@.5", "COCO AP"):
        table.add_column(name, justify="right")
    if times:
        table.add_column("ms/pair", justify="right")
    for arm, numbers in detection.items():
        if numbers is None:
            continue
        yolo, coco, ci95 = numbers["yolo"], numbers["coco"], numbers["ci95"]
        row: list[str | Text] = [number(yolo[name]) for name in ("precision", "recall")]
        row += [with_interval(number(yolo[n]), ci95[n], ".3f") for n in ("map50", "map50_95")]
        row += [number(coco[name]) for name in ("map50", "map50_95")]
        total = [f"{sum(times[arm].values()):.0f}"] if times else []
        table.add_row(Text(arm), *row, *total)  # as plain text: names aren't markup
    console().print(table)


def comparison_table(results: Mapping[str, Any]) -> None:
    """Every arm less infrared and visible alone, and the first arm less each of the others."""
    comparisons = results["comparisons"]
    if not comparisons:
        return
    table = Table()
    table.add_column("difference")
    for name in ("mAP@.5", "mAP@.5:.95"):
        table.add_column(name, justify="right")
        table.add_column("")
    for arm, other in _pairs(results):
        row: list[str | Text] = []
        for name in ("map50", "map50_95"):
            entry = comparisons[arm][other][name]
            row.append(with_interval(f"{entry['difference']:+.3f}", entry["ci95"], "+.3f"))
            row.append(entry["verdict"] or NONE)
        table.add_row(Text(f"{arm} − {other}"), *row)
    console().print(table)


def number(value: float | None) -> str:
    """Three digits, or the sign for what isn't defined."""
    return NONE if value is None else f"{value:.3f}"


def with_interval(value: str, interval: Sequence[float] | None, form: str) -> Text:
    """A number, its interval after it."""
    cell = Text(value)
    if interval is not None:
        cell.append(" " + "…".join(format(end, form) for end in interval), "dim")
    return cell


def _pairs(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which arms are worth a row against which others."""
    arms = list(results["comparisons"])
    alone = [arm for arm in results["protocol"]["baselines"].values() if arm in arms]
    tested = [arm for arm in arms if arm not in alone] or arms[:1]
    against = [(arm, other) for arm in tested for other in alone if other != arm]
    return against + [(tested[0], other) for other in tested[1:]]


def time_table(times: Mapping[str, Mapping[str, float]]) -> None:
    """Milliseconds a pair, one row an arm, one column a stage."""
    stages = list(dict.fromkeys(stage for arm in times.values() for stage in arm))
    table = Table()
    table.add_column("ms/pair")
    for stage in stages:
        table.add_column(stage, justify="right")
    for arm, parts in times.items():
        table.add_row(arm, *(f"{parts[s]:.1f}" if s in parts else NONE for s in stages))
    console().print(table)


def _notes(outcome: Outcome) -> Iterator[str]:
    if outcome.results is None:
        return
    for warning in outcome.results["warnings"]:
        yield f"Warning: {warning}"
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


def console() -> Console:
    """Standard output; a pipe has room for the widest table."""
    standard = Console()
    return standard if standard.is_terminal else Console(width=200)

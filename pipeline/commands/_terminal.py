"""Terminal output: the progress bar on standard error, tables on standard output."""

import html
import time
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

from eval.report.tables import MAPS, NONE, ms_per_pair, number, telling_pairs

NOTEBOOK_INTERVAL = 0.2  # seconds between updates


class Bar:
    """A progress bar: called with how much is done and, if known, the whole."""

    def __init__(self, update: Callable[[int, int | None, str], None]) -> None:
        """Begin.

        Args:
            update: Draws both numbers and a note.
        """
        self._update, self._note = update, ""

    def __call__(self, done: int, total: int | None) -> None:
        self._update(done, total, self._note)

    def note(self, text: str) -> None:
        """Show a text beside the numbers from the next call on."""
        self._note = text


@contextmanager
def progress(what: str = "pairs") -> Iterator[Bar]:
    """Show a progress bar with speed and remaining time."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(stderr=True)
    if console.is_jupyter:
        yield Bar(_bar_of_a_notebook(what))
        return
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, speed="", note="")

        def show(done: int, total: int | None, note: str) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            text = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, speed=text, note=note)

        yield Bar(show)


def _bar_of_a_notebook(what: str) -> Callable[[int, int | None, str], None]:
    """The function that updates a bar in the output of a cell; rich's own needs ipywidgets."""
    from IPython.display import HTML, display

    shown = display(HTML(""), display_id=True)
    start, last = time.monotonic(), float("-inf")

    def show(done: int, total: int | None, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < NOTEBOOK_INTERVAL and done != total:
            return
        last = now
        speed = done / (now - start)
        text = f"{done} of {total or '?'} {html.escape(what)}, {speed:.1f}/s"
        text += html.escape(f", {note}") if note else ""
        bar = f"<progress value={done} max={total}></progress> " if total else ""
        shown.update(HTML(bar + text))

    return show


def detector_text(detector: Mapping[str, Any], *, digest: bool = False) -> str:
    """A detector and its thresholds in one line, as far as its fingerprint states them.

    Args:
        detector: Its fingerprint.
        digest: Whether to identify the weights by their sha256 in place of their name.
    """
    sha256 = detector.get("weights_sha256", "")[:12]
    weights = sha256 and f"weights {sha256}" if digest else detector.get("weights", "")
    inside = ", ".join(filter(None, (detector.get("head"), weights)))
    network = detector.get("network", "a detector") + (f" ({inside})" if inside else "")
    names = {"conf": "conf", "iou": "NMS IoU"}
    return ", ".join((network, *(f"{names[n]} {detector[n]}" for n in names if n in detector)))


def score_tables(
    results: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]
) -> Iterator[Table]:
    """The table of scores, with times if there are any, and the table of differences."""
    yield _detection_table(results, times)
    if results["comparisons"]:
        yield _comparison_table(results)


def _detection_table(results: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]) -> Table:
    """One row per arm: scores in both conventions, mAP with its 95% interval."""
    arms = results["arms"]
    table = Table()
    table.add_column("arm")
    for name in ("P", "R", *MAPS.values(), "COCO AP@.5", "COCO AP"):
        table.add_column(name, justify="right")
    if times:
        table.add_column("ms/pair", justify="right")
    for arm, part in arms.items():
        numbers = part["detection"]
        if numbers is None:
            continue
        yolo, coco, ci95 = numbers["yolo"], numbers["coco"], numbers["ci95"]
        row: list[str | Text] = [number(yolo[name]) for name in ("precision", "recall")]
        row += [with_interval(number(yolo[n]), ci95[n], ".3f") for n in MAPS]
        row += [number(coco[name]) for name in MAPS]
        total = [f"{ms_per_pair(times, results['protocol']['arms'], arm):.0f}"] if times else []
        table.add_row(Text(arm), *row, *total)  # Text, because names are not markup
    return table


def _comparison_table(results: Mapping[str, Any]) -> Table:
    """The differences of ``telling_pairs``, one row each."""
    table = Table()
    table.add_column("difference")
    for name in MAPS.values():
        table.add_column(name, justify="right")
        table.add_column("")
    for arm, other in telling_pairs(results):
        cells = difference_cells(results["comparisons"][arm][other])
        table.add_row(Text(f"{arm} − {other}"), *cells)
    return table


def difference_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """One row per arm and later run, of the `differences` between runs."""
    table = Table()
    table.add_column("arm")
    table.add_column("difference", overflow="fold")
    for title in MAPS.values():
        table.add_column(title, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for entry in entries:
        runs = Text(f"{entry['run']} − {entry['less']}")
        table.add_row(Text(entry["arm"]), runs, *difference_cells(entry))
    return table


def difference_cells(entry: Mapping[str, Any]) -> Iterator[Text]:
    """Difference with interval, and verdict, of each mAP in an entry of `comparisons`."""
    for part in (entry[name] for name in MAPS):
        yield with_interval(f"{part['difference']:+.3f}", part["ci95"], "+.3f")
        yield Text(part["verdict"] or NONE)


def with_interval(value: str, interval: Sequence[float] | None, form: str) -> Text:
    """A number followed by its interval."""
    cell = Text(value)
    if interval is not None:
        cell.append(" " + "…".join(format(end, form) for end in interval), "dim")
    return cell


def time_table(times: Mapping[str, Mapping[str, float]]) -> Table:
    """Milliseconds per pair, one row per arm, one column per stage."""
    stages = list(dict.fromkeys(stage for arm in times.values() for stage in arm))
    table = Table()
    table.add_column("ms/pair")
    for stage in stages:
        table.add_column(Text(stage), justify="right")
    for arm, parts in times.items():
        # as plain text: rich would parse [/x] as a style
        table.add_row(Text(arm), *(f"{parts[s]:.1f}" if s in parts else NONE for s in stages))
    return table


def print_lines(*lines: str) -> None:
    """Print lines without markup; the terminal wraps them."""
    out = console()
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def console() -> Console:
    """The console of standard output, 200 columns wide unless it is a terminal."""
    standard = _Console()
    return standard if standard.is_terminal else _Console(width=200)


class _Console(Console):
    """Raises ``BrokenPipeError`` if the pipe is closed, where rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error for the command line to handle."""
        self.quiet = True
        raise BrokenPipeError

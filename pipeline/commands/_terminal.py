"""Terminal output: the progress bar on standard error, tables on standard output."""

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

from eval.report.tables import MAPS, NONE, number, telling_pairs


@contextmanager
def progress(what: str = "pairs") -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar with speed and remaining time; yields the function that updates it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    visible = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, disable=not visible) as bar:
        task = bar.add_task(what, total=None, speed="")

        def show(done: int, total: int | None) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            text = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, speed=text)

        yield show


def score_tables(
    results: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]
) -> Iterator[Table]:
    """The table of scores, with times if there are any, and the table of differences."""
    yield _detection_table(results["arms"], times)
    if results["comparisons"]:
        yield _comparison_table(results)


def _detection_table(
    arms: Mapping[str, Mapping[str, Any]], times: Mapping[str, Mapping[str, float]]
) -> Table:
    """One row per arm: scores in both conventions, mAP with its 95% interval."""
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
        total = [f"{sum(times[arm].values()):.0f}"] if times else []
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

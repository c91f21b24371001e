"""Lists pairs of a run that are worth a look, and writes a picture of each."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from common.errors import ConfigError
from common.files import writing
from eval.operating_points import CONFIDENCE
from pipeline.commands._single_pairs import Row, SinglePairs
from pipeline.commands._terminal import console, print_lines
from pipeline.images import write_png
from pipeline.run_folder.results_file import read_results


def write(
    folder: Path,
    output: Path,
    *,
    keys: Sequence[str],
    worst: int | None,
    rescued: int | None,
) -> None:
    """Print the tables of pairs and write `<output>/<key>.png`.

    Args:
        folder: The run folder.
        output: Folder of the pictures; pictures in it are replaced.
        keys: Keys of pairs to draw.
        worst: Number of pairs with most errors; None for none.
        rescued: Number of pairs with most rescued objects; None for none.

    Raises:
        errors.IrvisError: The run or one of its inputs can't be read, or a key is unknown.
    """
    for name, number in (("--worst", worst), ("--rescued", rescued)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} {number}: give a number of pairs from 1")
    pairs = SinglePairs(folder, read_results(folder))
    pairs.check(keys)
    chosen = dict.fromkeys(keys)
    if worst is not None:
        rows = pairs.ranked("worst", worst)
        _print(f"Most errors of {pairs.arm}", rows, f"{pairs.arm} makes no error.")
        chosen |= dict.fromkeys(row.key for row in rows)
    if rescued is not None:
        rows = pairs.ranked("rescued", rescued)
        _print(f"Most objects that only {pairs.arm} finds", rows, "Nothing is rescued.")
        chosen |= dict.fromkeys(row.key for row in rows)
    for key, picture in pairs.pictures(list(chosen)):
        path = output / f"{key}.png"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)  # keys may hold folders
            write_png(path, picture)
        print_lines(str(path))


def _print(title: str, rows: Sequence[Row], otherwise: str) -> None:
    print_lines(f"{title}, at confidence {CONFIDENCE}:" if rows else otherwise)
    if not rows:
        return
    table = Table()
    for index, name in enumerate(("pair", "objects", "missed", "false", "rescued", "lost")):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        numbers = (row.objects, row.missed, row.false, row.rescued, row.lost)
        table.add_row(Text(row.key), *map(str, numbers))
    console().print(table)

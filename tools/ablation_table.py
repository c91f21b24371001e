"""An ablation's arms as Markdown tables: `python tools/ablation_table.py FOLDER`.

The first has mAP with its interval and its differences, the second image quality with the interval
of its difference from the first of `against`. docs/results.md has these tables.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.run_folder.names import ABLATION

MAPS = {"map50": "mAP@.5", "map50_95": "mAP@.5:.95"}
QUALITY = {"vif": "VIF", "scd": "SCD", "qabf": "Qabf", "ms_ssim": "MS-SSIM", "fmi": "FMI"}


def tables(results: dict[str, Any]) -> Iterator[str]:
    """The lines of both tables; of one alone where the other has no numbers.

    Args:
        results: Content of ``ablation.json``.
    """
    against = results["against"]
    columns = [c for name in MAPS.values() for c in (name, *(f"less {o}" for o in against))]
    for keys, head in ((MAPS, columns), (QUALITY, list(QUALITY.values()))):
        rows = [
            _row(arm, part["scores"], keys, against)
            for arm, part in results["arms"].items()
            if part["scores"].keys() >= keys.keys()
        ]
        if rows:
            yield from ("", line(["arm", *head]), "|---" * (len(head) + 1) + "|", *rows)


def _row(arm: str, scores: dict[str, Any], keys: dict[str, str], against: Sequence[str]) -> str:
    cells = [arm]
    for key in keys:
        score = scores[key]
        if keys is MAPS:
            cells += [text(score["value"], score["ci95"], "")]
            cells += [difference(score["less"].get(other)) for other in against]
        else:
            entry = score["less"].get(against[0])
            less = "" if entry is None else f", less {against[0]} {difference(entry)}"
            cells.append(text(score["value"], None, "") + less)
    return line(cells)


def difference(entry: dict[str, Any] | None) -> str:
    """A difference with its interval, and the verdict if there is one; empty for None."""
    if entry is None:
        return ""
    shown = text(entry["difference"], entry["ci95"], "+")
    return shown if entry["verdict"] in (None, "no evidence") else f"{shown} **{entry['verdict']}**"


def text(value: float | None, interval: Sequence[float] | None, sign: str) -> str:
    """A value with its interval; a dash for None."""
    if value is None:
        return "–"
    shown = f"{value:{sign}.3f}"
    if interval is None:
        return shown
    return f"{shown} ({interval[0]:{sign}.3f} to {interval[1]:{sign}.3f})"


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Read a folder and print."""
    parser = argparse.ArgumentParser(description="An ablation's arms as Markdown tables.")
    parser.add_argument("folder", type=Path, help="of the ablation")
    results = json.loads((parser.parse_args().folder / ABLATION).read_text(encoding="utf-8"))
    print(*tables(results), sep="\n")


if __name__ == "__main__":
    main()

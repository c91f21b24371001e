"""A run's arms as a Markdown table: `python tools/markdown_table.py RUN [--arms ARM,ARM...]`.

One row per arm: P, R, mAP@.5 and mAP@.5:.95 with their 95% intervals, the differences of the arms
--arms from it with intervals and, in bold, the verdict, and the time per pair. docs/results.md has
these tables.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from eval.report.markdown import difference, row, value
from eval.report.tables import MAPS, ms_per_pair
from pipeline.run_folder.names import RESULTS, TIMING


def table(results: dict[str, Any], timing: dict[str, Any], firsts: list[str]) -> list[str]:
    """The lines of the table.

    Args:
        results: Content of ``results.json`` of a run with labels and a detector.
        timing: Content of ``timing.json``.
        firsts: The arms that are compared with all others.
    """
    columns = ["arm", "P", "R", *MAPS.values()]
    columns += [f"{first} less it: {name}" for first in firsts for name in MAPS.values()]
    lines = [row([*columns, "ms/pair"]), "|---" * (len(columns) + 1) + "|"]
    times, settings = timing["arms_ms_per_pair"], results["protocol"]["arms"]
    for arm, part in results["arms"].items():
        yolo, intervals = part["detection"]["yolo"], part["detection"]["ci95"]
        cells = [f"**{arm}**" if arm in firsts else arm]
        cells += [f"{yolo[name]:.3f}" for name in ("precision", "recall")]
        cells += [value(yolo[name], intervals[name]) for name in MAPS]
        for first in firsts:
            differences = results["comparisons"].get(first, {}).get(arm, {})
            cells += [difference(differences.get(name)) for name in MAPS]
        cells.append(f"{ms_per_pair(times, settings, arm):.0f}")
        lines.append(row(cells))
    return lines


def main() -> None:
    """Read a run folder and print."""
    parser = argparse.ArgumentParser(description="A run's arms as a Markdown table.")
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument(
        "--arms", default="fused", help="the arms that are compared with all others"
    )
    arguments = parser.parse_args()
    results, timing = (
        json.loads((arguments.run / name).read_text(encoding="utf-8")) for name in (RESULTS, TIMING)
    )
    print("\n".join(table(results, timing, arguments.arms.split(","))))


if __name__ == "__main__":
    main()

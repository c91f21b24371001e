"""An ablation's arms as Markdown tables: `python tools/ablation_table.py FOLDER`.

The first has mAP with its interval and its differences, the second image quality with the interval
of its difference from the first of `against`. docs/results.md has these tables.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.report.markdown import difference, row, value
from eval.report.tables import MAPS
from pipeline.run_folder.names import ABLATION

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
            yield from ("", row(["arm", *head]), "|---" * (len(head) + 1) + "|", *rows)


def _row(arm: str, scores: dict[str, Any], keys: dict[str, str], against: Sequence[str]) -> str:
    cells = [arm]
    for key in keys:
        score = scores[key]
        if keys is MAPS:
            cells += [value(score["value"], score["ci95"])]
            cells += [difference(score["less"].get(other)) for other in against]
        else:
            entry = score["less"].get(against[0])
            less = "" if entry is None else f", less {against[0]} {difference(entry)}"
            cells.append(value(score["value"], None) + less)
    return row(cells)


def main() -> None:
    """Read a folder and print."""
    parser = argparse.ArgumentParser(description="An ablation's arms as Markdown tables.")
    parser.add_argument("folder", type=Path, help="of the ablation")
    results = json.loads((parser.parse_args().folder / ABLATION).read_text(encoding="utf-8"))
    print(*tables(results), sep="\n")


if __name__ == "__main__":
    main()

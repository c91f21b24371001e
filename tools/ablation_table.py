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
            yield from ("", _line(["arm", *head]), "|---" * (len(head) + 1) + "|", *rows)


def _row(arm: str, scores: dict[str, Any], keys: dict[str, str], against: Sequence[str]) -> str:
    cells = [arm]
    for key in keys:
        score = scores[key]
        if keys is MAPS:
            cells += [_text(score["value"], score["ci95"], "")]
            cells += [_difference(score["less"].get(other)) for other in against]
        else:
            entry = score["less"].get(against[0])
            less = "" if entry is None else f", less {against[0]} {_difference(entry)}"
            cells.append(_text(score["value"], None, "") + less)
    return _line(cells)


def _difference(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    text = _text(entry["difference"], entry["ci95"], "+")
    return text if entry["verdict"] in (None, "no evidence") else f"{text} **{entry['verdict']}**"


def _text(value: float | None, interval: Sequence[float] | None, sign: str) -> str:
    if value is None:
        return "–"
    text = f"{value:{sign}.3f}"
    return (
        text if interval is None else f"{text} ({interval[0]:{sign}.3f} to {interval[1]:{sign}.3f})"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Read a folder and print."""
    parser = argparse.ArgumentParser(description="An ablation's arms as Markdown tables.")
    parser.add_argument("folder", type=Path, help="of the ablation")
    results = json.loads((parser.parse_args().folder / ABLATION).read_text(encoding="utf-8"))
    print(*tables(results), sep="\n")


if __name__ == "__main__":
    main()

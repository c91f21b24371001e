"""A fine-tuning as Markdown tables: `python tools/finetune_table.py FOLDER [--against late]`.

One table a statistic: each arm with the frozen detector and with its own trained one, that of each
seed, the gain, and the trained arm less the trained one of ``--against``.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.report.markdown import difference, row, value
from eval.report.tables import MAPS
from training.finetune.experiment import SUMMARY


def tables(summary: dict[str, Any], against: str) -> Iterator[str]:
    """The lines of the tables.

    Args:
        summary: Content of ``finetune.json``.
        against: The arm that all others are compared with.
    """
    for key, name in MAPS.items():
        yield from ("", name, "")
        columns = ["arm", "ms", "frozen", "trained", "by seed", "trained less frozen"]
        yield row([*columns, f"less {against}"])
        yield "|---" * (len(columns) + 1) + "|"
        for arm, part in summary["arms"].items():
            frozen, trained = part["frozen"], part["trained"][key]
            less = summary["differences"][arm].get(against)
            yield row([
                arm,
                "–" if part["ms"] is None else f"{part['ms']:.0f}",
                "–" if frozen is None else value(frozen[key]["value"], frozen[key]["ci95"]),
                value(trained["value"], trained["ci95"]),
                " ".join(f"{one:.3f}" for one in trained["seeds"]),
                difference(summary["gains"].get(arm, {}).get(key)),
                difference(None if less is None else less[key]),
            ])  # fmt: skip


def main() -> None:
    """Read a folder and print."""
    parser = argparse.ArgumentParser(description="A fine-tuning's arms as Markdown tables.")
    parser.add_argument("folder", type=Path, help="of the fine-tuning")
    parser.add_argument("--against", default="late", help="an arm")
    given = parser.parse_args()
    summary = json.loads((given.folder / SUMMARY).read_text(encoding="utf-8"))
    if given.against not in summary["arms"]:
        parser.error(f"--against: no arm {given.against}; choose from {', '.join(summary['arms'])}")
    print(f"{summary['pairs']} pairs, {summary['seeds']} seeds", *tables(summary, given.against),
          sep="\n")  # fmt: skip


if __name__ == "__main__":
    main()

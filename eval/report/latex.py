"""The tables of a run as LaTeX in booktabs style."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.report.tables import MAPS, NONE, OUTCOMES, number, scored_arms, telling_pairs

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def tables(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and text of each table for which the run has data; they need the package booktabs.

    Args:
        results: Content of ``results.json``.
    """
    scored = scored_arms(results)
    if not scored:
        return
    rows = []
    for arm, part in scored.items():
        yolo, ci95 = part["yolo"], part["ci95"]
        maps = [number(yolo[name]) + _interval(ci95[name]) for name in MAPS]
        coco = [number(part["coco"][name]) for name in MAPS]
        rows.append([arm, number(yolo["precision"]), number(yolo["recall"]), *maps, *coco])
    columns = ("Arm", "P", "R", *MAPS.values(), "COCO AP@.5", "COCO AP")
    yield "scores", tabular(columns, rows)
    if results["comparisons"]:
        pairs = []
        for arm, other in telling_pairs(results):
            entry = results["comparisons"][arm][other]
            cells = [
                f"{entry[name]['difference']:+.3f}{_interval(entry[name]['ci95'], '+.3f')}"
                for name in MAPS
            ]
            pairs.append([f"{arm} less {other}", *cells, entry["map50_95"]["verdict"] or NONE])
        yield "differences", tabular(("Difference", *MAPS.values(), "Verdict"), pairs)
    counts = [
        [arm, *(str(part["confidence"]["counts"]["all"][name]) for name in OUTCOMES)]
        for arm, part in results["attribution"].items()
        if part["confidence"]["counts"].get("all")
    ]
    if counts:
        yield "attribution", tabular(("Arm", *OUTCOMES.values()), counts)


def tabular(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A tabular environment with the first column left-aligned and the others right-aligned."""
    body = [_row(row) for row in rows]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
        r"\toprule",
        _row(columns),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_SPECIAL.get(c, c) for c in " ".join(text.split()))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def _interval(ends: Sequence[float] | None, form: str = ".3f") -> str:
    return "" if ends is None else f" ({ends[0]:{form}} to {ends[1]:{form}})"

"""The HTML page: template, style sheet and script combined to one self-contained file."""

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from eval.agreement import Agreement
from eval.report.charts import OUTCOME_COLOURS
from eval.report.gallery import rank
from eval.report.tables import (
    MAPS,
    NONE,
    OUTCOMES,
    Section,
    ms_per_pair,
    number,
    own_labels_notes,
    scored_arms,
    telling_pairs,
)
from eval.report.verdict import STATISTIC, Verdict, signed
from eval.report.verdict import verdict as verdict_of

Json = Mapping[str, Any]

PICTURES = 3_400_000  # largest total size of the images in bytes, which keeps a page under 5 MB


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Attributes:
        name: Its name, as in ``charts.charts``.
        text: Its caption.
        drawing: SVG.
    """

    name: str
    text: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Run:
    """The content of a page about one run; a page of several runs has only the first five.

    Attributes:
        name: Name of its folder.
        results: Content of ``results.json``.
        headline: Share of the input that was scored.
        command: Command that repeats the run.
        timing: Content of ``timing.json``; None if missing.
        sections: The tables of ``eval.report.tables``.
        charts: The drawn charts.
        moments: Whole images of ``gallery/``, in order.
        objects: Crops of ``gallery/``.
        bottleneck: The slowest stage; empty without times.
        ledger: The first rows of ``ledger.csv``, by column.
        ledger_rows: Number of all rows.
        settings: Text of ``config.yaml``.
        agreement: Agreement between the arms, for runs without labels.
        page: Link from a page of several runs to the run's own page; empty if there is none.
    """

    name: str
    results: Json
    headline: str
    command: str
    timing: Json | None
    sections: Sequence[Section] = ()
    charts: Sequence[Chart] = ()
    moments: Sequence[Json] = ()
    objects: Sequence[Json] = ()
    bottleneck: str = ""
    ledger: Sequence[Mapping[str, str]] = ()
    ledger_rows: int = 0
    settings: str = ""
    agreement: Agreement | None = None
    page: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict on fusion."""
        return verdict_of(self.results)

    @property
    def scored(self) -> Mapping[str, Json]:
        """The scored arms."""
        return scored_arms(self.results)

    @property
    def own_labels(self) -> Sequence[str]:
        """Which arms are scored on which labels; empty where it is the same for all."""
        return list(own_labels_notes(self.results))

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """The compared pairs of arms."""
        return telling_pairs(self.results) if self.results["comparisons"] else ()

    @property
    def scale(self) -> tuple[float, float]:
        """Range of all arms' mAP@.5:.95 and intervals, rounded outwards to multiples of 0.05."""
        ends = []
        for part in self.scored.values():
            ends += [part["yolo"][STATISTIC], *(part["ci95"][STATISTIC] or ())]
        defined = [end for end in ends if end is not None] or [0.0]
        low, high = math.floor(20 * min(defined)) / 20, math.ceil(20 * max(defined)) / 20
        return low, max(high, low + 0.05)

    @property
    def beside(self) -> Iterator[Json]:
        """Further comparisons.

        The verdict's in the other mAP, its arm with all other arms, and the other fused arms with
        the same single modality.
        """
        arm, other = self.verdict.arm, self.verdict.other
        yield {"pair": (arm, other), "statistic": "map50", "what": f"In {MAPS['map50']}"}
        pairs = [pair for pair in self.pairs if (pair[0] == arm) != (pair[1] == other)]
        for first, second in sorted(pairs, key=lambda pair: pair[0] != arm):
            what = f"{first} less {second}"
            yield {"pair": (first, second), "statistic": STATISTIC, "what": what}

    def chart(self, *names: str) -> Iterator[Chart]:
        """The charts with these names."""
        return (chart for chart in self.charts if chart.name in names)

    def tables(self, topic: str) -> Iterator[Section]:
        """The tables of a topic."""
        return (section for section in self.sections if section.topic == topic)

    def values(self, name: str) -> list[str]:
        """All values of a property of the objects: ``class``, ``light`` or ``size``."""
        return sorted({item[name] for item in self.objects if item[name]})


@dataclass(frozen=True, slots=True)
class Sweep:
    """The results of a sweep.

    Attributes:
        charts: One chart per swept key.
        columns: Column names of the table.
        rows: Cells of the table.
    """

    charts: Sequence[Chart]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def render(
    title: str,
    runs: Sequence[Run],
    *,
    comparison: Json | str | None = None,
    sweep: Sweep | None = None,
) -> str:
    """Render the page as self-contained HTML; its content policy forbids loading other content.

    Args:
        title: Title of the page.
        runs: One run, in detail, or several, in short.
        comparison: Result of ``irvis compare`` for several runs, or the reason why there is none.
        sweep: The sweep that the runs belong to.
    """
    parts = files("eval.report") / "templates"
    script = (parts / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        title=title,
        runs=runs,
        run=runs[0] if len(runs) == 1 and sweep is None else None,
        comparison=comparison,
        sweep=sweep,
        # safe: neither contains user data
        style=Markup((parts / "style.css").read_text(encoding="utf-8")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        digest=digest,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        signed=signed,
        extent=_extent,
        seconds=_seconds,
        outcomes=_outcomes,
        plain=_plain,
    )
    environment.globals.update(
        maps=MAPS, dash=NONE, outcomes=OUTCOMES, outcome_colours=OUTCOME_COLOURS, ms=_ms
    )
    return environment.get_template("report.html")


def within_budget(
    moments: Sequence[Json], objects: Sequence[Json]
) -> tuple[list[Json], list[Json]]:
    """The moments and objects that fit a page.

    Args:
        moments: In order; they get at most half of the budget and stay evenly spaced.
        objects: In any order; a random sample in which rare outcomes are preferred.
    """
    shown = list(moments)
    while (size := sum(map(_size, shown))) > PICTURES / 2 and len(shown) > 1:
        shown = shown[::2]
    budget, kept = PICTURES - size, []
    counts: dict[tuple[str, ...], int] = {}
    turns = []
    # by rank, so that those that fit are a random sample
    objects = sorted(objects, key=lambda item: rank(item["key"], item["label"]))
    for index, item in enumerate(objects):
        outcomes = tuple(part["outcome"] for part in item["arms"].values())
        counts[outcomes] = counts.get(outcomes, 0) + 1
        turns.append((counts[outcomes], index))  # round robin over the combinations of outcomes
    for _, index in sorted(turns):
        budget -= len(objects[index]["strip"])
        if budget < 0:
            break
        kept.append(objects[index])
    return shown, sorted(kept, key=lambda item: (item["number"], item["label"]))


def _size(moment: Json) -> int:
    """Size of a moment's images in bytes."""
    return sum(map(len, moment["images"].values()))


def _extent(interval: Sequence[float] | None, *, sign: bool = False) -> str:
    """The ends of an interval as text; empty if there is none."""
    if interval is None:
        return ""
    return " to ".join(signed(end) if sign else number(end) for end in interval)


def _seconds(time_ns: int | None) -> str:
    """A time in a recording as text; empty for still images."""
    return "" if time_ns is None else f"{time_ns / 1e9:.2f} s"


def _outcomes(item: Json) -> dict[str, str]:
    """The outcome of an object by arm."""
    return {arm: part["outcome"] for arm, part in item["arms"].items()}


def _plain(value: object) -> str:
    """A setting as text: strings unchanged, lists of strings joined by semicolons, else JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "; ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _ms(run: Run, arm: str) -> str:
    times = run.timing and run.timing.get("arms_ms_per_pair")
    return f"{ms_per_pair(times, run.results['protocol']['arms'], arm):.0f}" if times else NONE

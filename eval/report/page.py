"""The page itself: a template, a style sheet and a script become one file that needs no other."""

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eval.agreement import Agreement
from eval.report.charts import OUTCOME_COLOURS, cost
from eval.report.gallery import rank
from eval.report.tables import MAPS, NONE, OUTCOMES, Section, number, scored_arms, telling_pairs
from eval.report.verdict import STATISTIC, Verdict, signed
from eval.report.verdict import verdict as judge

Json = Mapping[str, Any]

PICTURES = 3_400_000  # bytes of all pictures in a page, at most: with them it stays under 5 MB


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Attributes:
        name: What it is of, as in ``charts.charts``.
        text: What it shows, in a sentence.
        drawing: SVG.
    """

    name: str
    text: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Run:
    """What a page says of one run, as its files have it; a page of several has only the first.

    Attributes:
        name: Of its folder.
        results: ``results.json``.
        headline: How much of the input the numbers speak of.
        command: Runs it again.
        timing: ``timing.json``; None where it is missing.
        sections: The tables of ``eval.report.tables``.
        charts: Drawn ones.
        moments: Of ``gallery/``, whole images, in order.
        objects: Of ``gallery/``, crops.
        bottleneck: Which stage the others waited for; empty without times.
        ledger: The first rows of ``ledger.csv``, by column.
        ledger_rows: How many there are.
        settings: ``config.yaml``.
        agreement: Of the arms, for runs without labels.
        page: Where its own page is, from a page of several runs; empty if there is none.
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
        """Its first sentence."""
        return judge(self.results)

    @property
    def scored(self) -> Mapping[str, Json]:
        """Its arms that have scores."""
        return scored_arms(self.results)

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """Arms that are compared."""
        return telling_pairs(self.results) if self.results["comparisons"] else ()

    @property
    def scale(self) -> tuple[float, float]:
        """Between which twentieths all arms' mAP@.5:.95 lie, with their intervals."""
        ends = []
        for part in self.scored.values():
            ends += [part["yolo"][STATISTIC], *(part["ci95"][STATISTIC] or ())]
        known = [end for end in ends if end is not None] or [0.0]
        low, high = math.floor(20 * min(known)) / 20, math.ceil(20 * max(known)) / 20
        return low, max(high, low + 0.05)

    @property
    def beside(self) -> Iterator[Json]:
        """What else a reader must know at once: the other mAP, then every other arm."""
        verdict = self.verdict
        yield {"arm": verdict.other, "statistic": "map50", "what": f"In {MAPS['map50']}"}
        for arm, other in self.pairs:
            if arm == verdict.arm and other != verdict.other:
                yield {"arm": other, "statistic": STATISTIC, "what": f"{arm} less {other}"}

    def chart(self, *names: str) -> Iterator[Chart]:
        """The charts of these names, as far as there are any."""
        return (chart for chart in self.charts if chart.name in names)

    def tables(self, topic: str) -> Iterator[Section]:
        """The tables of a topic."""
        return (section for section in self.sections if section.topic == topic)

    def values(self, name: str) -> list[str]:
        """Which values a property of the objects has: ``class``, ``light`` or ``size``."""
        return sorted({seen[name] for seen in self.objects if seen[name]})


@dataclass(frozen=True, slots=True)
class Sweep:
    """One configuration at several values.

    Attributes:
        charts: One for each swept key.
        columns: Of the table.
        rows: Its cells.
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
    """The page as HTML that asks for nothing outside of it, and whose browser would refuse to.

    Args:
        title: Of the page.
        runs: One, in all detail; or several, in short.
        comparison: What ``irvis compare`` says of several runs, or why it can't.
        sweep: Where the runs are one's.
    """
    parts = files("eval.report") / "templates"
    script = (parts / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, signed=signed, extent=_extent, seconds=_seconds, fates=_fates, plain=_plain
    )
    environment.globals.update(
        maps=MAPS, dash=NONE, outcomes=OUTCOMES, outcome_colours=OUTCOME_COLOURS, cost=_cost
    )
    return environment.get_template("report.html").render(
        title=title,
        runs=runs,
        run=runs[0] if len(runs) == 1 and sweep is None else None,
        comparison=comparison,
        sweep=sweep,
        # neither of the two holds anything of the user's
        style=Markup((parts / "style.css").read_text(encoding="utf-8")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        digest=digest,
    )


def within_budget(
    moments: Sequence[Json], objects: Sequence[Json]
) -> tuple[list[Json], list[Json]]:
    """As many moments and objects as a page has room for, the objects so that outcomes mix.

    Args:
        moments: In order; they get half of the room, and stay evenly spaced.
        objects: In any order.
    """
    shown = list(moments)
    while (size := sum(map(_size, shown))) > PICTURES / 2 and len(shown) > 1:
        shown = shown[::2]
    room, kept = PICTURES - size, []
    seen: dict[tuple[str, ...], int] = {}
    turns = []
    # by rank: whatever is left out, the rest is a random sample
    objects = sorted(objects, key=lambda item: rank(item["key"], item["label"]))
    for place, item in enumerate(objects):
        kind = tuple(part["outcome"] for part in item["arms"].values())
        seen[kind] = seen.get(kind, 0) + 1
        turns.append((seen[kind], place))  # rare kinds are soon through
    for _, place in sorted(turns):
        room -= len(objects[place]["strip"])
        if room < 0:
            break
        kept.append(objects[place])
    return shown, sorted(kept, key=lambda item: (item["number"], item["label"]))


def _size(moment: Json) -> int:
    """Bytes of its pictures."""
    return sum(map(len, moment["images"].values()))


def _extent(interval: Sequence[float] | None, *, sign: bool = False) -> str:
    """An interval's ends; empty where there is none."""
    if interval is None:
        return ""
    return " to ".join(signed(end) if sign else number(end) for end in interval)


def _seconds(time_ns: int | None) -> str:
    """A time in a recording; empty for stills."""
    return "" if time_ns is None else f"{time_ns / 1e9:.2f} s"


def _fates(seen: Json) -> dict[str, str]:
    """An object's outcome by arm."""
    return {arm: part["outcome"] for arm, part in seen["arms"].items()}


def _plain(value: object) -> str:
    """A setting as one reads it: text as it is, lists of text a sentence each, others as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "; ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _cost(run: Run, arm: str) -> str:
    times = run.timing and run.timing.get("arms_ms_per_pair")
    return f"{cost(times, run.results['protocol']['arms'], arm):.0f}" if times else NONE

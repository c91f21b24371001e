"""Kinds of ``fuzz.py`` that need a run: a complete run folder, and a partial one."""

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from fuzz_changes import changed_bytes, some_json

ROOT = Path(__file__).resolve().parents[1]


def run_folders(rng: random.Random, here: Path) -> None:
    """A whole run with one file changed, shown and put on a page."""
    from pipeline.commands import report, show

    good = here.parent / "run"
    if not good.exists():
        _make_run(good)
    folder = here / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    files = [p for p in folder.rglob("*") if p.suffix in (".json", ".csv", ".yaml")]
    path = rng.choice(sorted(files))
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_bytes(some_json(rng, json.loads(path.read_bytes())))
    else:
        path.write_bytes(changed_bytes(rng, path.read_bytes()))
    show.print_report(folder)
    report.report([folder], here / "page.html")


def partial_runs(rng: random.Random, here: Path) -> None:
    """A run that broke off, with one file changed, resumed."""
    from pipeline.config import config
    from pipeline.engine import runner
    from pipeline.run_folder.names import LOCK, PARTIAL_SUFFIX

    good = here.parent / "part"
    settings = _toy(here.parent / "pairs", here.parent / "part")
    if not good.with_name(f"part{PARTIAL_SUFFIX}").exists():
        _break_off(settings)
    partial = here / f"part{PARTIAL_SUFFIX}"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(here / "part", ignore_errors=True)
    shutil.copytree(good.with_name(f"part{PARTIAL_SUFFIX}"), partial)
    path = rng.choice(sorted(p for p in partial.rglob("*") if p.is_file() and p.name != LOCK))
    path.write_bytes(changed_bytes(rng, path.read_bytes()))
    settings["run"] = {"dir": str(here / "part"), "resume": True}
    runner.run(config.check(settings), lambda done, total: None)


def _toy(root: Path, folder: Path) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT))
    from tests.helpers import toys

    if not root.exists():
        toys.write_pairs(root)
    settings: dict[str, Any] = toys.settings(root)
    settings["run"] = {"dir": str(folder), "name": "toy"}
    settings["sinks"] |= {"report": {"kind": "report"}, "table": {"kind": "parquet"}}
    return settings


def _make_run(folder: Path) -> None:
    from pipeline.config import config
    from pipeline.engine import runner

    runner.run(config.check(_toy(folder.parent / "pairs", folder)), lambda done, total: None)


def _break_off(settings: dict[str, Any]) -> None:
    from pipeline.config import config
    from pipeline.engine import runner

    def stop(done: int, total: int | None) -> None:
        if done == 6:
            raise KeyboardInterrupt

    before, runner.CHECKPOINT = runner.CHECKPOINT, 1  # type: ignore[attr-defined]
    try:
        runner.run(config.check(settings), stop)
    except KeyboardInterrupt:
        pass
    finally:
        runner.CHECKPOINT = before  # type: ignore[attr-defined]

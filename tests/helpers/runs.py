"""Whole runs of a test's own settings, and what they leave."""

import csv
import json

from pipeline.config import config
from pipeline.engine import runner
from tests.helpers import toys


def silent(done, total):
    """No progress is shown."""


def execute(settings, on_progress=silent):
    return runner.run(config.check(settings), on_progress)


def files(folder):
    """Every file's bytes, but for the times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def read_json(path):
    return json.loads(path.read_text())


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run_in(folder, root, **more):
    """The folder of a cheap run on pairs that are in ``root``."""
    settings = {**toys.settings(root, **more), "run": {"dir": str(folder)}}
    return execute(settings).folder

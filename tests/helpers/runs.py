"""Whole runs of a test's own settings, and what they leave."""

import csv
import json
import sys
from functools import cache
from pathlib import Path

from eval.bootstrap import bootstrap
from pipeline.config import components, config
from pipeline.engine import runner
from tests.helpers import stand, toys

DRAWS = 200  # of the bootstrap, where a test asks for no other number


def few_draws():
    """Take DRAWS in this process: more take a third of a small run's time."""
    bootstrap.__kwdefaults__["draws"] = DRAWS


def plugins_once():
    """Look for plugins once in this process, and in folders with packages that a test adds.

    To look takes a sixth of a small run's time.
    """
    look, begun = cache(lambda part, added, look=components._plugins: look(part)), {*sys.path}

    def plugins(part):
        more = (path for path in sys.path if path not in begun)
        return look(part, tuple(path for path in more if any(Path(path).glob("*.dist-info"))))

    components._plugins = plugins


def silent(done, total):
    """No progress is shown."""


def execute(settings, on_progress=silent):
    return runner.run(config.check(settings), on_progress)


def files(folder):
    """Every file's bytes, but for the times."""
    every = stand.files(folder)
    return {name: every[name] for name in every if Path(name).name != "timing.json"}


def read_json(path):
    return json.loads(path.read_text())


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run_in(folder, root, **more):
    """The folder of a cheap run on pairs that are in ``root``."""
    settings = {**toys.settings(root, **more), "run": {"dir": str(folder)}}
    return execute(settings).folder

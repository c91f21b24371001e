"""How the tests are run; their fixtures are in `tests/helpers/fixtures.py`."""

import gc
import os
from collections import Counter

import pytest

from tests.helpers.shared import SHARED

# Two processes on two cores: further threads would only wait. Also for the processes of tests.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure(config):
    """Fixtures only where tests run: they import torch, and xdist's first process needs none."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.helpers.fixtures")


def pytest_collection_finish():
    """What is imported by now stays: to look through it takes a second each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from tests.helpers.scheduling import ByFile  # pytest also runs without xdist

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config, items):
    """Begin with the files that have most slow tests: a long one at the end would run alone."""
    if hasattr(config, "workerinput"):  # in a process of xdist
        slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
        items.sort(key=lambda item: slow[item.path], reverse=True)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the shared data."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "needs the shared data" in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} skipped: the shared data is not in {SHARED}")

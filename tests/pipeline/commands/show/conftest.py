"""A run that the tests of `irvis show` only read."""

import pytest

from pipeline.run_folder.results_file import read_results
from tests.helpers import toys
from tests.helpers.runs import run_in


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """`maximum` and IR find the box on all six images, VIS on every other one, by day."""
    folder = tmp_path_factory.mktemp("show")
    root = toys.write_pairs(folder / "pairs")
    return run_in(folder / "run", root, evaluation={"quality": True})


@pytest.fixture
def results(made):
    return read_results(made)

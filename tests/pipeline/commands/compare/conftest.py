"""Two runs that the tests of `irvis compare` hold against each other."""

import shutil

import pytest

from tests.helpers import toys
from tests.helpers.runs import run_in
from tests.pipeline.commands.compare.two_runs import IMAGES


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Two runs: `maximum` finds the box on all images, as IR does; VIS on every other one."""
    folder = tmp_path_factory.mktemp("compare")
    root = toys.write_pairs(folder / "pairs", IMAGES)
    arms = toys.settings(root)["arms"]
    run_in(folder / "first", root)
    fused = {**arms, "fused": {"kind": "vis_only"}, "more": {"kind": "average"}}
    run_in(folder / "second", root, arms=fused)
    return folder


@pytest.fixture
def runs(made, here):
    """The two runs, to be changed."""
    for name in ("first", "second"):
        shutil.copytree(made / name, here / name)
    return here

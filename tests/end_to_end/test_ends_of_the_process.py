"""Signals and exit codes of a process of its own."""

import json
import shutil
import signal

import pytest

from tests.end_to_end.faulty_runs import QUIET, assert_resumes, finished, settings
from tests.helpers import children

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.usefixtures("frequent_checkpoints", "guarded"),
]


@pytest.fixture(scope="module", autouse=True)
def _warm():
    children.warm()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_ends_the_run_and_a_resume_ends_it_well(here, sent, code, times):
    begun = children.event()
    (here / "run.yaml").write_text(json.dumps(settings(here, frames=60)))
    arguments = ["run", str(here / "run.yaml")]
    with children.child(children.irvis, arguments, here / "errors", 8, begun) as one:
        assert begun.wait(children.LIMIT)
        for _ in range(times):
            children.send(one, sent)
        assert children.end_of(one) == code
    errors = (here / "errors").read_text()
    if times == 1:
        assert errors == "irvis: stopped; run.resume=true continues an unfinished run\n"
    assert 8 <= finished(here) < 60
    assert_resumes(here, frames=60)


def test_a_full_disk_is_one_line_and_exit_code_2(here):
    bad = {"kind": "tests.helpers.toy_sink", "at": "write", "pair": 9}
    (here / "run.yaml").write_text(json.dumps(settings(here, sinks={**QUIET, "bad": bad})))
    arguments = ["run", str(here / "run.yaml")]
    with children.child(children.irvis, arguments, here / "errors", 0, children.event()) as one:
        assert children.end_of(one) == 2
    assert (here / "errors").read_text() == "irvis: /full/disk: No space left on device\n"
    shutil.rmtree(here / "out.partial")

"""Runs of the toy recording that break off."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.helpers import toy_recording
from tests.helpers.runs import execute, files

QUIET = {"results": {"kind": "results"}, "log": {"kind": "jsonl"}}


def settings(here, *, resume=False, sinks=None, on_bad_pair=None, **source):
    found = toy_recording.settings(here / "out", **{"frames": 20, **source})
    found["run"] |= {"resume": resume, "on_bad_pair": on_bad_pair}
    found["sinks"] = QUIET if sinks is None else sinks
    return found


def finished(here):
    """Pairs that the partial folder has, all of which must be readable."""
    partial = here / "out.partial"
    done = int((partial / "progress.log").read_text().split()[-1])
    lines = [json.loads(line) for line in (partial / "log.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(len(lines)))
    assert len(lines) >= done
    return done


def assert_resumes(here, **source):
    """What broke off goes on, and ends with the files of a run that didn't break off."""
    ours = files(execute(settings(here, resume=True, **source)).folder)
    del ours["config.yaml"]  # may name a sink that was left out since
    assert ours == _whole(json.dumps(source))


@cache
def _whole(source):
    """Files of a run that didn't break off, which are the same in any folder."""
    with TemporaryDirectory() as folder:
        found = files(execute(settings(Path(folder), **json.loads(source))).folder)
    del found["config.yaml"]
    return found

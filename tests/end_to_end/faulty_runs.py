"""Runs of the toy recording that break off."""

import json

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
    resumed = execute(settings(here, resume=True, **source))
    whole = settings(here, **source)
    whole["run"]["dir"] = str(here / "whole")
    ours, theirs = files(resumed.folder), files(execute(whole).folder)
    # may name a sink that was left out since
    for found in (ours, theirs):
        del found["config.yaml"]
    assert ours == theirs

"""What `irvis show` says of a run that isn't finished."""

import pytest

from common.errors import DataError
from pipeline.commands import show
from pipeline.run_folder.state import state
from tests.helpers import toys, workers
from tests.helpers.runs import execute

ENGINE = {"kind": "tests.helpers.workers", "shard": 4}


def test_a_run_of_shards_while_it_goes_on_and_when_it_was_interrupted(tmp_path, capsys):
    root = toys.write_pairs(tmp_path / "pairs", 10)
    compute = {"device": "cpu", "batch": 2, "engine": ENGINE}
    folder = tmp_path / "run"
    settings = toys.settings(root, compute=compute, run={"dir": str(folder)})
    told = []
    workers.SCRIPT.clear()
    workers.SCRIPT[2].extend(["fails"] * 3)
    with pytest.raises(DataError, match="no worker could finish"):
        execute(settings, lambda done, total: told.append(state(folder)))
    partial = f"{folder}.partial"
    assert f"{partial}: is going on; 1 of 3 shards done (4 pairs), 0 in work (0 pairs) by " in str(
        told
    )
    assert told[-1] == (
        f"{partial}: is going on; 2 of 3 shards done (8 pairs), 0 in work (0 pairs) by 2 of 2 "
        "workers, failures: 2, 0 pairs are written"
    )
    show.print_report(folder)
    expected = (
        f"{partial}: was interrupted; run.resume=true continues it; 2 of 3 shards done (8 pairs), "
        "0 pairs are written\n"
    )
    assert capsys.readouterr().out == expected
    resumed = {**settings, "run": {"dir": str(folder), "resume": True}}
    execute(resumed)
    assert state(folder) is None


def test_a_run_in_one_process(tmp_path):
    root = toys.write_pairs(tmp_path / "pairs", 4)
    told = []
    folder = tmp_path / "run"
    settings = toys.settings(root, run={"dir": str(folder)})
    execute(settings, lambda done, total: told.append(state(folder)))
    assert told[-1] == f"{folder}.partial: is going on; 0 pairs are written"

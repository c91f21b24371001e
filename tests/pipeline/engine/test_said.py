"""What a source warns of is in the results, once, also of a run that was interrupted."""

import logging
import threading

import pytest

from common.errors import DataError
from pipeline.commands import show
from pipeline.engine.said import listening
from tests.helpers import toys
from tests.helpers.runs import execute, files

SOURCE = logging.getLogger("pipeline.sources.some")


@pytest.fixture
def exchanged(here):
    """Pairs whose infrared images are in colour, and the visible ones grey."""
    root = here / "exchanged"
    toys.write_pairs(root)
    (root / "ir").rename(root / "grey")
    (root / "vi").rename(root / "ir")
    (root / "grey").rename(root / "vi")
    return root


@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_sources_warnings_are_in_the_results(exchanged, here, capsys):
    def stop(done, total):
        raise KeyboardInterrupt

    whole = execute(toys.settings(exchanged, run={"name": "whole"}))
    colour, exchange = whole.results["warnings"][-2:]
    assert "000.png: infrared in colour" in colour
    assert exchange.startswith("all infrared images are in colour and all visible ones grey")
    show.print_report(whole.folder)
    assert f"Warning: {exchange}" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(exchanged), stop)
    assert "infrared in colour" in (here / "runs" / "toy.partial" / "said.json").read_text()
    resumed = execute(toys.settings(exchanged, run={"name": "toy", "resume": True}))
    assert resumed.results["warnings"] == whole.results["warnings"]
    assert files(resumed.folder).keys() == files(whole.folder).keys()


def test_each_text_once_and_the_runs_own_thread_first():
    with listening() as said:
        other = threading.Thread(target=SOURCE.warning, args=("frame %d", 1), name="decode vis")
        other.start()
        other.join()
        SOURCE.warning("a start")
        SOURCE.warning("a start")
        SOURCE.info("not this")
        logging.getLogger("fusion").warning("nor this")
    SOURCE.warning("after the run")
    assert said.texts() == ("a start", "frame 1")


def test_what_the_runs_own_thread_says_for_another_is_in_its_place():
    with listening() as said:
        said.add([("decode", "one"), ("decode ir", "four")])
        with said.speaking_as("decode"):
            SOURCE.warning("two")
        SOURCE.warning("zero")
        said.add([("decode", "three")])
    assert said.texts() == ("zero", "one", "two", "three", "four")


def test_those_of_the_interrupted_run_come_first(tmp_path):
    with listening() as said:
        SOURCE.warning("before")
        said.keep(tmp_path)
        SOURCE.warning("rtsp://user:secret@host was lost")
    with listening() as again:
        SOURCE.warning("new")
        again.keep(tmp_path)
    lost = "rtsp://***@host was lost"
    assert said.texts() == ("before", lost)
    assert again.texts() == ("before", lost, "new")


@pytest.mark.parametrize("text", ["[1]", "{}", '[["a"]]'])
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "said.json").write_text(text)
    with listening() as said, pytest.raises(DataError, match=r"said\.json is damaged"):
        said.keep(tmp_path)

"""What is said at the end of a run, of outcomes that are made up."""

from pathlib import Path

import pytest

from pipeline.commands import run
from pipeline.commands._terminal import score_tables
from pipeline.engine.runner import Outcome
from pipeline.interfaces import Summary
from pipeline.run_folder import summary


def outcome(*, objects=(0, 0), results=None, pairs=50, wall_s=10.0, **frames):
    counts = {"paired": 50, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0, **frames}
    timing = {
        "wall_s": wall_s,
        "pairs": pairs,
        "stages": {"compute": stage(8.0), "evaluate": stage(9.0)},
        "parts": {"detect ir": {"busy_s": 5.0}, "upload": {"busy_s": 6.0}},
        "arms_ms_per_pair": {"ir": {"fuse": 1.25, "detect": 100.0}, "late": {"merge": 0.5}},
    }
    return Outcome(Path("runs/toy"), Summary(counts, *objects, {}, None), results, timing)


def stage(busy_s, wait_s=0.0):
    return {"busy_s": busy_s, "wait_s": wait_s}


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ({}, "50 of 50 pairs; "),
        ({"failed": 2}, "50 of 52 pairs (reasons in ledger.csv); "),
        ({"unpaired": 3}, "50 of 50 pairs; 3 frame(s) without a partner (reasons in ledger.csv); "),
        (
            {"fallback": 4},
            "50 of 50 pairs; 4 from one camera alone, not scored (reasons in ledger.csv); ",
        ),
        ({"dropped": 5}, "50 of 50 pairs; 5 frame(s) dropped (reasons in ledger.csv); "),
        (
            {"failed": 2, "unpaired": 3, "fallback": 4, "dropped": 5},
            "50 of 52 pairs; 3 frame(s) without a partner; 4 from one camera alone, not "
            "scored; 5 frame(s) dropped (reasons in ledger.csv); ",
        ),
    ],
)
def test_headline_counts_what_became_of_every_frame(frames, text):
    assert run.headline(outcome(**frames)) == f"{text}10.0 s, 5.0 pairs/s"


def test_headline_has_objects_where_there_are_labels():
    text = run.headline(outcome(objects=(90, 100), failed=1))
    assert text.startswith("50 of 51 pairs, 90 of 100 objects (reasons in")


def test_headline_speed_is_of_the_pairs_that_this_run_processed():
    """A resumed run counts all pairs, and has the time of the last ones alone."""
    assert run.headline(outcome(pairs=8, wall_s=3.2)).endswith("; 3.2 s, 2.5 pairs/s")


def bottleneck(stages, parts=None, wall_s=10.0):
    return summary.bottleneck(
        {
            "wall_s": wall_s,
            "stages": {name: stage(seconds) for name, seconds in stages.items()},
            "parts": {name: {"busy_s": seconds} for name, seconds in (parts or {}).items()},
        }
    )


@pytest.mark.parametrize("name", ["decode", "decode vis", "prepare", "write"])
def test_bottleneck_is_the_busiest_stage(name):
    stages = {"decode": 2.0, "decode vis": 3.0, "prepare": 1.0, "compute": 4.0, "write": 3.0}
    parts = {"detect ir": 3.5}
    found = bottleneck({**stages, name: 8.04, "evaluate": 9.0}, parts)
    assert found == f"Bottleneck: {name}, busy 80% of the time"


def test_bottleneck_says_what_the_computation_was_busy_with():
    parts = {"upload": 7.0, "evaluate": 9.0, "fuse tiny": 3.0, "detect ir": 2.0, "detect vis": 2.5}
    found = bottleneck({"decode": 2.0, "compute": 9.5, "evaluate": 20.0}, parts)
    assert found == "Bottleneck: compute, busy 95% of the time, most of it fuse tiny"
    assert bottleneck({"compute": 9.5}) == "Bottleneck: compute, busy 95% of the time"


def results(detector):
    return {
        "arms": {"ir": {"detection": None, "quality": {}}},
        "protocol": {"detector": detector, "preset": "detect", "modified": ["conf"]},
        "warnings": ["the clocks [drift]"],
        "labels": None,
    }


def test_report_without_labels_has_times_in_place_of_scores(capsys):
    detector = {"network": "net", "head": "v8", "weights": "demo", "conf": 0.25, "iou": 0.45}
    run.print_report(outcome(results=results(detector), unpaired=1))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("50 of 50 pairs; 1 frame(s) without a partner (reasons in")
    assert lines[1] == "The source has no labels: detections and times, but no scores."
    rows = [line.strip("│").split("│") for line in lines if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["ir", "1.2", "100.0", "–"], ["late", "–", "–", "0.5"],
    ]  # fmt: skip
    assert lines[-4:] == [
        "Warning: the clocks [drift]",
        "Protocol detect, modified (conf): net (v8, demo), conf 0.25, NMS IoU 0.45",
        "Bottleneck: compute, busy 80% of the time, most of it detect ir",
        "Run folder: runs/toy",
    ]


@pytest.mark.parametrize("found", [None, results(None)])
def test_report_of_a_run_that_only_fuses_has_no_table(capsys, found):
    run.print_report(outcome(results=found))
    lines = capsys.readouterr().out.splitlines()
    warned = [] if found is None else ["Warning: the clocks [drift]"]
    assert lines == [
        "50 of 50 pairs; 10.0 s, 5.0 pairs/s",
        *warned,
        "Bottleneck: compute, busy 80% of the time, most of it detect ir",
        "Run folder: runs/toy",
    ]


def test_report_says_what_of_the_labels_was_left_out(capsys):
    labels = {"counted": {"car": 2}, "not_counted": {}, "notes": ["1 label file [drift] left out"]}
    run.print_report(outcome(results={**results(None), "labels": labels}))
    assert "Note: 1 label file [drift] left out" in capsys.readouterr().out.splitlines()


def test_the_time_of_late_has_that_of_the_detections_that_it_merges(capsys):
    yolo = {"precision": 0.5, "recall": 0.5, "map50": 0.5, "map50_95": 0.5}
    part = {"detection": {"yolo": yolo, "coco": yolo, "ci95": dict.fromkeys(yolo)}}
    found = {
        "arms": {"ir": part, "late": part},
        "comparisons": {},
        "protocol": {"arms": {"ir": {}, "late": {"kind": "late", "arms": ["ir"]}}},
    }
    times = outcome().timing["arms_ms_per_pair"]
    (table,) = score_tables(found, times)
    assert list(table.columns[-1].cells) == ["101", "102"]

import csv

from pipeline.run_folder.alignment_file import AlignmentFile


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_every_pair_has_a_row_and_the_summary_counts_what_can_be_told(tmp_path):
    with AlignmentFile(tmp_path / "pairs.csv") as file:
        file.add("a", None, [3.0, 4.0, 0.5])
        file.add("b", None, [30.0, 40.0, 0.029])  # a guess
        file.add("c", "ir", None)
        file.add("d", None, [None, None, 0.0])
        file.add("e", None, [0.0, -1.0, 0.03])
    assert rows(tmp_path / "pairs.csv") == [
        ["key", "dead", "shift_x", "shift_y", "response"],
        ["a", "", "3.0", "4.0", "0.5"],
        ["b", "", "30.0", "40.0", "0.029"],
        ["c", "ir", "", "", ""],
        ["d", "", "", "", "0.0"],
        ["e", "", "0.0", "-1.0", "0.03"],
    ]
    assert file.summary() == {"pairs": 2, "median_px": 3.0, "p95_px": 4.8}  # of lengths 5 and 1
    assert list(file.warnings()) == []


def test_no_pair_that_can_be_told(tmp_path):
    with AlignmentFile(tmp_path / "pairs.csv") as file:
        file.add("a", None, None)
    assert file.summary() == {"pairs": 0, "median_px": None, "p95_px": None}
    assert list(file.warnings()) == []


def test_images_that_lie_far_apart_are_warned_of(tmp_path):
    with AlignmentFile(tmp_path / "pairs.csv") as file:
        file.add("a", None, [0.0, 9.0, 0.5])
    assert list(file.warnings()) == [
        "infrared and visible images seem to be 9 pixels apart (median): register them first "
        "(irvis calibrate)"
    ]

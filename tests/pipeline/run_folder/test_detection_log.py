import numpy as np
import pytest

from common.errors import DataError
from detection.boxes import Detections
from pipeline.run_folder.detection_log import DetectionLog, read_detections
from tests.helpers.stand import found, full_disk

PAIRS = [
    found((1, 2, 3.3, 4, 0.1, 0), (5, 6, 7, 8, 0.9, 2**40)), found(), found((0, 0, 1, 1, 1, 2))
]  # fmt: skip


def write(folder, detections, count=0):
    log = DetectionLog(folder, "ir", count)
    for one in detections:
        log.write(one)
    log.close()


def read(folder, block=2):
    """All detections, and the places of their pairs."""
    counts = np.array([len(one) for one in PAIRS])
    parts = list(read_detections(folder, "ir", counts, block))
    return Detections.concatenate([found for found, _ in parts]), [p for _, at in parts for p in at]


def assert_same(one, other):
    for name in ("xyxy", "score", "class_id"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


@pytest.mark.parametrize("block", [1, 2, 9])
def test_all_numbers_come_back_the_same(tmp_path, block):
    write(tmp_path, PAIRS)
    found, places = read(tmp_path, block)
    assert_same(found, Detections.concatenate(PAIRS))
    assert places == [0, 0, 2]
    assert (tmp_path / "predictions" / "ir.log").stat().st_size == 3 * 28


def test_a_resumed_log_goes_on_after_the_pairs_that_were_done(tmp_path):
    write(tmp_path, PAIRS)
    with (tmp_path / "predictions" / "ir.log").open("ab") as file:
        file.write(b"half a record")
    write(tmp_path, PAIRS[2:], count=2)
    assert_same(read(tmp_path)[0], Detections.concatenate(PAIRS))


def test_a_log_with_too_few_is_damaged(tmp_path):
    write(tmp_path, PAIRS)
    with pytest.raises(DataError, match=r"run\.resume: .*ir\.log is damaged .* for 4 detections"):
        DetectionLog(tmp_path, "ir", 4)
    write(tmp_path, PAIRS[:1])
    with pytest.raises(DataError, match=r"ir\.log: 56 bytes are not 3 detections"):
        read(tmp_path)


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with full_disk(50), pytest.raises(DataError, match=r"ir\.log: cannot be written"):
        write(tmp_path, PAIRS)

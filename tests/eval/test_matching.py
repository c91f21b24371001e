"""The YOLO rule by hand and against a slow reference; ignore regions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.boxes import Detections
from eval import matches
from eval.columns import Columns
from eval.labels import Labels
from eval.matches import IOU_THRESHOLDS
from eval.matching import drop_ignored, ignored, iou

HALF = np.array([0.5])


def match(found, truth, thresholds):
    """The label (n, t) of each detection of one image, -1 for a miss."""
    hit, label = matches.match(Columns.of([found], [truth]), thresholds)
    return np.where(hit, label[:, None], -1)


def test_iou_of_hand_worked_pairs():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], np.float64)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4], [0, 0, 0, 0]])
    np.testing.assert_allclose(iou(a, b), [[1, 1 / 3, 0, 0.04, 0], [0, 0, 0, 0, 0]])
    assert iou(a[:0], b).shape == (0, 5)
    assert iou(a, b[:0]).dtype == np.float64


def test_one_box_hits_up_to_its_overlap(detections, labels):
    found = detections((0, 0.9, 0, 0, 10, 7))  # IoU 0.7
    assert match(found, labels((0, 0, 0, 10, 10)), np.array([0.5, 0.7, 0.75])).tolist() == [
        [0, 0, -1]
    ]


def test_other_class_never_hits(detections, labels):
    found = detections((2, 0.9, 0, 0, 9, 9))
    assert match(found, labels((0, 0, 0, 9, 9)), HALF).tolist() == [[-1]]


@pytest.mark.parametrize("n", [0, 2])
def test_no_labels_or_no_detections(detections, labels, n):
    found = detections(*[(0, 0.5, 0, 0, 9, 9)] * n)
    assert match(found, Labels.empty(), IOU_THRESHOLDS).tolist() == [[-1] * 10] * n
    assert match(Detections.empty(), labels((0, 0, 0, 9, 9)), HALF).shape == (0, 1)


def test_two_boxes_each_hit_their_own(detections, labels):
    truth = labels((0, 0, 0, 10, 10), (0, 20, 0, 30, 10))
    found = detections((0, 0.9, 20, 0, 30, 10), (0, 0.8, 0, 0, 10, 10))
    assert match(found, truth, HALF).tolist() == [[1], [0]]


def test_of_duplicates_the_most_confident_hits_not_the_best_overlap(detections, labels):
    """The subtlety that moved mAP by 0.16: no second sort by IoU."""
    found = detections((0, 0.9, 0, 0, 10, 7), (0, 0.5, 0, 0, 10, 10))
    truth = labels((0, 0, 0, 10, 10))
    assert match(found, truth, HALF).tolist() == [[0], [-1]]
    # Where the first one doesn't reach the threshold, the second has the label to itself.
    assert match(found, truth, np.array([0.75])).tolist() == [[-1], [0]]


def test_detection_keeps_its_best_label_and_misses_where_that_is_taken(detections, labels):
    """Each detection asks for one label only: the second, in reach of both, gets neither."""
    truth = labels((0, 0, 0, 10, 10), (0, 0, 3, 10, 13))
    found = detections((0, 0.9, 0, 0, 10, 10), (0, 0.8, 0, 1, 10, 11))
    overlap = iou(found.xyxy, truth.xyxy)
    assert (overlap[1] > 0.6).all()
    assert match(found, truth, HALF).tolist() == [[0], [-1]]


def test_detections_may_come_in_any_order_and_labels_of_other_images_are_out_of_reach(
    detections, labels
):
    found = [
        detections((0, 0.1, 0, 0, 9, 9), (0, 0.2, 0, 0, 9, 8)), detections((0, 0.9, 50, 50, 60, 60))
    ]  # fmt: skip
    truth = [labels((0, 0, 0, 9, 9)), labels((0, 70, 70, 80, 80), (0, 50, 50, 60, 60))]
    columns = Columns.of(found, truth)
    assert columns.found.score.tolist() == pytest.approx([0.2, 0.1, 0.9])
    assert (columns.image.tolist(), columns.place.tolist()) == ([0, 0, 1], [0, 1, 0])
    hit, label = matches.match(columns, HALF)
    assert (hit[:, 0].tolist(), label.tolist()) == ([True, False, True], [0, 0, 2])


def slow_match(found: Detections, truth: Labels, threshold: float) -> list[int]:
    """The rule as the specification words it, pair by pair."""
    pairs = []
    for d, (box, cls) in enumerate(zip(found.xyxy.tolist(), found.class_id, strict=True)):
        for t, (other, label) in enumerate(zip(truth.xyxy.tolist(), truth.class_id, strict=True)):
            w = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
            h = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
            value = w * h / (sum(areas) - w * h)
            if cls == label and value >= threshold:
                pairs.append((value, d, t))
    pairs.sort(key=lambda pair: -pair[0])
    first: dict[int, int] = {}
    for _, d, t in pairs:
        first.setdefault(d, t)
    taken: dict[int, int] = {}
    for d in sorted(first):
        taken.setdefault(first[d], d)
    return [first[d] if d in taken.values() else -1 for d in range(len(found))]


@st.composite
def box_rows(draw: st.DrawFn, size: int) -> np.ndarray:
    corner = st.integers(0, 6)
    side = st.integers(3, 8)
    rows = draw(st.lists(st.tuples(corner, corner, side, side), max_size=size))
    boxes = np.array(rows, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


@settings(max_examples=120, deadline=None)
@given(found=box_rows(8), truth=box_rows(5), data=st.data())
def test_agrees_with_the_slow_reference(found, truth, data):
    def classes(n):
        return np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.int64)

    score = np.linspace(0.9, 0.1, len(found)).astype(np.float32)
    detected = Detections(found.astype(np.float32), score, classes(len(found)))
    labelled = Labels(truth, classes(len(truth)), np.zeros((0, 4)))
    hits = match(detected, labelled, IOU_THRESHOLDS)
    for column, threshold in enumerate(IOU_THRESHOLDS):
        assert hits[:, column].tolist() == slow_match(detected, labelled, threshold)


def test_ignore_needs_over_half_inside_one_region_and_no_label(detections, labels):
    truth = labels((0, 0, 0, 10, 10), ignore=[(0, 0, 10, 10), (100, 0, 110, 10), (110, 0, 116, 10)])
    found = detections(
        (0, 0.9, 0, 0, 10, 9),  # hits the label
        (2, 0.8, 0, 0, 10, 9),  # no label of its class
        (0, 0.7, 95, 0, 105, 10),  # exactly half inside
        (0, 0.6, 96, 0, 106, 10),  # 0.6 inside
        (0, 0.5, 105, 0, 121, 10),  # two regions cover over half together, none alone
        (0, 0.4, 50, 50, 50, 50),  # no area
    )
    assert ignored(found, truth).tolist() == [False, True, False, True, False, False]
    np.testing.assert_array_equal(
        drop_ignored(found, truth).score, np.array([0.9, 0.7, 0.5, 0.4], np.float32)
    )


def test_nothing_is_ignored_without_regions_or_detections(detections, labels):
    assert not ignored(detections((0, 0.9, 0, 0, 9, 9)), labels()).any()
    assert len(ignored(Detections.empty(), labels(ignore=[(0, 0, 9, 9)]))) == 0
    # A region on an image without labels still counts.
    assert ignored(detections((0, 0.9, 0, 0, 9, 9)), labels(ignore=[(0, 0, 9, 9)])).all()

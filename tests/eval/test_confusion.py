"""The confusion matrix by hand and against the rule written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.boxes import Detections
from eval.columns import Columns
from eval.confusion import confusion_matrix
from eval.labels import Labels

BOX = (0, 0, 10, 10)
FAR = (50, 50, 60, 60)


def counted(found, truth, classes, **settings):
    return confusion_matrix(Columns.of(found, truth), classes, **settings)


def test_every_kind_of_pair(detections, labels):
    """Rows: taken for a car, a person, nothing. Columns: a car, a person, nothing."""
    found = detections(
        (2, 0.9, *BOX),  # right
        (0, 0.9, 20, 0, 30, 10),  # a car taken for a person
        (2, 0.9, *FAR),  # a false alarm
    )
    truth = labels((2, *BOX), (2, 20, 0, 30, 10), (0, 80, 80, 90, 90))
    matrix = counted([found], [truth], [2, 0])
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_images_add_up(detections, labels):
    """Two hits; an image with a label only, one with a detection only, one with neither."""
    hit = detections((0, 0.5, *BOX))
    found = [hit, hit, detections(), hit, detections()]
    truth = [labels((0, *BOX))] * 3 + [labels(), labels()]
    assert counted(found, truth, [0]).tolist() == [[2, 1], [1, 0]]


def test_nothing_at_all():
    assert counted([], [], [0, 2]).tolist() == [[0] * 3] * 3
    assert counted([Detections.empty()], [Labels.empty()], []).tolist() == [[0]]


@pytest.mark.parametrize(
    ("score", "top", "expected"),
    [
        (0.26, 6, [[1, 0], [0, 0]]),
        (0.25, 6, [[0, 0], [1, 0]]),  # not over the confidence
        (0.26, 5, [[0, 1], [1, 0]]),  # IoU 0.5, not over the threshold
    ],
)
def test_thresholds_must_be_exceeded(detections, labels, score, top, expected):
    found = [detections((0, score, 0, 0, 10, top))]
    assert counted(found, [labels((0, *BOX))], [0]).tolist() == expected


def test_other_thresholds(detections, labels):
    found = [detections((0, 0.1, 0, 0, 10, 5))]
    matrix = counted(found, [labels((0, *BOX))], [0], confidence=0.05, iou_threshold=0.45)
    assert matrix.tolist() == [[1, 0], [0, 0]]


def test_overlap_goes_before_class_and_score(detections, labels):
    """The car's box is the person's, so the person's own, surer detection has no partner."""
    found = [detections((0, 0.9, 0, 0, 10, 9), (2, 0.3, *BOX))]
    matrix = counted(found, [labels((0, *BOX))], [0, 2])
    assert matrix.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_of_equal_overlaps_the_surer_detection_has_the_label(detections, labels):
    found = [detections((0, 0.3, *BOX), (2, 0.9, *BOX))]
    matrix = counted(found, [labels((0, *BOX))], [0, 2])
    assert matrix.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_detection_asks_for_one_label_only(detections, labels):
    """The second one's best label is taken; the other label, in reach of it, is missed."""
    truth = labels((0, *BOX), (0, 0, 3, 10, 13))
    found = [detections((0, 0.9, *BOX), (0, 0.8, 0, 1, 10, 11))]
    assert counted(found, [truth], [0]).tolist() == [[1, 1], [1, 0]]


def test_ignored_detections_do_not_count(detections, labels):
    found = [detections((0, 0.9, *BOX), (0, 0.9, *FAR))]
    truth = [labels((0, *BOX), ignore=[(45, 45, 90, 90)])]
    assert counted(found, truth, [0]).tolist() == [[1, 0], [0, 0]]


def test_unknown_class(detections, labels):
    with pytest.raises(KeyError, match="7"):
        counted([detections((7, 0.9, *BOX))], [labels()], [0])
    with pytest.raises(KeyError, match="7"):
        counted([detections()], [labels((7, *BOX))], [0])
    assert counted([detections((7, 0.2, *BOX))], [labels()], [0]).sum() == 0


def test_lengths_must_agree(detections, labels):
    with pytest.raises(ValueError, match="2 labels"):
        counted([detections()], [labels(), labels()], [0])


def shared(a, b):
    """IoU of two boxes."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def slow(images, classes):
    """Rows (class, score, x1, y1, x2, y2) and (class, x1, y1, x2, y2) of each image."""
    names = [*classes, "background"]
    counts = dict.fromkeys([(row, column) for row in names for column in names], 0)
    for found, truth in images:
        sure = sorted([row for row in found if row[1] > 0.25], key=lambda row: -row[1])
        asking = {}
        for index, row in enumerate(sure):
            overlaps = [shared(row[2:], label[1:]) for label in truth]
            if overlaps and max(overlaps) > 0.5:
                best = overlaps.index(max(overlaps))
                asking.setdefault(best, []).append((-overlaps[best], index))
        partner = {min(those)[1]: label for label, those in asking.items()}
        for index, row in enumerate(sure):
            column = truth[partner[index]][0] if index in partner else "background"
            counts[row[0], column] += 1
        for index, label in enumerate(truth):
            if index not in partner.values():
                counts["background", label[0]] += 1
    return [[counts[row, column] for column in names] for row in names]


corner, side, cls = st.integers(0, 4), st.integers(4, 8), st.sampled_from([0, 2, 5])
score = st.integers(0, 20).map(lambda n: float(np.float32(n / 20)))
detection = st.tuples(cls, score, corner, corner, side, side)
label = st.tuples(cls, corner, corner, side, side)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(detection, max_size=7), st.lists(label, max_size=5)), max_size=3)
)
def test_agrees_with_the_slow_reference(detections, labels, images):
    images = [
        (
            [(c, s, x, y, x + w, y + h) for c, s, x, y, w, h in found],
            [(c, x, y, x + w, y + h) for c, x, y, w, h in truth],
        )
        for found, truth in images
    ]
    matrix = counted(
        [detections(*found) for found, _ in images],
        [labels(*truth) for _, truth in images],
        [5, 0, 2],
    )
    assert matrix.tolist() == slow(images, [5, 0, 2])
    sure = [row[0] for found, _ in images for row in found if row[1] > 0.25]
    every = [row[0] for _, truth in images for row in truth]
    assert matrix.sum(axis=1)[:3].tolist() == [sure.count(c) for c in (5, 0, 2)]
    assert matrix.sum(axis=0)[:3].tolist() == [every.count(c) for c in (5, 0, 2)]
    assert matrix[3, 3] == 0

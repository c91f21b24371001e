"""Log-average miss rate by hand and against its definition written out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.matches import match_images
from eval.miss_rate import log_average_miss_rate, pedestrian_miss_rate

LABEL = (0, 0, 0, 10, 10)
REFERENCES = [10 ** (-2 + k / 4) for k in range(9)]


def hit(score):
    return (0, score, 0, 0, 10, 10)


def false_alarm(score):
    return (0, score, 50, 50, 60, 60)


def rate(detections, labels, found, truth, class_id=0):
    matches = match_images([detections(*rows) for rows in found], [labels(*r) for r in truth])
    return log_average_miss_rate(matches, class_id)


def test_all_found_without_false_alarms(detections, labels):
    assert rate(detections, labels, [[hit(0.9)]], [[LABEL]]) == pytest.approx(1e-10)


def test_nothing_found(detections, labels):
    assert rate(detections, labels, [[]], [[LABEL]]) == 1
    assert rate(detections, labels, [[false_alarm(0.9)]], [[LABEL]]) == 1


def test_no_labels_of_the_class(detections, labels):
    assert rate(detections, labels, [[hit(0.9)]], [[LABEL]], class_id=2) is None
    assert rate(detections, labels, [], []) is None


def test_one_of_two_found_before_all_false_alarms(detections, labels):
    truth = [[LABEL, (0, 80, 80, 90, 90)]]
    found = [[hit(0.9), false_alarm(0.8)]]
    assert rate(detections, labels, found, truth) == pytest.approx(1 / 2)


def test_curve_that_starts_beyond_the_references(detections, labels):
    """One false alarm in two images, then all found: only 10^-0.25 and 1 have a point."""
    found = [[hit(0.5), false_alarm(0.9)], [hit(0.4)]]
    expected = 1e-10 ** (2 / 9)
    assert rate(detections, labels, found, [[LABEL], [LABEL]]) == pytest.approx(expected)


def test_a_point_at_a_reference_counts(detections, labels):
    """One false alarm in ten images is 0.1, the fifth reference; 5 of 10 are found after it."""
    found = [[hit(0.5)] for _ in range(5)] + [[] for _ in range(5)]
    found[9] = [false_alarm(0.9)]
    assert rate(detections, labels, found, [[LABEL]] * 10) == pytest.approx(0.5 ** (5 / 9))


def test_one_false_alarm_in_a_hundred_images_is_the_first_reference(detections, labels):
    found = [[false_alarm(0.9), hit(0.5)], *[[]] * 99]
    assert rate(detections, labels, found, [[LABEL], [LABEL], *[[]] * 98]) == pytest.approx(0.5)


def test_other_classes_take_no_part(detections, labels):
    found = [[hit(0.5), (2, 0.9, 50, 50, 60, 60)]]
    assert rate(detections, labels, found, [[LABEL, (2, 0, 0, 9, 9)]]) == pytest.approx(1e-10)
    assert rate(detections, labels, found, [[LABEL, (2, 0, 0, 9, 9)]], class_id=2) == 1


def slow(outcomes, labels, images):
    """``outcomes``: of each detection whether it hits, best score first."""
    logs = []
    for reference in REFERENCES:
        miss = 1.0
        for k in range(1, len(outcomes) + 1):
            hits = sum(outcomes[:k])
            if (k - hits) / images <= reference:
                miss = 1 - hits / labels
        logs.append(math.log(max(miss, 1e-10)))
    return math.exp(sum(logs) / 9)


@settings(max_examples=50, deadline=None)
@given(
    outcomes=st.lists(st.booleans(), max_size=30),
    images=st.integers(1, 150),
    missed=st.integers(1, 5),
)
def test_agrees_with_the_slow_reference(detections, labels, outcomes, images, missed):
    """Each hit has a label of its own; all are on the first image, the others are empty."""
    rows, truth = [], [(0, 1000, 0, 1010, 10)] * missed
    for index, found in enumerate(outcomes):
        box = (20 * index, 0, 20 * index + 10, 10)
        rows.append((0, float(np.float32(1 - index / 40)), *box))
        if found:
            truth.append((0, *box))
    empty = [[]] * (images - 1)
    value = rate(detections, labels, [rows, *empty], [truth, *empty])
    assert value == pytest.approx(slow(outcomes, len(truth), images), rel=1e-9)


def test_the_worked_example_of_the_pedestrian_matching(detections, labels):
    """Two images, three persons; scores in the order of the curve.

    0.9 hits the first person. 0.8 lies on it too, which is taken: a false positive, 0.5 an image.
    0.7 has half of its area in a region to ignore, and so has 0.6: neither counts. 0.5 hits the
    second person, though it lies in the same region. 0.4 lies on nothing: 1 an image. 0.3 hits the
    third. So the miss rate is 2/3 at the seven references below 0.5 (0.01 to 0.316), 1/3 at 0.562,
    and at 1, after 0.3, it is 0.
    """
    truth = [
        labels((0, 0, 0, 10, 20), (0, 100, 0, 110, 20), ignore=[(90, 0, 140, 40)]),
        labels((0, 0, 0, 10, 20)),
    ]
    found = [
        detections((0, 0.9, 0, 0, 10, 20), (0, 0.8, 0, 0, 10, 21), (0, 0.7, 80, 0, 100, 20),
                   (0, 0.6, 120, 0, 140, 30), (0, 0.5, 100, 0, 110, 20)),
        detections((0, 0.4, 50, 50, 60, 70), (0, 0.3, 0, 0, 10, 20)),
    ]  # fmt: skip
    expected = ((2 / 3) ** 7 * (1 / 3) * 1e-10) ** (1 / 9)
    assert pedestrian_miss_rate(found, truth, 0) == pytest.approx(expected)
    assert pedestrian_miss_rate(found, truth, 2) is None


def area(box):
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def common(a, b):
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def slow_pedestrian(found, truth):
    """The definition, one detection at a time; ``truth``: objects and regions of each image."""
    curve = []
    for image, rows in enumerate(found):
        free = list(truth[image][0])
        for score, box in sorted(rows, key=lambda row: -row[0]):
            best = max(free, key=lambda b: common(box, b) / (area(box) + area(b) - common(box, b)),
                       default=None)  # fmt: skip
            if best and 3 * common(box, best) >= area(box) + area(best):  # IoU of at least 0.5
                free.remove(best)
                curve.append((score, True))
            elif not any(2 * common(box, region) >= area(box) for region in truth[image][1]):
                curve.append((score, False))
    outcomes = [hits for _, hits in sorted(curve, key=lambda point: -point[0])]
    return slow(outcomes, sum(len(objects) for objects, _ in truth), len(truth))


def rectangles(least, most):
    """Boxes on a coarse grid, so that many overlap."""
    corner, side = st.integers(0, 6), st.integers(1, 5)
    box = st.tuples(corner, corner, side, side).map(
        lambda b: (4 * b[0], 4 * b[1], 4 * (b[0] + b[2]), 4 * (b[1] + b[3]))
    )
    return st.lists(box, min_size=least, max_size=most, unique=True)


@settings(max_examples=150, deadline=None)
@given(
    images=st.lists(
        st.tuples(rectangles(1, 4), rectangles(0, 2), rectangles(0, 6)), min_size=1, max_size=4
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_pedestrian_matching_agrees_with_its_definition(detections, labels, images, order):
    number = sum(len(rows) for _, _, rows in images)
    scores = [(i + 1) / 32 for i in range(number)]  # exact in float32
    order.shuffle(scores)
    found, truth = [], []
    for objects, regions, rows in images:
        found.append([(scores.pop(), box) for box in rows])
        truth.append((objects, regions))
    value = pedestrian_miss_rate(
        [detections(*((0, score, *box) for score, box in rows)) for rows in found],
        [labels(*((0, *box) for box in objects), ignore=regions) for objects, regions in truth],
        0,
    )
    assert value == pytest.approx(slow_pedestrian(found, truth), rel=1e-9)

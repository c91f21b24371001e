"""Log-average miss rate by hand and against its definition written out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.average_precision import match_images
from eval.miss_rate import log_average_miss_rate

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

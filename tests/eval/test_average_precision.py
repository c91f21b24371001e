"""The YOLO convention: worked by hand, and against a slow reference."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.boxes import Detections
from eval.average_precision import average_precision, evaluate_yolo
from eval.labels import Labels


def test_one_box_found(detections, labels):
    result = evaluate_yolo([detections((0, 0.9, 0, 0, 9, 9))], [labels((0, 0, 0, 9, 9))])
    # The curve's last step, from (1, 1) down to (1, 0), costs half a step of the grid.
    assert (result.map50, result.map50_95) == pytest.approx((0.995, 0.995))
    assert result.precision == 1
    assert result.recall == pytest.approx(1)
    assert result.confidence < 0.9
    assert (result.labels, result.images) == (1, 1)
    assert (result.per_class[0].labels, result.per_class[0].images) == (1, 1)


def test_loose_box_counts_at_the_thresholds_that_it_reaches(detections, labels):
    result = evaluate_yolo([detections((0, 0.9, 0, 0, 10, 7.2))], [labels((0, 0, 0, 10, 10))])
    assert result.map50 == pytest.approx(0.995)
    assert result.map50_95 == pytest.approx(0.995 * 5 / 10)  # .50 .55 .60 .65 .70


def test_two_boxes_one_found(detections, labels):
    result = evaluate_yolo(
        [detections((0, 0.9, 0, 0, 9, 9))], [labels((0, 0, 0, 9, 9), (0, 20, 0, 29, 9))]
    )
    # Precision 1 up to recall 0.5, then a straight line to (1, 0): 0.5 + 0.25.
    assert result.map50 == pytest.approx(0.75, abs=1e-9)
    assert (result.precision, result.recall) == pytest.approx((1, 0.5))


def test_duplicate_is_a_false_positive(detections, labels):
    found = detections((0, 0.9, 0, 0, 9, 9), (0, 0.8, 0, 0, 9, 9), (0, 0.4, 20, 0, 29, 9))
    truth = labels((0, 0, 0, 9, 9), (0, 20, 0, 29, 9))
    result = evaluate_yolo([found], [truth])
    # Points (1/2, 1), (1/2, 1/2), (1, 2/3): the envelope is 1 to recall 0.5, then 2/3 to 1.
    # Each of the two falls takes the last grid cell, of width 0.01, before it.
    expected = 0.49 + 0.01 * (1 + 2 / 3) / 2 + 0.49 * 2 / 3 + 0.01 * (2 / 3) / 2
    assert result.map50 == pytest.approx(expected, abs=1e-9)
    # F1: 2/3 over 0.8, 1/2 to 0.4, 0.8 below.
    assert result.confidence < 0.4
    assert (result.precision, result.recall) == pytest.approx((2 / 3, 1))


def test_no_labels_is_not_defined(detections):
    result = evaluate_yolo([detections((0, 0.9, 0, 0, 9, 9))], [Labels.empty()])
    assert (result.precision, result.recall, result.map50, result.map50_95) == (None,) * 4
    assert result.confidence is None
    assert (result.per_class, result.labels, result.images) == ({}, 0, 1)
    assert evaluate_yolo([], []).images == 0


def test_no_detections_is_zero(labels):
    result = evaluate_yolo([Detections.empty()], [labels((0, 0, 0, 9, 9))])
    assert (result.precision, result.recall, result.map50, result.map50_95) == (0, 0, 0, 0)


def test_only_false_positives_is_zero(detections, labels):
    result = evaluate_yolo([detections((0, 0.9, 50, 50, 59, 59))], [labels((0, 0, 0, 9, 9))])
    assert (result.precision, result.recall, result.map50) == (0, 0, 0)


def test_image_without_labels_adds_false_positives(detections, labels):
    hit = detections((0, 0.5, 0, 0, 9, 9))
    wrong = detections((0, 0.9, 0, 0, 9, 9))
    result = evaluate_yolo([hit, wrong], [labels((0, 0, 0, 9, 9)), Labels.empty()])
    # One point: (1, 1/2); the envelope falls from (0, 1) only at recall 0.
    assert result.map50 == pytest.approx(0.5, abs=0.005)
    assert result.precision == pytest.approx(0.5)
    assert (result.images, result.per_class[0].images) == (2, 1)


def test_only_classes_in_the_labels_count(detections, labels):
    found = detections((0, 0.9, 0, 0, 9, 9), (2, 0.9, 0, 0, 9, 9), (5, 0.8, 0, 0, 9, 9))
    result = evaluate_yolo([found], [labels((0, 0, 0, 9, 9), (1, 50, 50, 59, 59))])
    assert list(result.per_class) == [0, 1]
    assert result.per_class[1].map50 == 0
    assert result.map50 == pytest.approx(0.995 / 2)


def test_ignored_detections_do_not_count(detections, labels):
    truth = labels((0, 0, 0, 9, 9), ignore=[(50, 50, 80, 80)])
    hit, inside = (0, 0.5, 0, 0, 9, 9), (0, 0.9, 55, 55, 65, 65)
    assert evaluate_yolo([detections(hit, inside)], [truth]) == evaluate_yolo(
        [detections(hit)], [truth]
    )


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="1 images have detections, 0 labels"):
        evaluate_yolo([Detections.empty()], [])


def test_curve_ends():
    recall, precision = np.array([0.5]), np.array([1.0])
    assert average_precision(recall, precision) == pytest.approx(0.75)
    # Full precision to recall 0.5 on the grid, then nothing: half a cell is lost to the slope.
    last = average_precision(recall, precision, curve_end="last_recall")
    assert last == pytest.approx(0.5, abs=0.0051)


# The reference: plain Python from the description, no code shared with the package.


def slow_overlap(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def slow_hits(found, truth, threshold):
    best = {}
    for d, (cls, _, *box) in enumerate(found):
        reach = [(-slow_overlap(box, t[1:]), i) for i, t in enumerate(truth) if t[0] == cls]
        reach = [pair for pair in reach if -pair[0] >= threshold]
        if reach:
            best[d] = min(reach)[1]
    owner = {}
    for d, t in best.items():
        owner.setdefault(t, d)
    return [owner.get(best.get(d)) == d and d in best for d in range(len(found))]


def slow_line(points, x):
    """Value at x of the polyline through points of rising x; the last of equal x."""
    for (x1, y1), (x0, y0) in pairwise(points[::-1]):
        if x1 == x:
            return y1
        if x0 <= x < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[0][1]


def slow_class(images, cls, threshold):
    """Points (score, recall, precision) of one class, best score first."""
    count = sum(t[0] == cls for _, truth in images for t in truth)
    rows = []
    for found, truth in images:
        hits = slow_hits(found, truth, threshold)
        rows += [(d[1], hit) for d, hit in zip(found, hits, strict=True) if d[0] == cls]
    rows.sort(key=lambda row: -row[0])
    total, points = 0, []
    for k, (score, hit) in enumerate(rows, 1):
        total += hit
        points.append((score, total / count, total / k))
    return points


def slow_ap(points):
    if not points:
        return 0.0
    curve = [(0.0, 1.0), *[(r, p) for _, r, p in points], (1.0, 0.0)]
    envelope = [(r, max(p for _, p in curve[i:])) for i, (r, _) in enumerate(curve)]
    values = [slow_line(envelope, i / 100) for i in range(101)]
    return sum((a + b) / 200 for a, b in pairwise(values))


def slow_at(points, confidence):
    """Precision and recall where only scores of at least ``confidence`` count, interpolated."""
    if not points:
        return 0.0, 0.0
    if confidence > points[0][0]:
        return 1.0, 0.0
    if confidence < points[-1][0]:
        return points[-1][2], points[-1][1]
    precision = slow_line([(-s, p) for s, _, p in points], -confidence)
    return precision, slow_line([(-s, r) for s, r, _ in points], -confidence)


@st.composite
def scenes(draw):
    """Up to three images of integer boxes, two classes, all scores different."""
    images = []
    total = 0
    corner, side, cls = st.integers(0, 5), st.integers(4, 8), st.integers(0, 1)
    row = st.tuples(cls, corner, corner, side, side)
    for _ in range(draw(st.integers(1, 3))):
        truth = [(c, x, y, x + w, y + h) for c, x, y, w, h in draw(st.lists(row, max_size=4))]
        found = [(c, x, y, x + w, y + h) for c, x, y, w, h in draw(st.lists(row, max_size=5))]
        images.append((found, truth))
        total += len(found)
    scores = draw(st.permutations(range(1, total + 1)))
    scores = [float(np.float32(s / (total + 1))) for s in scores]
    result = []
    for found, truth in images:
        mine = [scores.pop() for _ in found]
        rows = [(c, s, *box) for (c, *box), s in zip(found, mine, strict=True)]
        result.append((sorted(rows, key=lambda r: -r[1]), truth))
    return result


@settings(max_examples=60, deadline=None)
@given(images=scenes())
def test_agrees_with_the_slow_reference(images):
    found = [
        Detections(
            np.array([d[2:] for d in rows], np.float32).reshape(-1, 4),
            np.array([d[1] for d in rows], np.float32),
            np.array([d[0] for d in rows], np.int64),
        )
        for rows, _ in images
    ]
    truth = [
        Labels(
            np.array([t[1:] for t in rows], np.float64).reshape(-1, 4),
            np.array([t[0] for t in rows], np.int64),
            np.zeros((0, 4)),
        )
        for _, rows in images
    ]
    result = evaluate_yolo(found, truth)
    classes = sorted({t[0] for _, rows in images for t in rows})
    assert list(result.per_class) == classes
    if not classes:
        assert result.map50 is None
        return
    thresholds = np.linspace(0.5, 0.95, 10).tolist()
    aps = [[slow_ap(slow_class(images, c, t)) for t in thresholds] for c in classes]
    assert result.map50 == pytest.approx(np.mean([ap[0] for ap in aps]), abs=1e-9)
    assert result.map50_95 == pytest.approx(np.mean(aps), abs=1e-9)
    check_operating_point(result, [slow_class(images, c, 0.5) for c in classes], classes)


def check_operating_point(result, curves, classes):
    """P and R are the curves' at a confidence that no other beats in smoothed mean F1."""
    grid = [i / 999 for i in range(1000)]
    f1 = []
    for confidence in grid:
        pairs = [slow_at(points, confidence) for points in curves]
        f1.append(sum(2 * p * r / (p + r) if p + r else 0 for p, r in pairs) / len(pairs))
    padded = [f1[0]] * 50 + f1 + [f1[-1]] * 50
    sums = np.cumsum([0.0, *padded])
    smooth = [(sums[i + 101] - sums[i]) / 101 for i in range(1000)]
    chosen = round(result.confidence * 999)
    assert math.isclose(smooth[chosen], max(smooth), abs_tol=1e-9)
    for cls, points in zip(classes, curves, strict=True):
        expected = slow_at(points, grid[chosen])
        mine = result.per_class[cls]
        assert (mine.precision, mine.recall) == pytest.approx(expected, abs=1e-6)
    assert result.precision == pytest.approx(
        np.mean([c.precision for c in result.per_class.values()])
    )
    assert result.recall == pytest.approx(np.mean([c.recall for c in result.per_class.values()]))


def test_equal_scores_keep_the_images_order(detections, labels):
    """Enough of them for an unstable sort to show."""
    random = np.random.default_rng(0)
    truth = (0, 0, 0, 9, 9)
    images = []
    for _ in range(300):
        left = random.choice([0, 50])  # a hit or a miss
        images.append(([(0, random.choice([0.25, 0.5, 0.75]), left, 0, left + 9, 9)], [truth]))
    result = evaluate_yolo(
        [detections(*found) for found, _ in images], [labels(*rows) for _, rows in images]
    )
    assert result.map50 == pytest.approx(slow_ap(slow_class(images, 0, 0.5)), abs=1e-9)

"""The paired bootstrap against drawing the images one by one, and by hand."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from detection.boxes import Detections
from eval.average_precision import STATISTICS, evaluate_yolo, summarize
from eval.bootstrap import DRAWS, Bootstrap, bootstrap, draw, statistics
from eval.labels import Labels
from eval.matches import match_images


def numbers(result):
    return [np.nan if (v := getattr(result, name)) is None else v for name in STATISTICS]


def copies(matches, counts):
    """The resampled set, spelt out: each detection and label as often as its image was drawn."""
    found = np.repeat(np.arange(len(matches.score)), counts[matches.image])
    labelled = np.repeat(np.arange(len(matches.label_class)), counts[matches.label_image])
    return replace(
        matches,
        hit=matches.hit[found],
        score=matches.score[found],
        class_id=matches.class_id[found],
        image=matches.image[found],
        label_class=matches.label_class[labelled],
        label_image=matches.label_image[labelled],
        label_area=matches.label_area[labelled],
        label_score=matches.label_score[labelled],
    )


@st.composite
def scenes(draw: st.DrawFn, *, ties: bool) -> tuple[list[Detections], list[Labels]]:
    """A few images with labels and detections near them or anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.integers(1, 6))
    classes = draw(st.sampled_from([[0], [0, 2], [0, 1, 2]]))
    levels = draw(st.integers(2, 6)) if ties else 2**20
    found, labels = [], []
    for _ in range(images):
        m, n = rng.integers(0, 4), rng.integers(0, 6)
        corner, size = rng.uniform(0, 80, (m, 2)), rng.uniform(8, 30, (m, 2))
        truth = np.concatenate([corner, corner + size], axis=1)
        labels.append(Labels(truth, rng.choice(classes, m), np.zeros((0, 4))))
        corner, size = rng.uniform(0, 80, (n, 2)), rng.uniform(8, 30, (n, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        for i in range(n):
            if m and rng.random() < 0.7:
                boxes[i] = truth[rng.integers(m)] + rng.normal(0, 2, 4)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        score = rng.integers(1, levels, n).astype(np.float32) / np.float32(levels)
        order = np.argsort(-score, kind="stable")
        found.append(
            Detections(boxes.astype(np.float32), score, rng.choice(classes, n).astype(np.int64))[
                order
            ]
        )
    return found, labels


@settings(max_examples=60, deadline=None)
@given(scene=scenes(ties=True), seed=st.integers(0, 1000))
def test_draws_equal_the_plain_formula_on_the_drawn_images(scene, seed):
    matches = match_images(*scene)
    counts = draw(matches.images, 5, seed)
    expected = [numbers(summarize(copies(matches, row))) for row in counts]
    np.testing.assert_allclose(statistics(matches, counts), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(scene=scenes(ties=False), seed=st.integers(0, 1000))
def test_draws_equal_scoring_the_drawn_images_from_their_boxes(scene, seed):
    """Brute force: the images themselves are repeated, matched and scored."""
    found, labels = scene
    counts = draw(len(labels), 4, seed)
    expected = []
    for row in counts:
        chosen = np.repeat(np.arange(len(labels)), row)
        expected.append(
            numbers(evaluate_yolo([found[i] for i in chosen], [labels[i] for i in chosen]))
        )
    actual = statistics(match_images(found, labels), counts)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(scene=scenes(ties=True))
def test_each_image_once_is_the_set_itself(scene):
    matches = match_images(*scene)
    once = np.ones((1, matches.images), np.int32)
    np.testing.assert_allclose(
        statistics(matches, once)[0], numbers(summarize(matches)), atol=1e-12
    )


def test_draw_counts_as_many_images_as_there_are():
    counts = draw(30, 500, seed=3)
    assert counts.shape == (500, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert abs(counts.mean() - 1) < 1e-12
    assert abs(counts.var() - 29 / 30) < 0.05  # binomial (30, 1/30)
    assert (counts == draw(30, 500, seed=3)).all()
    assert (counts != draw(30, 500, seed=4)).any()


def arm(detections, labels, scores):
    """One labelled person an image; found in those that have a score."""
    truth = [labels((0, 0, 0, 20, 20)) for _ in scores]
    found = [detections((0, s, 0, 0, 20, 20)) if s else Detections.empty() for s in scores]
    return match_images(found, truth)


def test_recall_alone_moves_by_hand(detections, labels):
    """Every detection hits: P is 1, and R is the share of drawn images that have one."""
    matches = arm(detections, labels, [0.9, 0.9, None, None])
    counts = np.array([[4, 0, 0, 0], [0, 0, 2, 2], [1, 1, 1, 1], [0, 1, 2, 1]], np.int32)
    values = statistics(matches, counts)
    np.testing.assert_allclose(values[:, 1], [1, 0, 0.5, 0.25])
    np.testing.assert_allclose(values[:, 0], [1, 0, 1, 1])
    # a straight line from (R, 1) to (1, 0) beyond the last recall; 0.995 for the step at 1
    np.testing.assert_allclose(values[:, 2], [0.995, 0, 0.75, 0.625], atol=1e-12)


def test_interval_of_few_images_is_wider_than_the_middle_95_percent():
    """Hesterberg's level: Phi(-sqrt(n / (n - 1)) t_{n-1}(0.975)); t_4 = 2.776445."""
    values = np.linspace(0, 1, 100_001)
    five = Bootstrap(5, {"a": np.stack([values] * 4, axis=1)})
    low, high = five.interval("a", "map50")
    level = 0.5 * (1 - _erf(2.776445 * np.sqrt(5 / 4) / np.sqrt(2)))
    assert level == pytest.approx(0.000954, abs=1e-6)
    assert low == pytest.approx(level, abs=1e-6)
    assert high == pytest.approx(1 - level, abs=1e-6)
    many = Bootstrap(100_000, five.arms)
    assert many.interval("a", "recall") == pytest.approx((0.025, 0.975), abs=1e-5)


def _erf(x):
    """By its series."""
    term, total = x, x
    for n in range(1, 200):
        term *= -x * x / n
        total += term / (2 * n + 1)
    return 2 / np.sqrt(np.pi) * total


def test_verdicts(detections, labels):
    good = arm(detections, labels, [0.9] * 38 + [None] * 2)
    poor = arm(detections, labels, [0.9] * 20 + [None] * 20)
    result = bootstrap({"good": good, "poor": poor, "same": good}, draws=300)
    better = result.difference("good", "poor", "recall", 0.45)
    assert better.verdict == "better"
    assert 0.25 < better.ci95[0] < 0.45 < better.ci95[1] < 0.65
    worse = result.difference("poor", "good", "recall", -0.45)
    assert worse.verdict == "worse"
    assert worse.ci95 == pytest.approx((-better.ci95[1], -better.ci95[0]))
    equal = result.difference("good", "same", "map50", 0.0)
    assert (equal.ci95, equal.verdict) == ((0.0, 0.0), "no evidence")


def test_all_arms_see_the_same_draws_whatever_other_arms_there_are(detections, labels):
    one = arm(detections, labels, [0.9, None, 0.5, None, 0.2])
    two = arm(detections, labels, [None, 0.8, 0.5, None, 0.2])
    both = bootstrap({"two": two, "one": one}, draws=200)
    assert (bootstrap({"one": one}, draws=200).arms["one"] == both.arms["one"]).all()


@pytest.mark.parametrize("counts", [1, 7, 50])
def test_draws_are_the_same_however_many_are_in_memory(detections, labels, counts, monkeypatch):
    matches = {"arm": arm(detections, labels, [0.9, None, 0.5, None, 0.2])}
    at_once = bootstrap(matches, draws=20, seed=3).arms["arm"]
    monkeypatch.setattr("eval.bootstrap._BLOCK", counts)
    np.testing.assert_array_equal(bootstrap(matches, draws=20, seed=3).arms["arm"], at_once)


def test_draws_are_the_same_in_however_many_threads(detections, labels, monkeypatch):
    matches = {"arm": arm(detections, labels, [0.9, None, 0.5, None, 0.2])}
    used = []

    def pool(count):
        used.append(count)
        return ThreadPoolExecutor(count)

    monkeypatch.setattr("eval.bootstrap.ThreadPoolExecutor", pool)
    one, three = (bootstrap(matches, draws=300, threads=n).arms["arm"] for n in (1, 3))
    assert used == [1, 3]
    np.testing.assert_array_equal(one, three)


def test_no_interval_without_images_to_draw_from(detections, labels):
    result = bootstrap({"a": arm(detections, labels, [0.9]), "b": arm(detections, labels, [None])})
    assert result.interval("a", "map50") is None
    difference = result.difference("a", "b", "map50", 0.995)
    assert (difference.ci95, difference.verdict) == (None, None)


def test_no_interval_without_labels(detections):
    empty = match_images([detections((0, 0.9, 0, 0, 9, 9))] * 3, [Labels.empty()] * 3)
    assert bootstrap({"a": empty}, draws=20).interval("a", "map50") is None


def test_draws_without_a_label_are_left_out(detections, labels):
    truth = [labels((0, 0, 0, 20, 20))] * 2 + [Labels.empty()] * 2
    found = [detections((0, 0.9, 0, 0, 20, 20))] * 2 + [Detections.empty()] * 2
    result = bootstrap({"a": match_images(found, truth)}, draws=1600)
    assert (
        1460 < np.isfinite(result.arms["a"][:, 0]).sum() < 1540
    )  # one in sixteen draws the empty images alone
    assert result.interval("a", "recall") == (1.0, 1.0)


def test_one_labelled_image_among_many_gives_no_interval(detections, labels):
    """Every draw that has a label has the same one: no width, and no verdict from it."""
    truth = [labels((0, 0, 0, 20, 20))] + [Labels.empty()] * 99
    found = match_images([detections((0, 0.9, 0, 0, 20, 20))] + [detections()] * 99, truth)
    missed = match_images([detections()] * 100, truth)
    result = bootstrap({"found": found, "missed": missed}, draws=DRAWS)
    assert result.interval("found", "map50") is None
    assert result.difference("found", "missed", "map50", 0.995).verdict is None


def test_an_arm_without_detections_has_an_interval_at_zero(detections, labels):
    matches = arm(detections, labels, [None] * 5)
    assert bootstrap({"a": matches}, draws=50).interval("a", "map50") == (0.0, 0.0)


def test_arms_of_other_labels_share_the_images_that_are_drawn(detections, labels):
    """Each on its own labels, which the one lacks in the images 0 to 2, the other in 2 to 4."""
    box = (0, 0, 0, 20, 20)
    mine = [[], [], [], [box], [box], [box]]
    theirs = [[box], [box], [], [], [], [box]]
    one, two = (
        match_images(
            [detections((0, 0.9 - 0.1 * (i % 2), 0, 0, 20 - 5 * (i % 3), 20)) for i in range(6)],
            [labels(*boxes) for boxes in truth],
        )
        for truth in (mine, theirs)
    )
    result = bootstrap({"one": one, "two": two}, draws=400, seed=3)
    counts = draw(6, 400, 3)
    apart = statistics(one, counts) - statistics(two, counts)
    both = counts[:, 3:].any(1) & counts[:, [0, 1, 5]].any(1)
    assert 0 < (~both).sum() < 100
    assert np.isfinite(apart).all(1).tolist() == both.tolist()
    level = norm.cdf(np.sqrt(6 / 5) * t.ppf(0.025, 5))
    for column, name in enumerate(STATISTICS):
        found = result.difference("one", "two", name, 0.0).ci95
        ends = np.quantile(apart[both, column], (level, 1 - level))
        assert found == pytest.approx(tuple(ends))
        assert result.interval("one", name) == bootstrap({"one": one}, draws=400, seed=3).interval(
            "one", name
        )


def test_an_arm_without_labels_leaves_the_others_as_they_are(detections, labels):
    found = [detections((0, 0.9, 0, 0, 20, 20))] * 3
    full = match_images(found, [labels((0, 0, 0, 20, 20))] * 3)
    empty = match_images(found, [Labels.empty()] * 3)
    result = bootstrap({"empty": empty, "full": full}, draws=50)
    assert result.interval("full", "recall") == (1.0, 1.0)
    assert result.interval("empty", "recall") is None
    assert result.difference("full", "empty", "recall", 1.0).ci95 is None


def test_arms_of_other_images_are_refused(detections, labels):
    with pytest.raises(ValueError, match="same images"):
        bootstrap({"a": arm(detections, labels, [0.9] * 3), "b": arm(detections, labels, [0.9])})

"""The agreement of arms by hand, by its laws and against slow references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from eval.agreement import Agreement, agreement
from tests.eval.predictions import BOX, FAR, IDS, images, predictions

# Agreement


def test_by_hand():
    """In image 40 a pair and a detection of b alone, in image 3 two classes, in -7 one of a."""
    a = predictions((40, 0, 0.9, *BOX), (3, 0, 0.9, *BOX), (-7, 0, 0.4, *FAR))
    b = predictions((40, 0, 0.3, 0, 0, 10, 8), (40, 0, 0.9, *FAR), (3, 2, 0.9, *BOX))
    c = predictions((3, 2, 0.5, *BOX))
    result = agreement(images(40, -7, 3, 5), {"a": a, "b": b, "c": c}, confidence=0.25)
    assert result == Agreement(
        images=4,
        arms=("a", "b", "c"),
        found={"a": 3, "b": 3, "c": 1},
        alone={
            ("a", "a"): 0,
            ("a", "b"): 2,
            ("a", "c"): 3,
            ("b", "a"): 2,
            ("b", "b"): 0,
            ("b", "c"): 2,
            ("c", "a"): 1,
            ("c", "b"): 0,
            ("c", "c"): 0,
        },
        share={
            ("a", "a"): 1.0,
            ("a", "b"): 1 / 3,
            ("a", "c"): 0.0,
            ("b", "a"): 1 / 3,
            ("b", "b"): 1.0,
            ("b", "c"): 0.5,
            ("c", "a"): 0.0,
            ("c", "b"): 0.5,
            ("c", "c"): 1.0,
        },
    )


def test_nothing_found():
    found = {"a": [], "b": predictions((1, 0, 0.2, *BOX)), "c": predictions((1, 0, 0.9, *BOX))}
    result = agreement(images(1), found, confidence=0.25)
    assert result.share["a", "a"] is None
    assert result.share["a", "b"] is None
    assert result.share["b", "c"] == 0.0
    assert result.alone["c", "b"] == 1


def test_no_arms_and_no_images():
    assert agreement(images(1, 2), {}, confidence=0.25) == Agreement(2, (), {}, {}, {})
    nothing = {("a", "a"): None}
    assert agreement([], {"a": []}, confidence=0.25).share == nothing
    assert agreement([], {"a": []}, confidence=0.25).images == 0


@pytest.mark.parametrize(("height", "expected"), [(5, 1.0), (4.9, 0.0)])
def test_iou_at_the_threshold_counts(height, expected):
    found = {"a": predictions((1, 0, 0.5, *BOX)), "b": predictions((1, 0, 0.5, 0, 0, 10, height))}
    assert agreement(images(1), found, confidence=0.5).share["a", "b"] == expected
    assert agreement(images(1), found, confidence=0.5, iou=0.45).share["a", "b"] == 1.0


def test_highest_overlap_goes_first_whatever_the_scores():
    """a's surer box is in reach of b's, its other one is the same as b's: one pair, not two."""
    a = predictions((1, 0, 0.9, 0, 3, 10, 10), (1, 0, 0.3, *BOX))
    b = predictions((1, 0, 0.9, *BOX), (1, 0, 0.8, 0, -3, 10, 10))
    result = agreement(images(1), {"a": a, "b": b}, confidence=0.25)
    assert result.share["a", "b"] == 0.5


def test_a_taken_detection_leaves_the_next_one():
    """Both of a's are nearest to b's first; the second one gets b's other."""
    a = predictions((1, 0, 0.9, *BOX), (1, 0, 0.9, 0, 1, 10, 10))
    b = predictions((1, 0, 0.9, *BOX), (1, 0, 0.9, 0, 3, 10, 10))
    assert agreement(images(1), {"a": a, "b": b}, confidence=0.25).share["a", "b"] == 1.0


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("scores", "share"),
    [
        ((0.9, 0.8, 0.9, 0.8), 0.5),  # the middle pair's are the surest: it leaves no other
        ((0.8, 0.9, 0.9, 0.8), 1.0),
        ((0.9, 0.8, 0.8, 0.9), 1.0),
        ((0.9, 0.9, 0.9, 0.9), 1.0),  # from the left
    ],
)
def test_of_equal_overlaps_the_surer_go_first(scores, share, backwards):
    """In a row b, a, b, a, each in reach of its neighbours with the same overlap."""
    a = predictions((1, 0, scores[0], 3, 0, 10, 10), (1, 0, scores[1], 9, 0, 10, 10))
    b = predictions((1, 0, scores[2], 6, 0, 10, 10), (1, 0, scores[3], 0, 0, 10, 10))
    step = -1 if backwards else 1
    for x, y in [(a, b), (b, a)]:
        found = {"a": x[::step], "b": y[::step]}
        assert agreement(images(1), found, confidence=0.25).share["a", "b"] == share


def test_box_without_area_has_no_partner():
    flat = predictions((1, 0, 0.9, 5, 5, 0, 10))
    result = agreement(images(1), {"a": flat, "b": flat}, confidence=0.25)
    assert (result.share["a", "b"], result.share["a", "a"]) == (0.0, 1.0)


def test_evenly_spaced_images_stand_for_many():
    """Of six images the middles of three pairs; only these are counted."""
    a = predictions(*[(i, 0, 0.9, *BOX) for i in IDS])
    b = predictions(*[(i, 0, 0.9, *BOX) for i in (-7, 40, 3)])
    result = agreement(images(*IDS), {"a": a, "b": b}, confidence=0.25, most=3)
    assert result.images == 3
    assert result.found == {"a": 3, "b": 1}
    assert result.share["a", "b"] == 0.5
    assert agreement(images(*IDS), {"a": a, "b": b}, confidence=0.25, most=6).found["b"] == 3
    only = agreement(images(*IDS), {"a": a, "b": b}, confidence=0.25, most=1)
    assert only.found == {"a": 1, "b": 0}


@given(n=st.integers(1, 300), most=st.integers(1, 300))
def test_as_many_images_as_allowed(n, most):
    found = {"a": predictions(*[(i, 0, 0.9, *BOX) for i in range(n)])}
    result = agreement(images(*range(n)), found, confidence=0.25, most=most)
    assert result.images == min(n, most)
    assert result.found["a"] == result.images  # none is taken twice


@pytest.mark.parametrize("options", [{"iou": 0.0}, {"iou": 1.1}, {"iou": np.nan}, {"most": 0}])
def test_senseless_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        agreement(images(1), {}, confidence=0.25, **options)


def shared(a, b):
    """IoU of two boxes left, top, width, height."""
    width = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    height = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    union = a[2] * a[3] + b[2] * b[3] - width * height
    return width * height / union if union else 0.0


def overlaps(a, b):
    """The overlap of every candidate of one image, by the places in both lists."""
    return {
        (i, j): shared(x["bbox"], y["bbox"])
        for i, x in enumerate(a)
        for j, y in enumerate(b)
        if x["image_id"] == y["image_id"] and x["category_id"] == y["category_id"]
    }


def slow_pairs(a, b, confidence, iou):
    """The rule written out: the best candidate left, again and again."""
    a, b = (
        sorted(
            [item for item in found if item["score"] >= confidence],
            key=lambda item: (-item["score"], item["bbox"]),
        )
        for found in (a, b)
    )
    left = {pair: value for pair, value in overlaps(a, b).items() if value >= iou}
    count = 0
    while left:
        best = min(left, key=lambda pair: (-left[pair], pair))
        left = {
            pair: value for pair, value in left.items() if pair[0] != best[0] and pair[1] != best[1]
        }
        count += 1
    return count


# Whole numbers, so that both compute the same overlaps; small ones, so that there are ties.
corner, side = st.integers(0, 4), st.integers(0, 7)


row = st.tuples(
    st.sampled_from(IDS[:3]),
    st.sampled_from([0, 2]),
    st.sampled_from([0.1, 0.25, 0.5, 0.9]),
    corner,
    corner,
    side,
    side,
)


arm = st.lists(row, max_size=14).map(lambda rows: predictions(*rows))


threshold = st.sampled_from([0.1, 0.3, 0.5, 0.75, 1.0])


@settings(max_examples=80, deadline=None)
@given(arm, arm, threshold)
def test_agrees_with_the_slow_reference(a, b, iou):
    result = agreement(images(*IDS[:4]), {"a": a, "b": b}, confidence=0.25, iou=iou)
    n_a, n_b = (sum(item["score"] >= 0.25 for item in found) for found in (a, b))
    pairs = slow_pairs(a, b, 0.25, iou)
    assert result.found == {"a": n_a, "b": n_b}
    assert result.alone["a", "b"] == n_a - pairs
    assert result.alone["b", "a"] == n_b - pairs
    assert result.share["a", "b"] == (2 * pairs / (n_a + n_b) if n_a + n_b else None)


@settings(max_examples=50, deadline=None)
@given(arm, arm, threshold)
def test_between_half_and_all_of_the_best_assignment(a, b, iou):
    """Greedy pairs are a maximal matching, and no matching has more than twice as many."""
    near = np.zeros((len(a), len(b)))
    for place, value in overlaps(a, b).items():
        near[place] = value >= iou
    best = near[linear_sum_assignment(near, maximize=True)].sum()
    result = agreement(images(*IDS[:3]), {"a": a, "b": b}, confidence=0.0, iou=iou)
    pairs = len(a) - result.alone["a", "b"]
    assert best / 2 <= pairs <= best


@settings(max_examples=50, deadline=None)
@given(st.lists(arm, min_size=1, max_size=4), threshold, st.randoms(use_true_random=False))
def test_laws(arms, iou, random):
    """Symmetry, bounds, and that neither the order of arms nor of detections matters."""
    found = dict(zip("abcd", arms, strict=False))
    result = agreement(images(*IDS[:3]), found, confidence=0.25, iou=iou)
    assert result.arms == tuple(found)
    assert set(result.share) == set(result.alone) == {(a, b) for a in found for b in found}
    for (a, b), share in result.share.items():
        assert share == result.share[b, a]
        assert (share is None) == (result.found[a] + result.found[b] == 0)
        assert share is None or 0 <= share <= 1
        assert 0 <= result.alone[a, b] <= result.found[a]
        assert result.found[a] - result.alone[a, b] == result.found[b] - result.alone[b, a]
        assert a != b or share in (None, 1.0)
    shuffled = {name: random.sample(items, len(items)) for name, items in reversed(found.items())}
    again = agreement(images(*IDS[:3]), shuffled, confidence=0.25, iou=iou)
    assert (again.found, again.alone, again.share) == (result.found, result.alone, result.share)


@settings(max_examples=50, deadline=None)
@given(arm, threshold)
def test_a_copy_sees_all_the_same(mine, iou):
    """That the diagonal is 1 is no convention: a copy under another name has it as well."""
    mine = [item for item in mine if item["bbox"][2] * item["bbox"][3] > 0]
    result = agreement(images(*IDS[:3]), {"a": mine, "b": mine}, confidence=0.25, iou=iou)
    assert result.share["a", "b"] == result.share["a", "a"]
    assert result.share["a", "a"] == (1.0 if result.found["a"] else None)

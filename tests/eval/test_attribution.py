"""The eight outcomes, each by hand, and their sum."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.attribution import OUTCOMES, attribute, size_groups
from eval.light import light_of, named_light
from eval.matches import match_images


def matches(detections, labels, scores, size=10):
    """One labelled person an image, found with the score; None where it isn't."""
    found = [detections(*([] if s is None else [(0, s, 0, 0, size, size)])) for s in scores]
    return match_images(found, [labels((0, 0, 0, size, size)) for _ in scores])


def test_each_outcome(detections, labels):
    ir = matches(detections, labels, [None, None, None, None, 0.9, 0.9, 0.9, 0.9])
    vis = matches(detections, labels, [None, None, 0.9, 0.9, None, None, 0.9, 0.9])
    fused = matches(detections, labels, [None, 0.9, None, 0.9, None, 0.9, None, 0.9])
    result = attribute(ir, vis, fused, (0.25, 0.25, 0.25), {"first": np.arange(8) < 1})
    assert result.counts["all"] == dict.fromkeys(OUTCOMES, 1)
    assert result.counts["first"] == {**dict.fromkeys(OUTCOMES, 0), "missed_by_all": 1}


def test_each_arm_has_its_own_confidence(detections, labels):
    arms = [matches(detections, labels, [0.4]) for _ in range(3)]
    counts = attribute(*arms, (0.25, 0.5, 0.4), {}).counts["all"]
    assert [name for name, n in counts.items() if n] == ["kept_ir"]


def test_groups_without_objects_have_no_row(detections, labels):
    arms = [matches(detections, labels, [0.4]) for _ in range(3)]
    assert list(attribute(*arms, (0, 0, 0), {"none": np.zeros(1, bool)}).counts) == ["all"]


@given(scores=arrays(float, (3, 7), elements=st.sampled_from([-1.0, 0.2, 0.3, 0.9])))
def test_the_eight_sum_to_all_objects(scores):
    class Arm:
        def __init__(self, label_score):
            self.label_score = label_score

    result = attribute(*map(Arm, scores), (0.25, 0.25, 0.3), {"odd": np.arange(7) % 2 == 1})
    assert sum(result.counts["all"].values()) == 7
    assert sum(result.counts["odd"].values()) == 3
    found = scores >= np.array([[0.25], [0.25], [0.3]])
    assert result.counts["all"]["rescued"] == (~found[0] & ~found[1] & found[2]).sum()
    assert result.counts["all"]["lost_both"] == (found[0] & found[1] & ~found[2]).sum()


def test_sizes_are_cocos(detections, labels):
    found = match_images(
        [detections()],
        [labels(*((0, 0, 0, s, s) for s in (31.9, 32, 95.9, 96, 200)))],
    )
    groups = size_groups(found)
    assert {name: np.flatnonzero(mine).tolist() for name, mine in groups.items()} == {
        "small": [0],
        "medium": [1, 2],
        "large": [3, 4],
    }


def test_light():
    assert named_light("00123D") == "day"
    assert named_light("00123N") == "night"
    assert named_light("x00123N") is named_light("00123") is named_light("0012N") is None
    assert light_of("00123N", 200.0) == "night"
    assert light_of("street", 54.9) == "night"
    assert light_of("street", 55.0) == "day"

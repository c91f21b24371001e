"""What an arm does at one confidence, worked by hand."""

import numpy as np
import pytest

from eval.labels import Labels
from eval.matches import match_images
from eval.operating_points import at_confidence, confidence_at, image_f1


@pytest.fixture
def matches(detections, labels):
    """Three images: a hit and a miss; a missed label and a hit; nothing labelled, one miss."""
    return match_images(
        [
            detections((0, 0.9, 0, 0, 10, 10), (0, 0.3, 50, 50, 60, 60)),
            detections((2, 0.2, 0, 0, 10, 10)),
            detections((0, 0.6, 5, 5, 9, 9)),
        ],
        [
            labels((0, 0, 0, 10, 10)),
            labels((2, 0, 0, 10, 10), (0, 30, 30, 40, 40)),
            Labels.empty(),
        ],
    )


def test_labels_know_the_score_that_finds_them(matches):
    assert matches.label_score == pytest.approx([0.9, 0.2, -1])
    assert matches.label_image.tolist() == [0, 1, 1]
    assert matches.label_area.tolist() == [100, 100, 100]
    assert matches.image.tolist() == [0, 2, 0, 1]  # best score first


def test_at_the_usual_confidence(matches):
    point = at_confidence(matches)  # 0.9, 0.6 and 0.3 count: one hit
    assert (point.confidence, point.precision, point.recall) == (0.25, 1 / 3, 1 / 3)
    assert point.f1 == pytest.approx(2 / 6)
    assert point.false_positives == pytest.approx(2 / 3)


def test_a_score_equal_to_the_confidence_counts(matches):
    assert at_confidence(matches, matches.score[0]).precision == 1
    assert at_confidence(matches, np.nextafter(matches.score[0], 1)).precision is None


def test_undefined_is_none(detections):
    empty = match_images([detections()], [Labels.empty()])
    point = at_confidence(empty)
    assert (point.precision, point.recall, point.f1, point.false_positives) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("false_positives", "expected"),
    [(0.0, 1), (0.33, 1), (0.34, 2), (0.67, 4), (5.0, 4)],
)
def test_confidence_at_a_rate_of_false_positives(matches, false_positives, expected):
    """Scores 0.9 hit, 0.6 miss, 0.3 miss, 0.2 hit; three images."""
    confidence = confidence_at(matches, false_positives)
    assert (matches.score >= confidence).sum() == expected
    assert at_confidence(matches, confidence).false_positives <= false_positives


def test_equal_scores_stay_out_together(detections, labels):
    found = [detections((0, 0.5, 0, 0, 9, 9), (0, 0.5, 20, 0, 29, 9))]
    matches = match_images(found, [labels((0, 0, 0, 9, 9))])
    assert confidence_at(matches, 0.0) > 0.5


def test_f1_of_each_image(matches):
    assert image_f1(matches) == pytest.approx([2 / 3, 0, 0])
    assert np.isnan(image_f1(matches, 0.7)[2])

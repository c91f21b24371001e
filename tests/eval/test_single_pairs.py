"""What each arm finds in each pair, by examples that are counted by hand."""

import numpy as np

from detection.boxes import Detections
from eval.labels import Labels
from eval.single_pairs import Finds, finds, lost, rescued


def labels(*boxes):
    return Labels(
        np.array(boxes, np.float64).reshape(-1, 4), np.zeros(len(boxes), np.int64), np.zeros((0, 4))
    )


def detections(*rows):
    rows = np.array(rows, np.float64).reshape(-1, 5)
    return Detections(
        rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32), np.zeros(len(rows), np.int64)
    )


def test_each_image_has_its_own_labels_and_false_detections():
    a, b, c = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]
    truth = [labels(a, b), labels(), labels(c)]
    mine = [
        detections([*a, 0.9], [*c, 0.8], [*b, 0.2]),  # found; beside all; under the confidence
        detections([*a, 0.3], [*b, 0.24]),
        detections(),
    ]
    first, empty, last = finds(mine, truth)
    assert (first.found.tolist(), first.false, first.errors) == ([True, False], 1, 2)
    assert (empty.found.tolist(), empty.false, empty.errors) == ([], 1, 1)
    assert (last.found.tolist(), last.false, last.errors) == ([False], 0, 1)


def test_a_second_detection_of_an_object_is_false():
    box = [0, 0, 10, 10]
    (one,) = finds([detections([*box, 0.9], [*box, 0.5])], [labels(box)])
    assert (one.found.tolist(), one.false) == ([True], 1)


def test_rescued_and_lost_are_told_against_both_modalities():
    def of(*found):
        return Finds(np.array(found), 0)

    fused = of(True, True, False, False, True)
    alone = {"ir": of(False, True, True, False, False), "vis": of(False, True, False, False, True)}
    assert rescued(fused, alone).tolist() == [True, False, False, False, False]
    assert lost(fused, alone).tolist() == [False, False, True, False, False]

"""Each kind of error by hand, and all of them against tidecv, the authors' own code."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.boxes import Detections
from eval.columns import Columns
from eval.labels import Labels
from eval.tide import ErrorType, TideResult, tide

THEIR_NAMES = {
    "classification": "ClassError", "localization": "BoxError", "both": "OtherError",
    "duplicate": "DuplicateError", "background": "BackgroundError", "missed": "MissedError",
}  # fmt: skip
KINDS = [field.name for field in fields(TideResult)][1:]
HIT = (0, 0.5, 0, 0, 10, 10)
LABEL = (0, 0, 0, 10, 10)
FAR = (0, 100, 100, 110, 110)


def judged(found, truth):
    return tide(Columns.of(found, truth))


def counts(result):
    """The kinds that there are, with their numbers."""
    every = {kind: getattr(result, kind).count for kind in KINDS}
    return {kind: count for kind, count in every.items() if count}


def test_perfect(detections, labels):
    result = judged([detections(HIT)], [labels(LABEL)])
    assert result.ap == 1
    assert all(getattr(result, kind) == ErrorType(0.0, 0) for kind in KINDS)


@pytest.mark.parametrize(
    ("detection", "kind"),
    [
        ((0, 0.9, 0, 0, 10, 4), "localization"),  # IoU 0.4
        ((0, 0.9, 0, 0, 10, 1), "localization"),  # IoU 0.1, the lower bound
        ((2, 0.9, 0, 0, 10, 10), "classification"),
        ((2, 0.9, 0, 0, 10, 5), "classification"),  # IoU 0.5, its lower bound
        ((2, 0.9, 0, 0, 10, 4), "both"),
        ((0, 0.9, 50, 50, 60, 60), "background"),
        ((2, 0.9, 0, 0, 10, 1), "background"),  # IoU 0.1, its upper bound
        ((0, 0.4, 0, 0, 10, 9), "duplicate"),
        ((0, 0.4, 0, 0, 10, 5), "localization"),  # IoU 0.5, the upper bound: the label has a better
    ],
)
def test_one_false_alarm_of_each_kind(detections, labels, detection, kind):
    """A label is hit with a score of 0.5, another one isn't there to be found."""
    result = judged([detections(HIT, detection)], [labels(LABEL)])
    assert counts(result) == {kind: 1, "false_positive": 1}
    if detection[1] == 0.4 or detection[0] == 2:
        # It costs nothing: it comes after the hit, or is of a class that has no labels.
        assert result.ap == 1
        assert getattr(result, kind).gain == 0
    else:
        assert result.ap == pytest.approx(1 / 2)
        assert getattr(result, kind).gain == pytest.approx(1 / 2)
        assert result.false_positive.gain == pytest.approx(1 / 2)


def test_badly_placed_detection_becomes_a_hit(detections, labels):
    """One of two labels is found: precision 1 up to recall 0.5, which is 51 of 101 points."""
    result = judged([detections(HIT, (0, 0.4, 100, 100, 110, 104))], [labels(LABEL, FAR)])
    assert counts(result) == {"localization": 1, "false_positive": 1, "false_negative": 1}
    assert result.ap == pytest.approx(51 / 101)
    assert result.localization.gain == pytest.approx(50 / 101)
    assert result.missed == ErrorType(0.0, 0)  # the badly placed detection is of this label
    assert result.false_negative.gain == pytest.approx(50 / 101)
    assert result.false_positive.gain == 0


def test_wrong_class_becomes_a_hit_of_the_right_one(detections, labels):
    """It then counts among the right class's, with its own score."""
    truth = labels(LABEL, (2, 100, 100, 110, 110))
    result = judged([detections(HIT, (0, 0.9, 100, 100, 110, 110))], [truth])
    assert counts(result) == {"classification": 1, "false_positive": 1, "false_negative": 1}
    assert result.ap == pytest.approx((1 / 2 + 0) / 2)
    assert result.classification.gain == pytest.approx(1 - 1 / 4)
    assert result.false_positive.gain == pytest.approx(1 / 2 - 1 / 4)


def test_only_the_best_error_of_a_label_becomes_a_hit(detections, labels):
    """Mended, the better one is a hit and the other one is gone."""
    found = detections((0, 0.9, 0, 0, 10, 4), (0, 0.8, 0, 6, 10, 10), (2, 0.7, 0, 0, 10, 10))
    result = judged([found], [labels(LABEL)])
    assert (result.localization.count, result.classification.count) == (2, 1)
    assert (result.missed.count, result.false_negative.count) == (0, 1)
    assert result.ap == 0
    assert result.localization.gain == 1
    # The label's best error is one of place: mending the class alone takes the detection away.
    assert result.classification.gain == 0


def test_missed_labels_and_images_without_detections(detections, labels):
    result = judged([detections(HIT), detections()], [labels(LABEL), labels(LABEL, FAR)])
    assert counts(result) == {"missed": 2, "false_negative": 2}
    assert result.ap == pytest.approx(34 / 101)  # recalls up to 1/3
    assert result.missed.gain == result.false_negative.gain == pytest.approx(67 / 101)


def test_images_without_labels(detections, labels):
    result = judged([detections(HIT), detections((0, 0.9, 0, 0, 9, 9))], [labels(LABEL), labels()])
    assert counts(result) == {"background": 1, "false_positive": 1}
    assert result.ap == pytest.approx(1 / 2)
    assert result.background.gain == pytest.approx(1 / 2)


@pytest.mark.parametrize("n", [0, 1])
def test_no_labels_at_all(detections, labels, n):
    result = judged([detections(*[HIT] * n)], [labels()])
    assert result.ap is None
    assert result.background == result.false_positive == ErrorType(None, n)
    assert result.missed == result.false_negative == ErrorType(None, 0)
    assert judged([], []).ap is None


def test_nothing_left_to_score(detections, labels):
    """Without the missed label there is neither label nor detection, so no AP."""
    result = judged([detections()], [labels(LABEL)])
    assert result.ap == 0
    assert result.missed == result.false_negative == ErrorType(None, 1)
    assert result.background == ErrorType(0.0, 0)


def test_class_without_labels_takes_no_part_in_the_mean(detections, labels):
    """tidecv counts it with an AP of 0."""
    result = judged([detections(HIT, (2, 0.9, 50, 50, 60, 60))], [labels(LABEL)])
    assert result.ap == 1
    assert result.background == ErrorType(0.0, 1)


def test_ignored_detections_are_no_errors(detections, labels):
    truth = labels(LABEL, ignore=[(50, 50, 90, 90)])
    result = judged([detections(HIT, (0, 0.9, 50, 50, 60, 60))], [truth])
    assert result.ap == 1
    assert counts(result) == {}


def test_the_hundred_best_detections_of_an_image_count(detections, labels):
    better = [(0, 0.9 - i / 1000, 50, 50, 60, 60) for i in range(100)]
    assert judged([detections(HIT, *better[1:])], [labels(LABEL)]).ap == pytest.approx(1 / 100)
    result = judged([detections(HIT, *better)], [labels(LABEL)])
    assert result.ap == 0
    assert (result.background.count, result.missed.count) == (100, 1)


def test_lengths_must_agree(detections, labels):
    with pytest.raises(ValueError, match="2 labels"):
        judged([detections()], [labels(), labels()])


def theirs(found, truth):
    """tidecv: AP, gains (None where it divides by zero) and counts."""
    import tidecv  # more than a second, which only this process takes

    kinds = {name: getattr(tidecv, theirs) for name, theirs in THEIR_NAMES.items()}
    gt, predictions = tidecv.Data("gt"), tidecv.Data("predictions")
    for image, (one, boxes) in enumerate(zip(found, truth, strict=True)):
        gt.add_image(image, str(image))
        for (x1, y1, x2, y2), class_id in zip(
            boxes.xyxy.tolist(), boxes.class_id.tolist(), strict=True
        ):
            gt.add_ground_truth(image, class_id, box=[x1, y1, x2 - x1, y2 - y1])
        for (x1, y1, x2, y2), score, class_id in zip(
            one.xyxy.tolist(), one.score.tolist(), one.class_id.tolist(), strict=True
        ):
            predictions.add_detection(image, class_id, score, box=[x1, y1, x2 - x1, y2 - y1])
    run = tidecv.TIDE().evaluate(gt, predictions, mode=tidecv.TIDE.BOX)

    def percent(mended):
        try:
            return mended().get_mAP() - run.ap
        except ZeroDivisionError:
            return None

    gains = {
        name: percent(lambda kind=kind: run.fix_errors(lambda error: isinstance(error, kind)))
        for name, kind in kinds.items()
    }
    gains = {name: gain and max(gain, 0) for name, gain in gains.items()}  # as its summary
    gains["false_positive"] = percent(
        lambda: run.fix_errors(transform=tidecv.FalsePositiveError.fix)
    )
    gains["false_negative"] = percent(lambda: run.fix_errors(false_neg_dict=run.false_negatives))
    counts = {name: len(run.error_dict[kind]) for name, kind in kinds.items()}
    counts["false_negative"] = sum(map(len, run.false_negatives.values()))
    counts["false_positive"] = sum(counts.values()) - counts["missed"] - counts["false_negative"]
    return run.ap / 100, {name: gain and gain / 100 for name, gain in gains.items()}, counts


def check(found, truth):
    ap, gains, counts = theirs(found, truth)
    result = judged(found, truth)
    assert result.ap == pytest.approx(ap, abs=1e-9, rel=0)
    for kind in KINDS:
        mine = getattr(result, kind)
        assert mine.count == counts[kind], kind
        if gains[kind] is None:
            assert mine.gain is None, kind
        else:
            assert mine.gain == pytest.approx(gains[kind], abs=1e-9, rel=0), kind
    return result


def random_images(seed, *, images, classes, labels, detections, whole):
    """Detections near the labels, all scores different; on whole pixels overlaps tie.

    Up to so many labels and detections an image. Most detections have the class of their label.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(images * detections)
    found, truth = [], []
    for image in range(images):
        n, m = random.integers(0, labels + 1), random.integers(0, detections + 1)
        low = random.integers(0, 24, (n, 2))
        xyxy = np.concatenate([low, low + random.integers(4, 13, (n, 2))], axis=1)
        label_class = random.integers(0, classes, n)
        parent = random.integers(0, n + 1, m)  # the last one is no label
        boxes = np.concatenate([xyxy, [[30, 30, 40, 40]]])[parent]
        spread = random.choice([1, 3, 8], (m, 1))
        whole_pixels = random.integers(-spread, spread + 1, (m, 4))
        boxes = boxes + (whole_pixels if whole else random.normal(0, spread, (m, 4)))
        boxes = np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)], axis=1)
        parents_class = np.append(label_class, 0)[parent]
        confused = random.random(m) < 0.3
        score = (1 + order[image * detections :][:m]) / (1 + len(order))
        found.append(
            Detections(
                boxes.astype(np.float32),
                score.astype(np.float32),
                np.where(confused, random.integers(0, classes, m), parents_class),
            )
        )
        truth.append(Labels(xyxy.astype(np.float64), label_class, np.zeros((0, 4))))
    return found, truth


SHAPES = {
    "seed": st.integers(0, 2**32 - 1),
    "images": st.integers(1, 3),
    "classes": st.integers(1, 3),
    "labels": st.sampled_from([1, 4, 9]),
    "detections": st.sampled_from([1, 5, 15, 130]),
    "whole": st.booleans(),
}


def labelled(truth):
    return np.unique(np.concatenate([one.class_id for one in truth]))


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_agrees_with_tidecv(**shape):
    """As it is, where detections are of classes that have labels."""
    found, truth = random_images(**shape)
    if len(labelled(truth)):
        check([one[np.isin(one.class_id, labelled(truth))] for one in found], truth)


@settings(max_examples=50, deadline=None)
@given(**SHAPES)
def test_agrees_with_tidecv_on_classes_without_labels(**shape):
    """Its mean put right: over the classes that have labels."""
    found, truth = random_images(**shape)
    classes = labelled(truth)
    if not len(classes):
        return

    def mean(self):
        values = [self.objs[k].get_ap() for k in classes if not self.objs[k].is_empty()]
        return sum(values) / len(values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidecv.ap.ClassedAPDataObject.get_mAP", mean)
        check(found, truth)


def test_agrees_with_tidecv_on_many_images():
    found, truth = random_images(5, images=200, classes=4, labels=6, detections=30, whole=False)
    result = check(found, truth)
    assert all(getattr(result, kind).count >= 40 for kind in KINDS)
    assert result.ap > 0.05


def test_equal_scores_keep_the_images_order(detections, labels):
    """A hit in the first image, a false alarm in the second: mended or not, in that order."""
    found = [detections(HIT), detections((0, 0.5, 50, 50, 60, 60), (0, 0.4, 0, 0, 9, 9))]
    result = judged(found, [labels(LABEL), labels(LABEL, FAR)])
    assert result.ap == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert result.missed.gain == pytest.approx((51 + 50 * 2 / 3) / 101 - result.ap)

"""Segmentation's numbers against torchmetrics and MONAI, and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from eval.masks import REGIONS
from eval.segmentation import count, hausdorff95, statistics

THREE = {name: frozenset({label}) for label, name in enumerate("abc")}


def of_all(counts):
    """By statistic, (regions + 1): the regions, then their mean."""
    return statistics(counts, np.ones((1, len(counts.tp)), np.int32))[0].T


def masks(seed, images=3, shape=(7, 9), labels=3):
    rng = np.random.default_rng(seed)
    return [tuple(rng.integers(0, labels, (2, *shape))) for _ in range(images)]


def test_by_hand():
    truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 2]])
    found = np.array([[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    counts = count([(found, truth)], {"one": frozenset({1}), "any": frozenset({1, 2})})
    assert counts.tp.tolist() == [[3, 3]]
    assert counts.fp.tolist() == [[1, 1]]
    assert counts.fn.tolist() == [[1, 2]]
    iou, dice, sensitivity, image_dice, hd95 = of_all(counts)
    assert iou.tolist() == pytest.approx([3 / 5, 3 / 6, (3 / 5 + 3 / 6) / 2])
    assert dice.tolist() == pytest.approx([6 / 8, 6 / 9, (6 / 8 + 6 / 9) / 2])
    assert sensitivity.tolist() == pytest.approx([3 / 4, 3 / 5, (3 / 4 + 3 / 5) / 2])
    assert image_dice.tolist() == pytest.approx(dice.tolist())
    # found to true: 0, 0, 0 and 1, and back: all pixels of both are on a surface
    distances = np.percentile([0, 0, 0, 1], 95)
    # back from the pixel (2, 3): to (0, 2) or (1, 1), both the root of 5
    farther = np.percentile([0, 0, 0, 1, np.sqrt(5)], 95)
    assert hd95.tolist() == pytest.approx([distances, farther, (distances + farther) / 2])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), images=st.integers(1, 4))
def test_pixels_together_are_torchmetrics(seed, images):
    from torchmetrics.classification import MulticlassJaccardIndex, MulticlassRecall
    from torchmetrics.segmentation import DiceScore

    pairs = masks(seed, images)
    iou, dice, sensitivity, *_ = of_all(count(pairs, THREE))
    found, truth = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
    for average, mine in (("none", slice(0, 3)), ("macro", 3)):
        jaccard = MulticlassJaccardIndex(3, average=average)(found, truth)
        recall = MulticlassRecall(3, average=average)(found, truth)
        assert np.allclose(iou[mine], jaccard, atol=1e-6)
        assert np.allclose(sensitivity[mine], recall, atol=1e-6)
        of_dice = DiceScore(3, average=average, input_format="index", aggregation_level="global")
        assert np.allclose(dice[mine], of_dice(found, truth), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), ignored=st.booleans())
def test_ignored_pixels_and_regions_without_labels_are_torchmetrics(seed, ignored):
    """Its mean also has a 0 for a region that only the mask has; ours has those with labels."""
    from torchmetrics.classification import MulticlassJaccardIndex, MulticlassRecall

    pairs = masks(seed, 2, (2, 3), 4)
    for _, truth in pairs:
        truth[truth == 3] = 255 if ignored else 0
    ignore = 255 if ignored else None
    regions = {**THREE, "d": frozenset({3})}
    iou, _, sensitivity, *_ = of_all(count(pairs, regions, ignore=ignore))
    found, truth = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
    present = [bool((truth == label).any()) for label in range(4)]
    for metric, mine in ((MulticlassJaccardIndex, iou), (MulticlassRecall, sensitivity)):
        theirs = metric(4, average="none", ignore_index=ignore)(found, truth).numpy()
        assert np.allclose(mine[:4][present], theirs[present], atol=1e-6)
        assert np.isnan(mine[:4][~np.array(present)]).all()
        if any(present):
            assert mine[4] == pytest.approx(theirs[present].mean(), abs=1e-6)


@pytest.mark.filterwarnings("ignore:the (prediction|ground truth) of class:UserWarning")
@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")  # MONAI's own calls
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), labels=st.sampled_from([3, 9]))
def test_means_of_images_are_monais(seed, labels):
    """With nine labels an image may lack one of the three, in either mask."""
    from monai.metrics import DiceMetric, compute_hausdorff_distance

    pairs = masks(seed, 4, (4, 5), labels)
    counts = count(pairs, THREE)
    *_, image_dice, _ = of_all(counts)
    found, truth = (
        torch.stack([torch.from_numpy(np.stack(part)) == label for label in range(3)], 1)
        for part in zip(*pairs, strict=True)
    )  # [images, 3, H, W] each
    expected = DiceMetric(include_background=True, reduction="mean_batch")(found, truth)
    assert np.allclose(np.nanmean(expected, 0), image_dice[:3], atol=1e-6, equal_nan=True)
    both = found.flatten(2).any(2) & truth.flatten(2).any(2)
    distance = compute_hausdorff_distance(found, truth, include_background=True, percentile=95)
    assert np.allclose(counts.distance[both], distance[both], atol=1e-5)
    assert np.isnan(counts.distance[~both]).all()
    assert (counts.missed == (truth & ~found.flatten(2).any(2)[..., None, None])
            .flatten(2).any(2).sum(0).numpy()).all()  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_mean_distance_is_monais(seed):
    from monai.metrics import HausdorffDistanceMetric

    pairs = masks(seed, 3, (8, 9))
    *_, hd95 = of_all(count(pairs, THREE))
    found, truth = (
        torch.stack([torch.from_numpy(np.stack(part)) == label for label in range(3)], 1)
        for part in zip(*pairs, strict=True)
    )  # [images, 3, H, W] each
    metric = HausdorffDistanceMetric(include_background=True, percentile=95, reduction="mean_batch")
    metric(found, truth)
    expected = metric.aggregate().numpy()
    assert np.allclose(hd95, [*expected, expected.mean()], atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_distances_in_space_are_monais(seed):
    from monai.metrics import compute_hausdorff_distance

    rng = np.random.default_rng(seed)
    found, truth = rng.random((2, 6, 7, 5)) < rng.uniform(0.05, 0.9)
    spacing = (1.0, 0.5, 2.5)
    volumes = [torch.from_numpy(mask)[None, None] for mask in (found, truth)]
    expected = compute_hausdorff_distance(
        *volumes, include_background=True, percentile=95, spacing=spacing
    )
    assert hausdorff95(found, truth, spacing) == pytest.approx(
        expected.item(), rel=1e-5, nan_ok=True
    )


def test_distance_is_by_the_definition():
    """All distances between surface pixels, without a transform."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.random((2, 8, 9)) < 0.4

        def surface(mask):
            padded = np.pad(mask, 1)
            inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
            return np.argwhere(mask & ~inner)

        between = np.linalg.norm(surface(one)[:, None] - surface(other)[None], axis=2)
        ways = (np.percentile(between.min(axis), 95) for axis in (0, 1))
        assert hausdorff95(one, other) == pytest.approx(max(ways))


def test_ignored_pixels_do_not_count():
    pairs = masks(1)
    changed = [(found.copy(), truth.copy()) for found, truth in pairs]
    for found, truth in changed:
        truth[2:4] = 255
        found[2:4] = 1
    first = count(changed, THREE, ignore=255)
    for found, _ in changed:
        found[2:4] = 2
    second = count(changed, THREE, ignore=255)
    for a, b in ((first.tp, second.tp), (first.fp, second.fp), (first.fn, second.fn)):
        assert np.array_equal(a, b)
    assert (first.tp + first.fn).sum() == 3 * 5 * 9
    assert np.array_equal(first.distance, second.distance)


def test_regions_of_brats_are_nested():
    """Labels 1, 2 and 4 of BraTS 2019: core without enhancement, oedema, enhancing tumour."""
    truth = np.array([[0, 1, 2, 4]])
    counts = count([(truth, truth)], REGIONS["brats"])
    assert counts.tp.tolist() == [[3, 2, 1]]
    truth = np.array([[0, 1, 2, 3]])  # since 2023 the enhancing tumour is label 3
    assert count([(truth, truth)], REGIONS["brats2023"]).tp.tolist() == [[3, 2, 1]]
    assert list(REGIONS["msrs"])[:3] == ["background", "car", "person"]
    assert len(REGIONS["msrs"]) == 9


def test_a_region_without_labels_is_left_out_of_the_mean():
    counts = count([(np.array([[0, 2]]), np.array([[0, 0]]))], THREE)
    iou, *_, image_dice, hd95 = of_all(counts)
    assert np.array_equal(iou, [0.5, np.nan, np.nan, 0.5], equal_nan=True)
    assert np.isnan(image_dice[1:3]).all()
    assert np.isnan(hd95[1:3]).all()


def test_masks_of_different_sizes():
    with pytest.raises(DataError, match="can't be compared"):
        count([(np.zeros((2, 3), int), np.zeros((3, 2), int))], THREE)

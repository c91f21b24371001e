"""Runs that score masks: what they refuse."""

import shutil

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError, WeightsError
from tests.helpers import masked_pairs
from tests.helpers.masked_pairs import SIZE, settings
from tests.helpers.runs import execute

TASK = {"task": "segmentation"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return masked_pairs.write(tmp_path_factory.mktemp("masked"))


def test_wrong_true_masks_are_refused_before_anything_is_computed(root, tmp_path):
    masks = tmp_path / "masks" / "a"
    masks.mkdir(parents=True)
    evaluation = {"task": "segmentation", "masks": str(tmp_path / "masks")}
    given = settings(root, evaluation=evaluation, run={"dir": str(tmp_path / "m")})
    with pytest.raises(DataError, match=r"masks: has no mask 'a/0'"):
        execute(given)
    for number in range(6):
        Image.fromarray(np.full(SIZE, 255, np.uint8)).save(masks / f"{number}.png")
    with pytest.raises(DataError, match=r"a.0\.png: has label 255, but the regions .* 0, 7;"):
        execute(given)
    assert not list(tmp_path.glob("m.*"))
    given["evaluation"]["regions"] = "msrs"
    with pytest.raises(ConfigError, match=r"evaluation\.regions: no segmenter has a class of car"):
        execute(given)
    del given["evaluation"]["regions"]
    given["evaluation"]["ignore"] = 255
    assert execute(given).results["arms"]["ir"]["segmentation"]["bright"]["iou"] is None


def test_a_class_that_named_regions_do_not_know_is_refused(root, tmp_path):
    names = {label: f"c{label}" for label in (0, 1, 2, 4, 9)}
    given = settings(root, run={"dir": str(tmp_path / "m")})
    given["segmenter"]["names"] = names
    given["arms"] = {"ir": {"kind": "ir_only"}}
    given["evaluation"]["regions"] = "brats"
    with pytest.raises(ConfigError, match="brats has no label 9, which is c9 of the segmenters"):
        execute(given)


def test_a_true_mask_of_another_size_is_refused(root, tmp_path):
    shutil.copytree(root / "masks", tmp_path / "masks")
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "masks" / "a" / "3.png")
    evaluation = {"task": "segmentation", "masks": str(tmp_path / "masks")}
    with pytest.raises(DataError, match=r"3\.png: 40x48, but .*3\.png has 3x4"):
        execute(settings(root, evaluation=evaluation, run={"dir": str(tmp_path / "m")}))


def test_a_damaged_image_ends_a_run_that_is_scored(root, tmp_path):
    for name in ("ir", "vis", "masks"):
        shutil.copytree(root / name, tmp_path / name)
    path = tmp_path / "ir" / "a" / "2.png"
    path.write_bytes(path.read_bytes()[:100])
    run = {"dir": str(tmp_path / "m")}
    with pytest.raises(DataError, match=r"2\.png"):
        execute(settings(tmp_path, run=run))
    (tmp_path / "masks" / "a" / "2.png").unlink()  # not needed for a pair that is left out
    results = execute(settings(tmp_path, run={**run, "on_bad_pair": "skip"})).results
    assert results["segmentation"]["images"] == 5


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"segmenter": None}, ConfigError, "segmenter: there is none, but evaluation.task is"),
        ({"evaluation": {}}, ConfigError, r"not scored; set evaluation\.task=segmentation"),
        ({"evaluation": TASK}, ConfigError, r"image_folder has no masks; .* evaluation\.masks="),
        ({"evaluation": {**TASK, "masks": "no"}}, DataError, "no: no such folder of masks"),
        ({"evaluation": {**TASK, "regions": "x"}}, ConfigError, "be msrs, brats, brats2023"),
        ({"evaluation": {**TASK, "regions": {"mean": [1]}}}, ConfigError, "none of them mean"),
        ({"detector": {"kind": "tests.helpers.toys"}}, ConfigError, r"it with detector=null"),
        ({"compute": {"engine": {"kind": "ray"}}}, ConfigError, "on this machine alone; use local"),
        ({"segmenter": {"kind": "unet", "weights": "none.safetensors"},
          "arms": {"ir": {"kind": "ir_only"}}}, WeightsError, "no weights at none.safetensors"),
        ({"arms": {"a": {"kind": "ir_only"},
                   "b": {"kind": "vis_only", "segmenter": {"names": {0: "x", 7: "y"}}}}},
         ConfigError, r"arms\.b\.segmenter: has other classes than that of a"),
        ({"arms": {"a": {"kind": "stacked"}}}, ConfigError,
         "arms.a: its image has 6 channels, its segmenter takes 3; name one that was trained on"),
        ({"arms": {"a": {"kind": "ir_only"}, "b": {"kind": "vis_only"},
                   "m": {"kind": "late", "arms": ["a", "b"]}}},
         ConfigError, "arms.m: has no image to segment; remove it with"),
        ({"arms": {"a": {"kind": "ir_only", "segmenter": {"levl": 3}}}}, ConfigError, "levl"),
    ],
)  # fmt: skip
def test_what_is_refused(root, tmp_path, monkeypatch, more, error, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        execute(settings(root, **more))
    assert not (tmp_path / "runs").exists()

"""Sources, quality and scores of other programs from Python, and the examples of the docstrings."""

import doctest
import importlib
import json

import numpy as np
import pytest
from PIL import Image

import irvis
from eval.quality.names import METRICS
from tests.helpers.runs import few_draws


@pytest.mark.slow
@pytest.mark.parametrize("module", ["irvis", "irvis.networks", "irvis.sources"])
def test_the_examples_of_the_docstrings_give_what_they_say(module, here):
    few_draws()
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert failed == 0
    assert tried >= 2


def test_a_source_yields_pairs_and_bad_ones(pairs):
    (pairs / "vi" / "001.png").write_bytes(b"")
    with irvis.source("image_folder", ir=pairs / "ir", vis=pairs / "vi") as source:
        items = list(source)
    assert [type(item) for item in items[:3]] == [irvis.FramePair, irvis.BadPair, irvis.FramePair]
    assert "001.png" in items[1].reason
    expected = np.asarray(Image.open(pairs / "vi" / "000.png"))
    assert np.array_equal(items[0].vis.image, expected)
    with pytest.raises(
        irvis.ConfigError, match=r"unknown key source\.lables; did you mean 'labels'"
    ):
        irvis.source("image_folder", ir=pairs, vis=pairs, lables=pairs)


def test_quality_of_arrays_files_and_folders_is_the_same(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(40, 48, 3), dtype=np.uint8) for _ in range(3)]
    for name, image in zip("abc", images, strict=True):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "x.png")
    by_array = irvis.quality(*images)
    by_file = irvis.quality(*(tmp_path / name / "x.png" for name in "abc"))
    by_folder = irvis.quality(*(str(tmp_path / name) for name in "abc"))
    assert by_array.columns.tolist() == [metric.key for metric in METRICS]
    assert np.array_equal(by_array.to_numpy(), by_file.to_numpy(), equal_nan=True)
    assert by_file.equals(by_folder)


def test_quality_refuses_mixed_and_unequal_input(tmp_path):
    image = np.zeros((40, 48), np.uint8)
    with pytest.raises(irvis.DataError, match="three arrays, three files or three folders"):
        irvis.quality(image, tmp_path, image)
    with pytest.raises(irvis.DataError, match="several sizes"):
        irvis.quality(image, image, image[1:])
    with pytest.raises(irvis.DataError, match="fused is float64"):
        irvis.quality(image, image, image / 255)


def test_predictions_of_other_programs_are_scored(tmp_path):
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 0, "bbox": [10, 10, 30, 40]},
            {"id": 2, "image_id": 1, "category_id": 0, "bbox": [60, 10, 30, 40]},
        ],
        "categories": [{"id": 0, "name": "person"}],
    }
    found = [{"image_id": 1, "category_id": 0, "bbox": [10, 10, 30, 40], "score": 0.9}]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    scores = irvis.evaluate(tmp_path / "found.json", str(tmp_path / "truth.json"))
    (arm,) = scores.arms
    assert scores.table.loc[arm, ["labels", "precision", "recall"]].tolist() == [2, 1, 0.5]
    # one of two objects found: 51 of COCO's 101 recalls have precision 1
    assert scores.table.loc[arm, "coco_map50"] == pytest.approx(51 / 101)
    assert "found" in scores._repr_html_() or arm in scores._repr_html_()

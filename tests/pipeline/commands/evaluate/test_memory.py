"""The memory of an evaluation: matching is per image, so reading the files takes the most."""

import json
import tracemalloc

import numpy as np
import pytest

from pipeline.commands.evaluate import evaluate, read_inputs

IMAGES, DETECTIONS, ARMS = 200, 2_500, ("ir", "vis")
MOST = 1.5  # of the memory that reading takes


def entries(random, count):
    boxes = np.hstack([random.uniform(0, 500, (count, 2)), random.uniform(5, 90, (count, 2))])
    return [
        {"image_id": image, "category_id": class_id, "bbox": box, "score": score}
        for image, class_id, box, score in zip(
            random.integers(1, IMAGES + 1, count).tolist(),
            random.choice([0, 2], count).tolist(),
            boxes.round(3).tolist(),
            random.random(count).tolist(),
            strict=True,
        )
    ]


def written(folder, count):
    """Random labels and predictions of two arms, ``count`` of each, a part of them on labels."""
    random = np.random.default_rng(0)
    labels = entries(random, count // 10)
    truth = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": 640, "height": 640}
            for i in range(1, IMAGES + 1)
        ],
        "annotations": [{**item, "id": n} for n, item in enumerate(labels, 1)],
        "categories": [{"id": 0, "name": "person"}, {"id": 2, "name": "car"}],
    }
    (folder / "predictions").mkdir(parents=True)
    (folder / "truth.json").write_text(json.dumps(truth))
    for arm in ARMS:
        found = entries(random, count - len(labels)) + labels
        (folder / "predictions" / f"{arm}.json").write_text(json.dumps(found))
    return folder / "predictions", folder / "truth.json"


def peak(function, *arguments):
    """The most bytes that it had at once."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_an_evaluation_takes_little_more_than_reading(tmp_path):
    evaluate(*written(tmp_path / "few", 100))  # compiles, which takes memory once
    files = written(tmp_path / "many", DETECTIONS)
    reading = peak(read_inputs, *files)
    assert reading > 500 * DETECTIONS  # it holds the entries of one arm
    assert reading < 1500 * DETECTIONS  # and not those of two
    assert peak(evaluate, *files) < MOST * reading

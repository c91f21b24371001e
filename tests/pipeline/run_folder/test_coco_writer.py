import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.coco import ground_truth_json
from eval.evaluation import content_hash
from eval.labels import Labels
from eval.truth import Truth
from pipeline.run_folder.coco_writer import GroundTruthFile

NAMES = {2: "car", 0: 'a "person" 🚶'}

boxes = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(0.1, 50), st.floats(0.1, 50)),
    max_size=3,
).map(lambda rows: np.array(rows, np.float64).reshape(-1, 4) + np.array([0, 0, 50, 50]))


@st.composite
def labelled(draw):
    """A key that may come twice, a size and labels, also of a class that doesn't count."""
    xyxy = draw(boxes)
    class_id = np.array([draw(st.sampled_from((0, 2, 7))) for _ in xyxy], np.int64)
    key = draw(st.sampled_from(("a", "b", 'ü "🚗"')))
    return (
        key,
        draw(st.sampled_from((48, 64))),
        Labels(xyxy, class_id, draw(boxes)),
        draw(st.booleans()),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(labelled(), max_size=4))
def test_bytes_and_hash_are_those_of_the_whole_data_set(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("coco") / "ground_truth.json"
    images = [
        {"id": i, "key": key, "file_name": f"{key}.png", "width": 64, "height": height}
        | ({"light": "night"} if dark else {})
        for i, (key, height, _, dark) in enumerate(pairs, 1)
    ]
    labels = [labels for _, _, labels, _ in pairs]
    with GroundTruthFile(path, NAMES) as file:
        for image, mine in zip(images, labels, strict=True):
            file.add(image, mine)
    whole = ground_truth_json(images, labels, NAMES)
    assert path.read_text() == json.dumps(whole, allow_nan=False) + "\n"
    assert file.content_hash() == content_hash(whole)
    assert file.images == len(images)
    assert file.sizes == {(height, 64) for _, height, _, _ in pairs}
    assert [path.name for path in path.parent.iterdir()] == ["ground_truth.json"]
    truth, read = file.truth(), Truth.of(json.loads(path.read_text()))
    assert (list(truth.names.items()), truth.lights) == (list(read.names.items()), read.lights)
    np.testing.assert_array_equal(truth.image_ids, read.image_ids)
    for part in ("annotations", "labels"):
        mine, theirs = getattr(truth, part), getattr(read, part)
        for name in mine.__slots__:
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), strict=True)

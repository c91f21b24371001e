"""The check by columns against the check of each entry."""

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from eval.coco_checks import whole
from eval.coco_files import prediction_problem
from eval.plain_entries import are_plain
from eval.prediction_files import read_arm

PLAIN = {"image_id": 1, "category_id": 2, "bbox": [1, 2.5, 0, 4], "score": 0.5}
ODD = st.sampled_from(
    [None, True, 1, 1.0, 1.5, 0, -1, "", "1", "a", [], {}, [1], float("nan"), float("inf"), 2**53,
     1e15, 10**400, -(10**400), [1, 2, 3, 4], [1, 2, -0.0, 4], [1, 2, -1, 4], [1, 2, 3, True],
     [1, 2, 3, "4"], [1, 2, 3, float("nan")], [1, 2, 3, 10**400], [1e15, 2, 3, 4], [1, 2, 3]]
)  # fmt: skip


def is_plain(entry):
    """The definition: no problem, and ids that stay as they are, of the same type."""
    ids = (entry.get("image_id"), entry.get("category_id"))
    kept = all(type(i) in (int, str) and whole(i) is not None for i in ids)
    return kept and prediction_problem(entry) is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(sorted(PLAIN)), ODD, max_size=2), max_size=4))
def test_plain_is_what_no_entry_has_a_problem_with(changes):
    entries = [PLAIN | change for change in changes]
    entries += [{k: v for k, v in PLAIN.items() if k not in change} for change in changes[1:]]
    before = copy.deepcopy(entries)
    assert are_plain(entries) == all(map(is_plain, entries))
    assert repr(entries) == repr(before)


def test_ids_that_went_through_pandas_read_the_same(tmp_path, labels, ground_truth):
    truth = ground_truth(labels((2, 0, 0, 9, 9)))
    entries = [PLAIN, PLAIN | {"category_id": 7, "score": 1}]
    other = [e | {"image_id": 1.0, "category_id": float(e["category_id"])} for e in entries]
    read = []
    for name, content in (("a", entries), ("b", other)):
        (tmp_path / name).write_text(json.dumps(content))
        arm, left_out = read_arm(tmp_path / name, truth, ids=True)
        read.append((arm.classes, arm.found.image_id.tolist(), arm.found.bbox.tolist(), left_out))
    assert read[0] == read[1] == ((2, 7), [1, 1], [[1, 2.5, 0, 4]] * 2, [])

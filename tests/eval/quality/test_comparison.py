import numpy as np
import pandas as pd
import pytest

from eval.bootstrap import draw, interval95
from eval.quality.comparison import judge_quality

KEYS = pd.Index([f"p{i}" for i in range(12)], name="key")


def table(seed, shift=0.0):
    values = np.random.default_rng(seed).normal(size=(12, 2)) + shift
    return pd.DataFrame(values, KEYS, ["vif", "nabf"])


def test_means_and_intervals_by_drawing_image_by_image():
    tables = {"a": table(0), "b": table(1)}
    tables["a"].loc["p3", "vif"] = np.nan  # not defined there
    found = judge_quality(tables, ["b"], draws=300, seed=4)
    means = {"a": [], "b": []}
    for counts in draw(12, 300, 4):
        images = np.repeat(np.arange(12), counts)
        for arm, values in tables.items():
            means[arm].append(np.nanmean(values["vif"].to_numpy()[images]))
    a, b = (np.array(means[arm]) for arm in "ab")
    score = found["a"]["vif"]
    assert score["value"] == pytest.approx(tables["a"]["vif"].mean())
    assert score["ci95"] == pytest.approx(interval95(a, 12))
    less = score["less"]["b"]
    assert less["difference"] == pytest.approx(
        tables["a"]["vif"].mean() - tables["b"]["vif"].mean()
    )
    assert less["ci95"] == pytest.approx(interval95(a - b, 12))
    assert found["b"]["vif"]["less"] == {}


def test_what_is_common_to_the_arms_cancels():
    same = table(0)
    found = judge_quality({"a": same + 0.01, "b": same}, ["b"])
    assert found["a"]["vif"]["less"]["b"]["ci95"] == pytest.approx([0.01, 0.01])
    low, high = found["a"]["vif"]["ci95"]
    assert high - low > 0.5


def test_less_is_better_for_nabf():
    found = judge_quality({"a": table(0, 0.01), "b": table(0)}, ["b"])["a"]
    assert found["vif"]["less"]["b"]["verdict"] == "better"
    assert found["nabf"]["less"]["b"]["verdict"] == "worse"


def test_one_image_and_undefined_metrics_have_no_interval():
    undefined = table(0)[:1].assign(vif=np.nan)
    found = judge_quality({"a": undefined, "b": table(1)[:1]}, ["b"])["a"]
    assert found["vif"] == {
        "value": None, "ci95": None,
        "less": {"b": {"difference": None, "ci95": None, "verdict": None}},
    }  # fmt: skip
    assert found["nabf"]["ci95"] is None
    assert found["nabf"]["less"]["b"]["difference"] is not None


def test_arms_of_other_images_are_refused():
    with pytest.raises(ValueError, match="the same images"):
        judge_quality({"a": table(0), "b": table(1)[:5]}, ["b"])

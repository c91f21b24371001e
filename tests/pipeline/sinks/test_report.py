"""The gallery that a sink of kind report keeps; its page is in ../commands/report/."""

import base64
import json
from collections import Counter

import cv2
import numpy as np
import pytest

from common.errors import ConfigError, DataError
from eval.attribution import attribute
from eval.labels import Labels
from eval.matches import match_images
from eval.report import gallery
from pipeline.sinks import report
from tests.helpers import stand

BASELINES = {"ir": "ir", "vis": "vis"}
ARMS = ("fused", "ir", "vis")


def build(context):
    """A run with labels and both baselines."""
    values = {name: getattr(context, name) for name in context.__slots__}
    values |= {"arms": ARMS, "image_arms": ARMS, "labelled": True, "baselines": BASELINES}
    return report.build(report.Config(), type(context)(**values), "report")


def labelled(number, **more):
    """Two persons, of which each arm finds another choice; a car, that counts too."""
    rng = np.random.default_rng(number)
    boxes = [[4.0, 8, 16, 30], [30, 10, 44, 40], [48, 2, 62, 9]]
    labels = Labels(np.array(boxes), np.array([0, 0, 2]), np.zeros((0, 4)))
    detections = {
        arm: stand.found(
            *((*box, score, kind) for box, kind in zip(boxes, (0, 0, 2), strict=True)
              if (score := round(rng.random(), 3)) > 0.1)
        )
        for arm in ARMS
    }  # fmt: skip
    result = stand.result(number, number * 10**8, detections=detections, labels=labels, **more)
    result.images["vis"] = result.images["ir"]
    return result


def seen(folder):
    found = [json.loads(path.read_text()) for path in sorted((folder / "gallery").iterdir())]
    return [f for f in found if "images" in f], [f for f in found if "strip" in f]


def decoded(text):
    raw = np.frombuffer(base64.b64decode(text), np.uint8)
    return cv2.cvtColor(cv2.imdecode(raw, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def finish(folder, results):
    """All but the page."""
    return stand.run(build, folder, results)


def test_every_object_has_the_fate_that_the_attribution_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "PLACES", dict.fromkeys(gallery.PLACES, 10_000))
    results = [labelled(i) for i in range(20)]
    _, objects = seen(finish(tmp_path / "run", results))
    matches = {
        arm: match_images([r.detections[arm] for r in results], [r.item.labels for r in results])
        for arm in ARMS
    }
    counts = attribute(
        matches["ir"], matches["vis"], matches["fused"], (0.25, 0.25, 0.25), {}
    ).counts["all"]
    found = Counter(item["arms"]["fused"]["outcome"] for item in objects)
    assert found == {name: n for name, n in counts.items() if n and name != "kept_both"}
    assert sum(counts.values()) == 60
    assert {item["class"] for item in objects} == {"person", "car"}


def test_a_crop_shows_its_object_in_every_image(tmp_path):
    result = labelled(0)
    result.images["fused"][:] = 10
    result.images["fused"][0, 8:30, 4:16] = 250  # red, where the first person is
    _, objects = seen(finish(tmp_path / "run", [result]))
    mine = next((item for item in objects if item["label"] == 0), None)
    assert mine is not None
    assert mine["panels"] == ["ir", "vis", "fused"]
    strip = decoded(mine["strip"])
    assert strip.shape == (report.SIDE, 3 * report.SIDE, 3)
    x, y, side = mine["window"]
    assert (side, x, y) == (40, -10, -1)  # round the middle of 4..16, 8..30
    middle = strip[report.SIDE // 2, int(2.5 * report.SIDE)]
    assert middle[0] > 200
    assert middle[1] < 60
    assert strip[report.SIDE // 2, 2 * report.SIDE + 10].max() < 30  # outside of the image
    assert all(len(box) == 6 for boxes in mine["boxes"].values() for box in boxes)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The results of 30 pairs, and the files of a run of them with few places in its gallery."""
    results = [labelled(i) for i in range(30)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "PLACES", dict.fromkeys(gallery.PLACES, 3))
        return results, stand.files(finish(tmp_path_factory.mktemp("unbroken") / "run", results))


@pytest.mark.parametrize("kill", range(1, 30, 3))
def test_a_resumed_gallery_is_that_of_an_unbroken_run(tmp_path, unbroken, kill, monkeypatch):
    monkeypatch.setattr(gallery, "PLACES", dict.fromkeys(gallery.PLACES, 3))
    results, whole = unbroken
    assert stand.files(stand.broken_run(build, tmp_path / "broken", results, [kill])) == whole


def test_moments_are_evenly_spaced_and_few(tmp_path):
    results = [labelled(i) for i in range(60)]
    moments, _ = seen(finish(tmp_path / "run", results))
    assert [m["number"] for m in moments] == [0, 8, 16, 24, 32, 40, 48, 56]
    first = moments[0]
    assert first["size"] == [64, 48]
    assert first["time_ns"] == 0
    assert len(first["truth"]) == 3
    assert list(first["images"]) == ["ir", "vis", "fused"]
    assert decoded(first["images"]["fused"]).shape == (48, 64, 3)
    score = results[0].detections["fused"].score
    assert len(first["boxes"]["fused"]) == int((score >= 0.25).sum())


def test_large_images_are_made_smaller(tmp_path):
    result = labelled(0, size=(480, 1280))
    moments, _ = seen(finish(tmp_path / "run", [result]))
    assert moments[0]["size"] == [1280, 480]
    assert decoded(moments[0]["images"]["fused"]).shape == (180, 480, 3)


def test_without_labels_or_baselines_there_are_only_moments(tmp_path):
    def plain(context):
        return report.build(report.Config(), context, "report")

    results = [stand.result(i) for i in range(3)]
    moments, objects = seen(stand.run(plain, tmp_path / "run", results))
    assert (len(moments), objects) == (3, [])
    assert list(moments[0]["images"]) == ["ir", "visible", "fused"]


def test_it_needs_the_first_pairs(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.report: has not received the first 4 pairs"):
        build(stand.context(tmp_path / "late", done=4))


def test_a_full_disk_is_one_line(tmp_path):
    with build(stand.context(tmp_path / "run")) as sink, stand.full_disk(10):  # noqa: SIM117
        with pytest.raises(DataError, match="cannot be written"):
            sink.write(labelled(0))

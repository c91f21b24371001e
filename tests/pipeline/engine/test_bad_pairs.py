"""Pairs that cannot be processed."""

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from tests.helpers import toys
from tests.helpers.runs import execute, read_csv, read_json


def break_pairs(root):
    """One fault of each sort, and one good pair left."""
    (root / "vi" / "000.png").unlink()
    whole = (root / "ir" / "001.png").read_bytes()
    (root / "ir" / "001.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (32, 32)).save(root / "vi" / "002.png")
    (root / "labels" / "003.txt").write_text("0 0.5 0.5 0.5\n")
    (root / "labels" / "004.txt").write_text("0 0.5 1.5 0.5 0.5\n")


def test_skip_writes_each_bad_pair_in_the_ledger(pairs):
    break_pairs(pairs)
    outcome = execute(toys.settings(pairs, run={"on_bad_pair": "skip"}))
    assert outcome.summary.frames == {
        "paired": 1, "unpaired": 1, "dropped": 0, "failed": 4, "fallback": 0,
    }  # fmt: skip
    table = {row["key"]: row for row in read_csv(outcome.folder / "ledger.csv")}
    assert [table[f"00{i}"]["status"] for i in range(5)] == ["unpaired"] + ["failed"] * 4
    for key, reason in (
        ("000", "no visible partner"), ("001", "truncated"), ("002", "sizes differ"),
        ("003", "003.txt:1"), ("004", "004.txt:1"),
    ):  # fmt: skip
        assert reason in table[key]["reason"]
    assert outcome.summary.objects == 1
    assert outcome.summary.labelled_objects == 4  # those of the two broken labels are unknown
    assert [
        image["key"] for image in read_json(outcome.folder / "ground_truth.json")["images"]
    ] == ["005"]


@pytest.mark.parametrize("fault", range(5))
def test_fail_stops_at_once_and_leaves_no_folder(here, fault):
    whole, broken = toys.write_pairs(here / "whole"), toys.write_pairs(here / "broken")
    break_pairs(broken)
    for name in ("ir", "vi", "labels"):  # all but one fault are mended
        for path in (whole / name).iterdir():
            if path.stem != f"00{fault}":
                (broken / name / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=f"00{fault}") as error:
        execute(toys.settings(broken))
    assert "\n" not in str(error.value)
    assert not (here / "runs").exists()


def test_a_missing_image_of_a_folder_arm_is_a_bad_pair_for_all(pairs, here):
    fused = here / "fused"
    fused.mkdir()
    for i in range(5):
        Image.new("L", (toys.WIDTH, toys.HEIGHT)).save(fused / f"{i:03d}.png")
    Image.new("L", (9, 9)).save(fused / "003.png")
    settings = toys.settings(pairs, run={"on_bad_pair": "skip"})
    settings["arms"]["theirs"] = {"kind": "folder", "root": str(fused)}
    outcome = execute(settings)
    reasons = {row["key"]: row["reason"] for row in read_csv(outcome.folder / "ledger.csv")}
    assert set(reasons) == {"003", "005"}
    assert "is 9x9" in reasons["003"]
    assert outcome.summary.objects == 4
    assert outcome.summary.labelled_objects == 6


def test_nothing_but_bad_pairs_is_an_error_with_the_reason(pairs, here):
    for path in (pairs / "ir").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no pair could be processed.*000\.png"):
        execute(toys.settings(pairs, run={"on_bad_pair": "skip"}))
    assert list((here / "runs").iterdir()) == []


def test_sixteen_bit_visible_images_are_refused(pairs):
    grey = np.full((toys.HEIGHT, toys.WIDTH), 40000, np.uint16)
    Image.fromarray(grey).save(pairs / "vi" / "002.png")
    with pytest.raises(DataError, match=r"vi/002\.png: visible images must have 8 bit"):
        execute(toys.settings(pairs))


def test_a_folder_arm_without_an_image_is_known_before_the_run(pairs, here):
    fused = here / "fused"
    fused.mkdir()
    Image.new("L", (toys.WIDTH, toys.HEIGHT)).save(fused / "000.png")
    arms = {"theirs": {"kind": "folder", "root": str(fused)}}
    with pytest.raises(DataError, match="no fused image for pair 001"):
        execute(toys.settings(pairs, arms=arms))
    assert not (here / "runs").exists()


@pytest.mark.parametrize("fault", ["nan", "shape"])
def test_a_fuser_that_gives_no_image_is_found_out(pairs, monkeypatch, fault):
    from fusion.fusers import maximum

    def broken(*, ir, vis):
        return vis * float("nan") if fault == "nan" else vis[:, :, ::2]

    monkeypatch.setattr(maximum, "build", lambda config: broken)
    with pytest.raises(DataError, match="a fuser gave"):
        execute(toys.settings(pairs))


def test_keys_cannot_leave_the_folder():
    from pipeline.frames import Frame, FramePair

    frame = Frame(np.zeros((1, 1), np.uint8), None, 0)
    for key in ("../x", "a/..", "/a", "a//b", "..", "", "a\\b"):
        with pytest.raises(DataError, match="a key becomes a file name below a folder"):
            FramePair(key, frame, frame)

"""Whole runs on folders of frames with their times."""

import pytest
from PIL import Image

from common.errors import DataError
from tests.helpers.recordings import TWICE, boxes, calibrate, noise, run, small_infrared
from tests.helpers.runs import read_csv


def write_folders(here, sizes):
    """Folders of images with times; infrared ones of the sizes given."""
    for name in ("ir", "vis"):
        (here / name).mkdir()
        lines = ["name,time_s"]
        for i, size in enumerate(sizes):
            image = small_infrared(i, size) if name == "ir" else noise(name, i, (48, 64))
            Image.fromarray(image).save(here / name / f"{name}_{9 - i}.png")  # not by name
            lines.append(f"{name}_{9 - i}.png,{1_700_000_000 + i / 4:.3f}")
        (here / f"{name}.csv").write_text("\n".join(lines) + "\n")
    files = {key: str(here / f"{key}.csv") for key in ("ir", "vis")}
    return {
        "kind": "frame_folder", "ir": str(here / "ir"), "vis": str(here / "vis"),
        "ir_times": files["ir"], "vis_times": files["vis"],
    }  # fmt: skip


def test_folders_are_paired_by_their_times(here):
    source = write_folders(here, [(24, 32)] * 5)
    more = {"registration": calibrate(here / "c.json", TWICE, (24, 32), (48, 64))}
    outcome = run(source, **more)
    rows = read_csv(outcome.folder / "pairs.csv")
    assert [row["key"] for row in rows] == ["vis_9", "vis_8", "vis_7", "vis_6", "vis_5"]
    assert boxes(outcome, "fused") == {i + 1: [2 * (4 + i), 10, 12, 16] for i in range(5)}
    later = run({**source, "offset_ms": 500}, **more)  # the third visible one has the first box
    assert later.results["frames"]["paired"] == 3
    assert later.results["frames"]["unpaired"] == 4
    assert boxes(later, "fused") == {i + 1: [2 * (4 + i), 10, 12, 16] for i in range(3)}
    assert [row["key"] for row in read_csv(later.folder / "pairs.csv")] == [
        "vis_7",
        "vis_6",
        "vis_5",
    ]
    assert later.results["sync"] == {
        "offset_ms": 500.0,
        "drift_ppm": 0.0,
        "skew": {"pairs": 3, "mean_ms": 0.0, "std_ms": 0.0, "min_ms": 0.0, "max_ms": 0.0},
    }


def test_an_image_of_another_size_than_the_calibration_is_a_bad_pair(here):
    source = write_folders(here, [(24, 32), (24, 32), (24, 30), (24, 32)])
    more = {"registration": calibrate(here / "c.json", TWICE, (24, 32), (48, 64))}
    reason = (
        "pair vis_7: the infrared image has 30x24, its calibration is for 32x24; calibrate at the "
        "size that is used"
    )
    outcome = run(source, **more)
    assert read_csv(outcome.folder / "ledger.csv") == [
        {"key": "vis_7", "status": "failed", "ir_frame": "2", "vis_frame": "2", "reason": reason}
    ]
    assert outcome.results["frames"]["paired"] == 3
    with pytest.raises(DataError, match=reason):
        run(source, run={"name": "strict", "on_bad_pair": "fail"}, **more)

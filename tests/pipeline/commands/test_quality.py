"""`irvis quality`: what is measured, what is written and printed, and what is refused."""

import csv
import logging
import math

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError
from eval.quality.metrics import quality
from eval.quality.names import METRICS
from pipeline.commands.quality import measure, print_report, write
from pipeline.images import to_grey
from tests.helpers.runs import silent

SHAPE = (24, 30)


def save(path, image):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def folders(tmp_path):
    """Three colour pairs, and a grey fused image for each."""
    random = np.random.default_rng(0)
    for key in ("10", "9", "b"):
        save(tmp_path / "ir" / f"{key}.png", random.integers(0, 256, SHAPE, dtype=np.uint8))
        save(tmp_path / "vi" / f"{key}.png", random.integers(0, 256, (*SHAPE, 3), dtype=np.uint8))
        save(tmp_path / "out" / f"{key}.png", random.integers(0, 256, SHAPE, dtype=np.uint8))
    return tmp_path


def run(folder, on_progress=silent):
    return measure(folder / "ir", folder / "vi", folder / "out", on_progress)


def expected(folder, key):
    parts = {}
    for name, where in (("ir", "ir"), ("vis", "vi"), ("fused", "out")):
        image = to_grey(np.asarray(Image.open(folder / where / f"{key}.png")))
        parts[name] = torch.tensor(image)[None, None]
    return [value.item() for value in quality(**parts).values()]


def test_folders_give_one_row_an_image(folders):
    seen = []
    measured = run(folders, lambda done, total: seen.append((done, total)))
    assert list(measured.index) == ["9", "10", "b"]
    assert list(measured.columns) == [metric.key for metric in METRICS]
    for key in measured.index:
        np.testing.assert_equal(measured.loc[key].to_numpy(), np.array(expected(folders, key)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_three_images_of_any_names(folders):
    save(folders / "result.png", np.asarray(Image.open(folders / "out" / "9.png")))
    measured = measure(
        folders / "ir" / "9.png", folders / "vi" / "9.png", folders / "result.png", silent
    )
    assert list(measured.index) == ["result"]
    np.testing.assert_equal(measured.loc["result"].to_numpy(), np.array(expected(folders, "9")))


def test_colour_counts_by_its_luminance(folders):
    grey = np.asarray(Image.open(folders / "out" / "9.png"))
    before = run(folders).loc["9"]
    save(folders / "out" / "9.png", np.repeat(grey[..., None], 3, axis=2))
    assert run(folders).loc["9"].equals(before)


def test_pairs_without_a_fused_image_are_counted(folders, caplog):
    (folders / "out" / "9.png").unlink()
    (folders / "vi" / "9.png").unlink()
    (folders / "out" / "b.png").unlink()
    with caplog.at_level(logging.WARNING):
        assert list(run(folders).index) == ["10"]
    assert caplog.messages == ["2 of 3 pairs have no fused image and are left out"]


def test_complete_folders_say_nothing(folders, caplog):
    with caplog.at_level(logging.WARNING):
        run(folders)
    assert caplog.messages == []


@pytest.mark.parametrize(("folder", "kind"), [("ir", "infrared"), ("vi", "visible")])
def test_fused_image_without_a_source_is_refused(folders, folder, kind):
    (folders / folder / "10.png").unlink()
    with pytest.raises(
        DataError, match=rf"out/10.png: .*{folder} has no {kind} image named 10\.\*"
    ):
        run(folders)


def test_other_size_is_refused(folders):
    save(folders / "vi" / "9.png", np.zeros((30, 24, 3), np.uint8))
    with pytest.raises(DataError, match=r"out/9.png: 30x24, but .*vi/9.png has 24x30; save"):
        run(folders)


@pytest.mark.parametrize("folder", ["ir", "vi", "out"])
def test_sixteen_bit_is_refused(folders, folder):
    save(folders / folder / "9.png", np.full(SHAPE, 7000, np.uint16))
    with pytest.raises(DataError, match=rf"{folder}/9.png: has 16 bit; save it as 8 bit"):
        run(folders)


def test_damaged_image_is_refused(folders):
    (folders / "out" / "9.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"out/9.png: not an image"):
        run(folders)


def test_missing_path_is_refused(folders):
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        measure(folders / "ir", folders / "nowhere", folders / "out", silent)


def test_mixture_of_files_and_folders_is_refused(folders):
    with pytest.raises(DataError, match="give three folders or three images"):
        measure(folders / "ir", folders / "vi", folders / "out" / "9.png", silent)


def test_csv_has_an_empty_cell_where_nothing_is_defined(folders):
    save(folders / "out" / "9.png", np.full(SHAPE, 80, np.uint8))
    measured = run(folders)
    write(folders / "quality.csv", measured)
    with (folders / "quality.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == ["9", "10", "b"]
    assert list(rows[0]) == ["key", *(metric.key for metric in METRICS)]
    assert (rows[0]["cc"], rows[0]["ms_ssim"]) == ("", "")
    for row in rows:
        for key, value in measured.loc[row["key"]].items():
            assert row[key] == "" if math.isnan(value) else float(row[key]) == value


def test_csv_that_cannot_be_written(folders):
    with pytest.raises(DataError, match=r"missing/quality.csv: cannot be written"):
        write(folders / "missing" / "quality.csv", run(folders))


def test_report(folders, capsys):
    save(folders / "out" / "9.png", np.full(SHAPE, 80, np.uint8))
    measured = run(folders)
    print_report(measured)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "│" in line]
    lines = {row[1]: row for row in rows}
    mean, std, median = measured["en"].mean(), measured["en"].std(), measured["en"].median()
    cells = [f"{mean:.4f}", "│", f"{std:.4f}", "│", f"{median:.4f}", "│", "3", "│", "bit"]
    assert lines["EN"][2:-1] == ["│", "↑", "│", *cells]
    assert lines["Nabf"][3] == "↓"
    assert lines["CC"][5] == f"{measured['cc'].dropna().mean():.4f}"
    assert lines["CC"][11] == "2"
    assert lines["MS-SSIM"][3:12] == ["↑", "│", "–", "│", "–", "│", "–", "│", "0"]


def test_spread_of_one_image_is_not_defined(folders, capsys):
    one = run(folders).loc[["9"]]
    print_report(one)
    line = next(line for line in capsys.readouterr().out.splitlines() if " SD " in line)
    assert line.split()[5:10] == [
        f"{one['sd'].item():.4f}",
        "│",
        "–",
        "│",
        f"{one['sd'].item():.4f}",
    ]

"""FLIR radiometric JPEGs as pairs."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from pipeline.commands._opened import open_paths
from pipeline.commands.init import configuration
from pipeline.commands.inspect import inspect
from pipeline.frames import BadPair, FramePair
from pipeline.sources import flir, image_folder
from pipeline.sources._flir_file import is_radiometric, temperatures, visible
from tests.helpers.flir_files import OFFSET, R1, R2, B, F, flir_jpeg, jpeg

RAW = np.linspace(12000, 20000, 30 * 40).astype(np.uint16).reshape(30, 40)
VIS = np.repeat(np.linspace(20, 220, 80).astype(np.uint8)[None, :, None], 60, 0).repeat(3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "flir"
    root.mkdir()
    (root / "FLIR0001.jpg").write_bytes(flir_jpeg(RAW, VIS))
    (root / "FLIR0002.jpg").write_bytes(flir_jpeg(RAW, VIS, png=True))
    return root


def planck(raw: np.ndarray) -> np.ndarray:
    return B / np.log(R1 / (R2 * (raw.astype(np.float64) + OFFSET)) + F) - 273.15


@pytest.mark.parametrize("name", ["FLIR0001.jpg", "FLIR0002.jpg"])
def test_temperatures_are_those_of_plancks_formula(folder: Path, name: str) -> None:
    found = temperatures(folder / name)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, planck(RAW), atol=0.01)


def test_the_visible_image_is_the_embedded_one(folder: Path) -> None:
    image = visible(folder / "FLIR0001.jpg")
    assert image.shape == VIS.shape
    assert np.abs(image.astype(int) - VIS).max() <= 6  # it is a JPEG


def test_data_of_several_segments(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    raw = np.linspace(12000, 20000, 200 * 240).astype(np.uint16).reshape(200, 240)
    path.write_bytes(flir_jpeg(raw, VIS))
    assert path.stat().st_size > 90_000
    np.testing.assert_allclose(temperatures(path), planck(raw), atol=0.01)
    assert visible(path).shape == VIS.shape


def test_a_range_in_degrees_becomes_black_and_white(folder: Path) -> None:
    low, high = float(planck(RAW).min()), float(planck(RAW).max())
    source = flir.build(flir.Config(root=folder, ir_range=(low, high)))
    pairs = list(source)
    assert [pair.key for pair in pairs] == ["FLIR0001", "FLIR0002"]
    for pair in pairs:
        assert isinstance(pair, FramePair)
        assert pair.ir is not None
        assert pair.vis is not None
        expected = np.rint((planck(RAW) - low) / (high - low) * 255)
        assert np.abs(pair.ir.image - expected).max() <= 1
        assert pair.vis.size == (60, 80)


def test_without_a_range_the_pair_says_the_temperatures(folder: Path) -> None:
    pair = next(iter(flir.build(flir.Config(root=folder))))
    assert isinstance(pair, BadPair)
    assert "source.ir_range" in pair.reason


def test_labels_go_by_the_files_name(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "FLIR0001.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    source = flir.build(flir.Config(root=folder, labels=labels, ir_range=(0, 100)))
    np.testing.assert_allclose(source.labels("FLIR0001", (60, 80)).xyxy, [[20, 15, 60, 45]])


def test_init_and_inspect_recognise_a_folder(folder: Path, tmp_path: Path) -> None:
    text, seen = configuration(open_paths([folder], None), tmp_path / "irvis.yaml")
    assert "kind: flir" in text
    assert "ir_range: [" in text
    assert "registration: {calibration" in text
    assert "infrared 40x30, visible 80x60" in seen[0]
    inspect([folder], None, 2)


def test_a_plain_jpeg_of_the_camera_is_warned_of_once(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vis = tmp_path / "vis"
    vis.mkdir()
    for path in folder.iterdir():
        (vis / path.name).write_bytes(jpeg(VIS))
    with caplog.at_level(logging.WARNING):
        list(image_folder.build(image_folder.Config(ir=folder, vis=vis)))
    said = [each.message for each in caplog.records if "source.kind=flir" in each.message]
    assert len(said) == 1
    assert "MSX" in said[0]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        image_folder.build(image_folder.Config(ir=vis, vis=folder))
    assert "source.kind=flir" not in caplog.text


def test_bad_files_are_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(jpeg(VIS))
    assert not is_radiometric(path)
    for read in (temperatures, visible):
        with pytest.raises(DataError, match="no FLIR radiometric JPEG"):
            read(path)
    path.write_bytes(flir_jpeg(RAW, None))
    with pytest.raises(DataError, match="has no visible image"):
        visible(path)
    whole = flir_jpeg(RAW, VIS)
    for end in range(20, 2600, 150):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError) as error:
            temperatures(path)
        assert "\n" not in str(error.value)
        with pytest.raises(DataError):
            visible(path)


def test_without_flyr_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flyr", None)
    with pytest.raises(ConfigError, match="pip install flyr"):
        flir.build(flir.Config(root=folder))

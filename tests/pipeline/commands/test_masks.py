"""`irvis masks`: what is read, what is scored and printed, and what is refused."""

import json
import struct
import zlib

import nibabel
import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from eval.mask_files import read_mask
from eval.masks import REGIONS
from eval.segmentation import count
from eval.segmentation_comparison import judge_masks
from pipeline import cli
from pipeline.commands.masks import parse_regions, score
from tests.helpers.runs import silent

TWO = {"one": frozenset({1}), "both": frozenset({1, 2})}


def save(path, labels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        image = Image.fromarray(labels.astype(np.uint8))
        if mode == "P":
            image = image.convert("L")
            image = Image.frombytes("P", image.size, image.tobytes())
            image.putpalette(list(range(255, -1, -1)) * 3)
        image.save(path)
    else:
        nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), np.diag([1, 0.5, 2, 1])), path)


@pytest.fixture
def folders(tmp_path):
    """Three images, arms ``a`` (right) and ``b`` (random), one with a palette."""
    rng = np.random.default_rng(0)
    for key in ("1", "2", "x.y"):
        truth, found = rng.integers(0, 3, (2, 6, 7))
        save(tmp_path / "labels" / f"{key}.png", truth, "P" if key == "2" else None)
        save(tmp_path / "arms" / "a" / f"{key}.png", truth)
        save(tmp_path / "arms" / "b" / f"{key}.png", found)
    return tmp_path


def masks_of(folder, arm):
    return [
        tuple(np.asarray(Image.open(folder / part / f"{key}.png")) for part in (arm, "labels"))
        for key in ("1", "2", "x.y")
    ]


def test_folders_of_arms(folders):
    results = score(folders / "arms", folders / "labels", regions=TWO, on_progress=silent)
    counts = {arm: count(masks_of(folders, f"arms/{arm}"), TWO) for arm in ("a", "b")}
    arms, comparisons = judge_masks(counts, list(TWO))
    assert results["arms"] == arms
    assert results["comparisons"] == comparisons
    assert (results["images"], results["regions"]) == (3, {"one": [1], "both": [1, 2]})
    assert results["arms"]["a"]["mean"]["iou"] == 1
    assert results["warnings"] == ["3 images are few: 95% intervals are too narrow"]


def test_one_folder_is_one_arm(folders):
    results = score(folders / "arms" / "b", folders / "labels", regions=TWO, on_progress=silent)
    assert list(results["arms"]) == ["b"]


def test_volumes_have_distances_in_millimetres(tmp_path):
    truth = np.zeros((5, 6, 4), int)
    truth[1, 2, 1] = 4
    save(tmp_path / "labels" / "case.nii.gz", truth)
    save(tmp_path / "arm" / "case.nii.gz", np.roll(truth, (1, 2, 1), (0, 1, 2)))
    found = score(
        tmp_path / "arm", tmp_path / "labels", regions=REGIONS["brats"], on_progress=silent
    )
    assert found["arms"]["arm"]["ET"]["hd95"] == pytest.approx((1 + 1 + 4) ** 0.5)
    assert found["arms"]["arm"]["ET"]["missed"] == 0


def test_command(folders, capsys):
    out = folders / "out.json"
    arguments = ["masks", str(folders / "arms"), str(folders / "labels")]
    assert cli.main([*arguments, "--regions", "one=1,both=1+2", "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "3 images are few" in printed
    assert "better" in printed
    assert json.loads(out.read_text())["arms"]["a"]["one"]["dice"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "arms" / "b" / "2.png").unlink(), r"b: 1 of 3 labels have no mask .* '2'"),
        (lambda f: save(f / "arms" / "b" / "2.png", np.zeros((3, 7))), r"2\.png: 3x7, but .* 6x7"),
        (lambda f: save(f / "arms" / "b" / "2.png", np.zeros((6, 7, 3))), "several channels"),
        (lambda f: (f / "arms" / "b" / "2.png").write_bytes(b"x"), "no readable image"),
        (lambda f: save(f / "labels" / "2.nii", np.zeros((6, 7))), "a mask of the same name"),
    ],
)
def test_refused(folders, change, message):
    change(folders)
    with pytest.raises(DataError, match=message) as caught:
        score(folders / "arms", folders / "labels", regions=TWO, on_progress=silent)
    assert "\n" not in str(caught.value)


def test_labels_that_the_regions_do_not_know(folders):
    """0/255 of a program in place of 0/1, or another edition's numbers, would score as nothing."""
    given = {"regions": TWO, "on_progress": silent}
    save(folders / "labels" / "2.png", np.full((6, 7), 255))
    with pytest.raises(
        DataError, match=r"2\.png: has label 255, but the regions are of .* 0, 1, 2"
    ):
        score(folders / "arms", folders / "labels", known={0, 1, 2}, **given)
    results = score(folders / "arms", folders / "labels", **given)
    text = "true masks have labels in no region, scored as background: 255"
    assert text in results["warnings"]
    results = score(folders / "arms", folders / "labels", ignore=255, **given)
    assert text not in results["warnings"]
    assert score(folders / "arms", folders / "labels", ignore=255, known={0, 1, 2}, **given)
    save(folders / "arms" / "a" / "1.png", np.full((6, 7), 3))
    with pytest.raises(DataError, match=r"a.1\.png: has label 3"):
        score(folders / "arms", folders / "labels", ignore=255, known={0, 1, 2}, **given)


def test_the_command_knows_the_labels_of_named_regions(folders, capsys):
    save(folders / "labels" / "1.png", np.full((6, 7), 3))
    arguments = ["masks", str(folders / "arms"), str(folders / "labels"), "--regions"]
    assert cli.main([*arguments, "brats"]) == 2
    assert "has label 3, but the regions are of the labels 0, 1, 2, 4" in capsys.readouterr().err
    assert cli.main([*arguments, "brats2023"]) == 0


def test_masks_and_folders_of_masks_are_not_one_arm(folders):
    save(folders / "arms" / "1.png", np.zeros((6, 7)))
    with pytest.raises(DataError, match="has masks, and folders with masks such as 'a'"):
        score(folders / "arms", folders / "labels", regions=TWO, on_progress=silent)


@pytest.mark.parametrize("names", [("a.nii", "a.nii"), ("a.png", "a.nii"), ("a.nii", "a.png")])
def test_masks_that_lie_elsewhere_in_space(tmp_path, names):
    """The same voxels from the other side, and an image, whose axes have no place."""
    labels = np.array([[0, 1], [1, 1]])
    for folder, name in zip(("labels", "arm"), names, strict=True):
        save(tmp_path / folder / name, labels)
    if names[0] == names[1]:
        moved = nibabel.Nifti1Image(labels.astype(np.int16), np.diag([-1, 0.5, 2, 1]))
        nibabel.save(moved, tmp_path / "arm" / "a.nii")
    with pytest.raises(DataError, match=r"lies elsewhere in space|is an image, the other NIfTI"):
        score(tmp_path / "arm", tmp_path / "labels", regions=TWO, on_progress=silent)


def png_of_4_bits(labels):
    """A grey PNG of a row of labels, two in a byte."""
    packed = bytes(16 * a + b for a, b in zip(labels[::2], labels[1::2], strict=True))
    head = struct.pack(">IIBBBBB", len(labels), 1, 4, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" + packed)), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_files_whose_labels_would_be_read_as_others(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of_4_bits([0, 1, 2, 3]))
    with pytest.raises(DataError, match="less than 8 bits a grey"):
        read_mask(tmp_path / "a.png")
    pages = [Image.fromarray(np.full((2, 3), page, np.uint8)) for page in range(2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="several pages"):
        read_mask(tmp_path / "a.tif")


def test_a_mask_is_turned_as_its_image_is(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    labels = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    Image.fromarray(labels).save(tmp_path / "a.png", exif=turned)
    assert np.array_equal(read_mask(tmp_path / "a.png").labels, np.rot90(labels, -1))


def test_no_masks(tmp_path):
    with pytest.raises(DataError, match="no such folder of masks"):
        score(tmp_path / "a", tmp_path / "b", regions=TWO, on_progress=silent)
    with pytest.raises(DataError, match="no masks"):
        score(tmp_path, tmp_path, regions=TWO, on_progress=silent)


def test_a_nifti_file_that_is_none(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"no header")
    with pytest.raises(DataError, match="no readable NIfTI file"):
        read_mask(tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), 0.5), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(DataError, match="no whole numbers"):
        read_mask(tmp_path / "b.nii")


@pytest.mark.parametrize("text", ["", "a", "a=", "a=x", "=1", "a=1,a=2", "mean=1"])
def test_wrong_regions(text):
    with pytest.raises(ConfigError, match="--regions"):
        parse_regions(text)

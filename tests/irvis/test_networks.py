"""Fusers and detectors on numpy arrays."""

import cv2
import numpy as np
import pytest
import torch

import irvis
from fusion.network import checkpoint
from fusion.network.gate_unet import Architecture, GateUNet
from tests.helpers import toys


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return tuple(
        rng.integers(256, size=size, dtype=np.uint8) for size in ((3, 37, 51), (3, 37, 51, 3))
    )


@pytest.mark.parametrize("kind", ["average", "maximum", "laplacian"])
def test_a_batch_is_its_single_pairs(kind, arrays):
    ir, vis = arrays
    fuser = irvis.fuser(kind)
    batch = fuser(ir, vis)
    assert (batch.shape, batch.dtype) == ((3, 37, 51, 3), np.uint8)
    for i in range(3):
        assert np.array_equal(fuser(ir[i], vis[i]), batch[i])


def test_the_average_is_the_mean_of_both(arrays):
    ir, grey = arrays[0][0], arrays[0][1]
    fused = irvis.fuser("average")(ir, grey).astype(float)
    mean = (ir.astype(float) + grey) / 2
    assert np.abs(fused - mean[..., None]).max() <= 0.5


def test_colour_infrared_and_grey_visible_are_taken_as_a_run_takes_them(arrays):
    ir, vis = arrays[1][0], arrays[0][1]
    grey = cv2.cvtColor(ir, cv2.COLOR_RGB2GRAY)
    fuser = irvis.fuser("average")
    assert np.array_equal(fuser(ir, vis), fuser(grey, np.stack([vis] * 3, -1)))


def test_an_image_of_a_view_is_taken_too(arrays):
    ir, vis = arrays
    fuser = irvis.fuser("average")
    expected = fuser(ir[0], vis[0])[::-1]
    assert np.array_equal(fuser(ir[0][::-1], vis[0][::-1]), expected)


@pytest.mark.parametrize(
    ("ir", "vis"),
    [
        (np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 5, 3), np.uint8)),
        (np.zeros((4, 4), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)),
        (np.zeros((0, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)),
        (np.zeros(4, np.uint8), np.zeros(4, np.uint8)),
    ],
)
def test_other_shapes_and_types_are_refused(ir, vis):
    with pytest.raises(irvis.DataError, match="give uint8 of one size"):
        irvis.fuser("average")(ir, vis)


def test_a_file_of_weights_says_its_kind(tmp_path, arrays):
    torch.manual_seed(0)
    network = GateUNet(Architecture(widths=(8, 8)))
    torch.nn.init.normal_(network.head.weight)
    path = tmp_path / "own.safetensors"
    checkpoint.save(path, network)
    ir, vis = arrays
    by_path = irvis.fuser(path, dtype="float32")(ir, vis)
    by_kind = irvis.fuser("fusion.fusers.gate_unet", weights=str(path), dtype="float32")(ir, vis)
    assert np.array_equal(by_path, by_kind)
    assert not np.array_equal(by_path, irvis.fuser("average")(ir, vis))


def test_the_authors_files_are_told_apart_by_their_keys(tmp_path):
    torch.save({"M3_block1.dwconv.weight": torch.ones(1)}, tmp_path / "10000_E.pth")
    torch.save({"final_conv.weight": torch.ones(1)}, tmp_path / "model.pth")
    kinds = [
        irvis.networks._identify(str(tmp_path / n))["kind"] for n in ("10000_E.pth", "model.pth")
    ]
    assert kinds == ["mambadfuse", "fusionmamba_released"]


def test_names_are_those_of_shipped_weights_and_of_kinds():
    assert irvis.networks._identify("gate_unet") == {"kind": "gate_unet", "weights": "gate_unet"}
    assert irvis.networks._identify("tiny") == {"kind": "fusionmamba", "weights": "tiny"}
    assert irvis.networks._identify("laplacian") == {"kind": "laplacian"}
    assert irvis.networks._identify("my.own") == {"kind": "my.own"}
    with pytest.raises(irvis.ConfigError, match="no fuser 'tyni': give a file, or one of"):
        irvis.fuser("tyni")
    with pytest.raises(irvis.WeightsError, match="no weights at"):
        irvis.fuser("nowhere/x.safetensors")


@pytest.mark.parametrize("kind", ["late", "folder"])
def test_an_arm_that_fuses_nothing_is_no_fuser(kind, tmp_path):
    settings = {"arms": ["a", "b"]} if kind == "late" else {"root": str(tmp_path)}
    with pytest.raises(irvis.IrvisError, match="makes no image from a pair"):
        irvis.fuser(kind, **settings)


def test_a_detector_finds_in_one_image_and_in_several():
    detector = irvis.detector(kind="tests.helpers.toys")
    assert detector.names == toys.BrightBox.names
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:9, 10:16] = 255
    found = detector(image)
    assert isinstance(found, irvis.Detections)
    assert found.xyxy.tolist() == [[10, 5, 16, 9]]
    assert found.score.tolist() == [1.0]
    assert found.class_id.tolist() == [0]
    several = detector([image, np.zeros((20, 30), np.uint8)])
    assert [len(each) for each in several] == [1, 0]
    assert detector(image[None])[0].xyxy.tolist() == found.xyxy.tolist()
    assert detector([]) == []


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 4), np.uint8), "give uint8"),
        (["a.png"], "an image is a str"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)], "several sizes"),
    ],
)
def test_a_detector_refuses_other_images(images, what):
    with pytest.raises(irvis.DataError, match=what):
        irvis.detector(kind="tests.helpers.toys")(images)


def test_detections_are_taken_by_supervision():
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:9, 10:16] = 255
    found = irvis.detector(kind="tests.helpers.toys")(image).to_supervision()
    assert found.xyxy.tolist() == [[10, 5, 16, 9]]
    assert found.confidence.tolist() == [1.0]
    assert found.class_id.tolist() == [0]
    assert found.area.tolist() == [24]


@pytest.mark.filterwarnings("error")
def test_arrays_that_cannot_be_written_are_taken_without_a_warning(arrays):
    """As np.asarray(Image.open(...)) gives them; torch would warn of them once."""
    before = torch.is_warn_always_enabled()
    ir, vis = (np.frombuffer(a[0].tobytes(), np.uint8).reshape(a[0].shape) for a in arrays)
    assert {ir.flags.writeable, vis.flags.writeable} == {False}
    torch.set_warn_always(True)
    try:
        fused = irvis.fuser("average")(ir, vis)
        assert irvis.quality(ir, vis, fused)["en"].iloc[0] > 0
    finally:
        torch.set_warn_always(before)

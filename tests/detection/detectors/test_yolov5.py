import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError, WeightsError
from detection.anchor_head import AnchorHead
from detection.detectors import yolov5
from detection.detectors.yolov5 import Config

# through the adapter, which tells the package to stay offline before it is imported
DetectionModel = yolov5.DetectionModel
BUS = Path(yolov5.ultralytics.__file__).parent / "assets" / "bus.jpg"


@pytest.fixture(scope="module")
def bus():
    pixels = np.asarray(Image.open(BUS).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]  # [1, 3, 1080, 810]


@pytest.fixture(scope="module")
def demo(cpu):
    return yolov5.build(Config(weights="demo", conf=0.001), device=cpu)


def test_original_yolov5s_finds_what_it_is_known_to_find(shared, bus, cpu):
    path = shared / "weights" / "yolov5s.pt"
    found = yolov5.build(Config(weights=str(path)), device=cpu)(bus)[0]
    people = found.score[found.class_id == 0]
    # ultralytics/yolov5 on its own bus.jpg; the last digit depends on how 8-bit pixels are scaled
    assert people == pytest.approx([0.851, 0.845, 0.833, 0.317], abs=0.005)
    assert found.score[found.class_id == 5] == pytest.approx([0.803], abs=0.005)
    assert len(found) == 5


@pytest.mark.parametrize("name", ["yolov5s", "yolov5n"])
def test_the_run_knows_which_network_it_was(shared, cpu, name):
    detector = yolov5.build(Config(weights=str(shared / "weights" / f"{name}.pt")), device=cpu)
    assert detector.fingerprint["network"] == name
    assert detector.fingerprint["head"] == "anchor-based"
    assert detector.fingerprint["weights"] == f"{name}.pt"
    assert (detector.names[0], detector.names[2], len(detector.names)) == ("person", "car", 80)


def test_every_tensor_of_the_checkpoint_is_used(shared):
    network, _ = yolov5.load_network(shared / "weights" / "yolov5s.pt")
    # 7,235,389 is what yolov5 v6 prints for yolov5s
    assert sum(p.numel() for p in network.parameters()) == 7_235_389


def test_raw_is_differentiable_in_the_image(demo):
    image = torch.rand(1, 3, 64, 96, requires_grad=True)
    raw = demo.raw(image)
    assert raw.shape == (1, 4 + 3, 8 * 12 + 4 * 6 + 2 * 3)
    raw[:, 4:].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def raw(detector, images):
    """Boxes and scores of the first image, [4 + classes, N]."""
    with torch.no_grad():
        return detector.raw(detector._letterbox(tuple(images.shape[2:])).apply(images))[0]


def test_a_bfloat16_head_computes_in_float32(tmp_path, cpu):
    """Of an anchor-free network too, whose boxes are as exact as those of its float32 trunk."""
    yolov5_file = tmp_path / "n.safetensors"
    names = {0: "person"}
    torch.manual_seed(0)
    network = yolov5.new_network("yolov5n.yaml", names)
    yolov5.save_network(yolov5_file, network, model="yolov5n.yaml", names=names, metadata={})
    seen = []
    detector = yolov5.build(Config(weights=str(yolov5_file), dtype="bfloat16"), device=cpu)
    head = detector.network.model[-1]
    head.cv2.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    for branch in (*head.cv2, *head.cv3):
        branch.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    assert raw(detector, torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).dtype == torch.float32
    assert set(seen) == {torch.float32}
    assert {p.dtype for p in detector.network.model[0].parameters()} == {torch.bfloat16}


def test_the_fingerprint_says_what_auto_was(cpu, monkeypatch):
    for native, name in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        detector = yolov5.build(Config(weights="demo", dtype="auto"), device=cpu)
        assert detector.fingerprint["dtype"] == name


def test_folding_batch_norm_keeps_the_boxes(shared, cpu, bus):
    path = shared / "weights" / "yolov5s.pt"
    detector = yolov5.build(Config(weights=str(path), image_size=320), device=cpu)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in detector.network.modules())
    folded = raw(detector, bus)
    detector.network = yolov5.load_network(path)[0].eval()
    assert torch.allclose(folded, raw(detector, bus), rtol=1e-4, atol=1e-3)


def test_a_bfloat16_trunk_moves_no_box(shared, cpu, bus):
    """Of the original YOLOv5s, on its own bus.jpg, at every place that it is half sure of."""
    path = shared / "weights" / "yolov5s.pt"
    full, mixed = (
        raw(yolov5.build(Config(weights=str(path), image_size=320, dtype=dtype), device=cpu), bus)
        for dtype in ("float32", "bfloat16")
    )
    assert mixed.dtype == torch.float32  # the head's
    sure = full[4:].amax(dim=0) > 0.5  # [N]
    assert sure.sum() >= 5
    assert (full[:4, sure] - mixed[:4, sure]).abs().max() < 1.5  # pixels of 320
    assert (full[4:, sure] - mixed[4:, sure]).abs().max() < 0.05
    assert not torch.equal(full, mixed)


def test_detections_are_sorted_clipped_and_of_the_right_type(demo):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 120, 90), dtype=torch.uint8)
    for found in demo(images):
        assert found.xyxy.dtype == np.float32
        assert found.class_id.dtype == np.int64
        assert (np.diff(found.score) <= 0).all()
        assert (found.xyxy >= 0).all()
        assert (found.xyxy[:, [0, 2]] <= 90).all()
        assert (found.xyxy[:, [1, 3]] <= 120).all()


def test_classes_are_dropped_after_nms(cpu):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    every = yolov5.build(Config(weights="demo", conf=0.0001), device=cpu)(images)[0]
    cars = yolov5.build(Config(weights="demo", conf=0.0001, classes=(2,)), device=cpu)(images)[0]
    assert np.array_equal(cars.score, every.score[every.class_id == 2])


def test_anchor_head_by_hand():
    """Two cells in a row; all logits zero but objectness and a class: sigmoid(0) = 1/2."""
    head = AnchorHead(classes=2, channels=[1]).eval()
    sizes = [[3.0, 5.0], [1.0, 2.0], [4.0, 4.0]]
    head.anchors[0] = torch.tensor(sizes)  # strides
    torch.nn.init.zeros_(head.m[0].weight)
    torch.nn.init.zeros_(head.m[0].bias)
    with torch.no_grad():
        head.m[0].bias[4::7] = np.log(3.0)  # objectness 3/4
        head.m[0].bias[6::7] = np.log(4.0)  # second class 4/5
    out = head([torch.zeros(1, 1, 1, 2)])
    assert out.shape == (1, 6, 3 * 2)
    expected = [[x, 4, w * 8, h * 8, 0.375, 0.6] for w, h in sizes for x in (4, 12)]
    assert torch.allclose(out[0].T, torch.tensor(expected), atol=1e-5)


def test_anchor_free_checkpoint_loads_without_running_its_code(tmp_path, cpu):
    network = DetectionModel("yolov5n.yaml", nc=4, verbose=False)
    network.names = {i: f"thing {i}" for i in range(4)}
    torch.save({"model": network, "train_args": {"lr": 0.1}}, tmp_path / "mine.pt")
    detector = yolov5.build(Config(weights=str(tmp_path / "mine.pt")), device=cpu)
    assert detector.fingerprint["head"] == "anchor-free"
    assert detector.fingerprint["network"] == "yolov5n"
    assert detector.names[3] == "thing 3"
    image = torch.rand(1, 3, 64, 64)
    network.to(memory_format=torch.channels_last).eval()  # as the adapter does
    assert torch.allclose(detector.raw(image), network(image)[0], rtol=1e-4, atol=1e-4)


def test_saved_network_comes_back_in_16_bit(tmp_path, cpu):
    names = {0: "person", 1: "bicycle", 2: "car"}
    network = yolov5.new_network("yolov5n.yaml", names)
    path = tmp_path / "new.safetensors"
    yolov5.save_network(path, network, model="yolov5n.yaml", names=names, metadata={"seed": "1"})
    assert path.stat().st_size < 6e6
    detector = yolov5.build(Config(weights=str(path)), device=cpu)
    assert detector.names == names
    image = torch.rand(1, 3, 64, 64)
    expected = network.eval()(image)[0]
    assert torch.allclose(detector.raw(image), expected, rtol=0.02, atol=0.3)


def test_new_network_learns(tmp_path):
    network = yolov5.new_network("yolov5n.yaml", {0: "a"})
    batch = {
        "img": torch.rand(2, 3, 64, 64),
        "cls": torch.zeros(2, 1),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.3, 0.3, 0.2, 0.2]]),
        "batch_idx": torch.tensor([0.0, 1.0]),
    }
    loss = network.loss(batch)[0].sum()
    loss.backward()
    assert loss > 0
    assert all(p.grad is not None for p in network.model[0].parameters())


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/irvis-was-here",)


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path, cpu):
    Path("/tmp/irvis-was-here").unlink(missing_ok=True)
    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt: refused.*system"):
        yolov5.build(Config(weights=str(tmp_path / "evil.pt")), device=cpu)
    assert not Path("/tmp/irvis-was-here").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.pt", b"hello", "not a YOLO checkpoint"),
        ("text.safetensors", b"hello", "not a detector's safetensors"),
        ("old.pt", pickle.dumps({"model": 1}), "not a YOLO checkpoint"),
        ("empty.pt", b"", "not a YOLO checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_said_so(tmp_path, cpu, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        yolov5.build(Config(weights=str(tmp_path / name)), device=cpu)


def test_truncated_checkpoint(shared, tmp_path, cpu):
    whole = (shared / "weights" / "yolov5n.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"half\.pt"):
        yolov5.build(Config(weights=str(tmp_path / "half.pt")), device=cpu)


def test_checkpoints_of_something_else(tmp_path, cpu):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "dict.pt")
    torch.save({"model": torch.nn.Conv2d(3, 3, 1)}, tmp_path / "conv.pt")
    for name, message in (("dict.pt", "holds no model"), ("conv.pt", "no layers named")):
        with pytest.raises(WeightsError, match=message):
            yolov5.build(Config(weights=str(tmp_path / name)), device=cpu)


def test_missing_and_extra_keys_are_named(tmp_path, cpu):
    network = DetectionModel("yolov5n.yaml", nc=2, verbose=False)
    del network.model[0].conv
    torch.save({"model": network}, tmp_path / "lacking.pt")
    with pytest.raises(WeightsError, match=r"lacks model\.0\.conv\.weight"):
        yolov5.build(Config(weights=str(tmp_path / "lacking.pt")), device=cpu)


def test_unknown_class_id_is_the_users_mistake(cpu):
    with pytest.raises(ConfigError, match="7 is not a class of demo"):
        yolov5.build(Config(weights="demo", classes=(7,)), device=cpu)


EVIL = """
nc: 1
activation: open({marker!r}, "w").close() or torch.nn.SiLU()
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
head:
  - [[0], 1, Detect, [nc]]
"""


@pytest.mark.parametrize("where", ["metadata", "working folder"])
def test_no_description_from_elsewhere_is_followed(tmp_path, monkeypatch, cpu, where):
    """ultralytics evaluates parts of a network's YAML, and looks in the working folder first."""
    marker = tmp_path / "ran"
    name = "evil.yaml" if where == "metadata" else "yolov5n.yaml"
    (tmp_path / name).write_text(EVIL.format(marker=str(marker)))
    monkeypatch.chdir(tmp_path)
    if where == "metadata":
        network = yolov5.new_network("yolov5n.yaml", {0: "a"})
        path = tmp_path / "w.safetensors"
        model = str(tmp_path / name)
        yolov5.save_network(path, network, model=model, names={0: "a"}, metadata={})
        with pytest.raises(WeightsError, match=r"w\.safetensors: .*has no network"):
            yolov5.build(Config(weights=str(path)), device=cpu)
    else:
        assert yolov5.build(Config(weights="demo"), device=cpu).names[2] == "car"
    assert not marker.exists()


def test_pillow_is_left_as_it_was():
    """The package's import replaces Image.open by one that installs packages."""
    assert Image.open.__module__ == "PIL.Image"

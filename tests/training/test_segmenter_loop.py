"""Segmenters: one start for every arm, the same weights after a resume, what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError, DataError, WeightsError
from fusion.network import checkpoint
from pipeline.images import pair_id
from segmentation.segmenters import unet
from segmentation.unet import Settings
from tests.helpers.recipes import changed, killed_at, rows
from tests.helpers.runs import silent
from training import segmenter_config, segmenter_loop
from training.segmenter_data import Examples, read_pairs
from training.segmenter_loop import train_segmenters

SIZE = (24, 32)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Four pairs, bright in infrared where the mask is 3; the visible image is noise."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("ir", "vis", "masks"):
        (tmp_path / name).mkdir()
    for number in range(4):
        mask = np.kron(rng.integers(0, 2, (3, 4)), np.ones((8, 8), int))
        ir = np.clip(60 + 130 * mask + rng.normal(0, 8, SIZE), 0, 255).astype(np.uint8)
        Image.fromarray(ir).save(tmp_path / "ir" / f"{number}.png")
        vis = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(vis).save(tmp_path / "vis" / f"{number}.png")
        Image.fromarray((3 * mask).astype(np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    return tmp_path


def make(**changes):
    """A short recipe; ``schedule__steps=3`` changes one of its keys."""
    settings = {
        "task": "segmentation",
        "run": {"name": "s", "save_every": 2},
        "source": {"kind": "image_folder", "ir": "ir", "vis": "vis"},
        "arms": {"ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"}},
        "network": {"names": {0: "cold", 3: "hot"}, "width": 4, "levels": 2},
        "data": {"masks": "masks", "crop": 16},
        "schedule": {"steps": 3, "warmup": 1, "learning_rate": 0.02, "ema": 0.5},
        "compute": {"device": "cpu", "batch": 2, "threads": 1},
    }
    return segmenter_config.check(changed(settings, changes))


def contents(outcome):
    return {arm: path.read_bytes() for arm, path in outcome.weights.items()}


def test_a_killed_training_goes_on_to_the_same_weights(here):
    whole = train_segmenters(make(), silent)
    assert sorted(path.name for path in (whole.folder / "vis").glob("*.*")) == [
        "log.csv", "weights.safetensors",
    ]  # fmt: skip
    for resume, step in ((False, 3), (True, 5)):  # at the end of the first arm, in the second
        with pytest.raises(KeyboardInterrupt):
            train_segmenters(make(run__resume=resume), killed_at(step))
    resumed = train_segmenters(make(run__resume=True), silent)
    assert resumed.folder.name == "s-2"
    assert contents(resumed) == contents(whole)
    for arm in ("ir", "vis"):
        assert rows(resumed.folder / arm) == rows(whole.folder / arm)
        assert len(rows(whole.folder / arm)) == 3


def test_every_arm_begins_alike_and_sees_the_same_crops(here):
    """Two arms of the same images get the same weights."""
    arms = {"a": {"kind": "average"}, "b": {"kind": "average"}, "c": {"kind": "maximum"}}
    outcome = train_segmenters(make(arms=arms), silent)
    tensors = {arm: checkpoint.read(path).tensors for arm, path in outcome.weights.items()}
    for key, value in tensors["a"].items():
        assert torch.equal(value, tensors["b"][key])
    assert any(not torch.equal(value, tensors["c"][key]) for key, value in tensors["a"].items())


def test_six_channels_begin_as_the_mean_of_their_images(here):
    settings = Settings(names={0: "a", 1: "b"}, width=4, levels=2)
    networks = []
    for channels in (3, 6):
        torch.manual_seed(1)
        networks.append(segmenter_loop._new_network(settings, channels).eval())
    one, six = networks
    both = torch.rand(2, 6, 16, 24)
    assert torch.allclose(six(both), one((both[:, :3] + both[:, 3:]) / 2), atol=1e-5)


def test_it_learns_what_its_arm_shows(here):
    arms = {"ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"}, "both": {"kind": "stacked"}}
    outcome = train_segmenters(make(schedule__steps=60, schedule__ema=0.9, arms=arms), silent)
    right = {}
    for arm, path in outcome.weights.items():
        segment = unet.build(unet.Config(weights=str(path)), device=torch.device("cpu"))
        assert segment.names == {0: "cold", 3: "hot"}
        hits = []
        for number in range(4):
            seen = ("ir", "vis") if arm == "both" else (arm,)
            images = [Image.open(here / name / f"{number}.png").convert("RGB") for name in seen]
            image = np.concatenate(images, axis=2)
            found = segment(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
            hits.append(found == np.asarray(Image.open(here / "masks" / f"{number}.png")))
        right[arm] = np.mean(hits)
    assert right["ir"] > 0.97
    assert right["both"] > 0.97
    assert right["vis"] < 0.9


def test_the_weights_state_their_training_pairs(here):
    outcome = train_segmenters(make(), silent)
    ids = set()
    for number in range(4):
        images = (np.asarray(Image.open(here / m / f"{number}.png")) for m in ("ir", "vis"))
        ids.add(pair_id(*images))
    assert checkpoint.trained_on(outcome.weights["ir"]) == ids
    assert checkpoint.read(outcome.weights["ir"]).metadata["arm"] == "ir"


def test_the_phantoms_bring_their_masks(here):
    config = make(
        source={"kind": "phantoms", "slices": 2, "size": [48, 40]},
        network={"names": {0: "a", 1: "b", 2: "c", 4: "d"}, "width": 4, "levels": 2},
        data={"crop": 40},
    )
    masked = read_pairs(config)
    assert [target.shape for target in masked.targets] == [(48, 40)] * 2
    assert np.unique(masked.targets).tolist() == [0, 1, 2, 3]  # channels of the labels 0, 1, 2, 4


def test_a_batch_is_of_crops_of_image_and_mask_alike():
    """Each pixel's value says where it is from."""
    place = np.arange(24 * 32).reshape(24, 32) % 251
    image = torch.from_numpy(np.stack([place] * 3).astype(np.uint8))
    examples = Examples([image, image], [place.astype(np.uint8)] * 2)
    images, targets = examples.batch(5, seed=1, size=8, crop=16)
    assert images.shape == (8, 3, 16, 16)
    assert torch.equal(images[:, 0], targets)
    assert len({tuple(t.flatten().tolist()) for t in targets}) > 4
    again, _ = examples.batch(5, seed=1, size=8, crop=16)
    assert torch.equal(again, images)
    assert not torch.equal(examples.batch(6, seed=1, size=8, crop=16)[0], images)


def test_ignored_labels_have_no_class(here):
    masked = read_pairs(
        make(data={"masks": "masks", "crop": 16, "ignore": 3}, network__names={0: "a", 1: "b"})
    )
    assert np.unique(masked.targets).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"data__masks": None}, ConfigError, r"image_folder has no masks; .* data\.masks=FOLDER"),
        ({"data__masks": "no"}, DataError, "no: no such folder of masks"),
        ({"data__crop": 25}, DataError, r"pair 0: is smaller than a crop; lower data\.crop"),
        ({"network__names": {0: "a", 1: "b"}}, DataError, "pair 0: its mask has label 3, which is"),
        ({"data__ignore": 3}, ConfigError, r"data\.ignore: 3 is in network\.names"),
        ({"task": "detection"}, ConfigError, "task"),
        ({"arms": {"a": {"kind": "ir_only"}, "b": {"kind": "vis_only"},
                   "m": {"kind": "late", "arms": ["a", "b"]}}},
         ConfigError, "arms.m: has no image to segment; remove it with"),
        ({"arms": {"a": {"kind": "ir_only", "segmenter": {"weights": "x"}}}},
         ConfigError, r"arms\.a\.segmenter: all arms begin with the same; remove it"),
    ],
)  # fmt: skip
def test_what_is_refused(here, changes, error, text):
    with pytest.raises(error, match=text):
        train_segmenters(make(**changes), silent)
    assert not (here / "runs").exists()


def test_a_mask_must_fit_its_image(here):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(here / "masks" / "2.png")
    with pytest.raises(DataError, match="pair 2: its mask has 8x8 pixels, its image 32x24"):
        read_pairs(make())
    (here / "masks" / "1.png").unlink()
    with pytest.raises(DataError, match="masks: has no mask '1'"):
        read_pairs(make())


def test_what_a_resumed_training_must_keep(here):
    with pytest.raises(KeyboardInterrupt):
        train_segmenters(make(), killed_at(2))
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(here / "masks" / "1.png")
    with pytest.raises(ConfigError, match="the arm's images or the masks have changed"):
        train_segmenters(make(run__resume=True), silent)
    (here / "runs" / "s.partial" / "ir" / "checkpoint.pt").write_bytes(b"no")
    with pytest.raises(WeightsError, match="is no checkpoint of this training"):
        train_segmenters(make(run__resume=True), silent)

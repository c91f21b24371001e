"""The configurations of medical pairs: colours, the order of the modalities, what is measured."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fusion.color import rgb_to_ycbcr
from pipeline.config import config
from tests.helpers.runs import execute, silent
from training import config as training_config
from training.loop import train

CONFIGS = Path(__file__).parents[2] / "configs"


def write_pairs(folder, colour):
    """Two pairs of a grey image, and one in colours so pale that no fusion clips them."""
    rng = np.random.default_rng(0)
    for name, channels in (("mri", 1), ("other", 3 if colour else 1)):
        (folder / name).mkdir()
        for number in range(2):
            coarse = rng.integers(90, 150, (6, 8, channels))
            image = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8).squeeze()
            Image.fromarray(image).save(folder / name / f"{number}.png")


def run(folder):
    settings = config.read_settings(
        CONFIGS / "medical.yaml", [f"source.ir={folder}/mri", f"source.vis={folder}/other"]
    )
    settings["arms"]["fused"] = {"kind": "gate_unet", "weights": "gate_unet"}  # the faster one
    settings["run"]["dir"] = str(folder / "run")
    return execute(settings)


def test_colour_is_that_of_the_second_modality(tmp_path):
    write_pairs(tmp_path, colour=True)
    outcome = run(tmp_path)
    quality = {arm: part["quality"] for arm, part in outcome.results["arms"].items()}
    assert set(quality) == {"fused", "average", "maximum", "laplacian"}
    assert all(part["detection"] is None for part in outcome.results["arms"].values())
    assert all(values["qabf"] > 0 for values in quality.values())

    def chroma(path):
        image = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy())
        return rgb_to_ycbcr(image.permute(2, 0, 1)[None].float() / 255)[1]

    for arm in quality:
        difference = chroma(tmp_path / "run" / "images" / arm / "0.png") - chroma(
            tmp_path / "other" / "0.png"
        )
        assert difference.abs().max() <= 1.5 / 255, arm  # of rounding to 8 bits


def test_grey_stays_grey(tmp_path):
    write_pairs(tmp_path, colour=False)
    run(tmp_path)
    fused = np.asarray(Image.open(tmp_path / "run" / "images" / "fused" / "1.png").convert("RGB"))
    assert np.ptp(fused.astype(int), axis=2).max() == 0


def test_training_on_own_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path, colour=False)
    overrides = [
        "data.sources.pairs.ir=mri", "data.sources.pairs.vis=other", "data.crop=32",
        "schedule.steps=2", "schedule.warmup=0", "compute={batch: 2, device: cpu, dtype: float32}",
        "network={kind: fusionmamba, width: 8, depths: [1, 1, 1, 1]}",
    ]  # fmt: skip
    checked = training_config.load(CONFIGS / "train_medical.yaml", overrides)
    assert checked.loss.paper == "journal-ct-mri"
    assert train(checked, silent).weights.is_file()

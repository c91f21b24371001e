"""Short trainings on a few small pairs."""

import csv

import numpy as np
import torch
from PIL import Image

from training import config
from training.loop import Trainer
from training.pairs import open_sources

NETWORK = {"kind": "gate_unet"}  # where any will do: MAMBA takes three times as long
MAMBA = {"width": 8, "depths": [1, 1, 1, 1]}


def write_pairs(folder):
    """Six pairs of blocks and noise."""
    rng = np.random.default_rng(0)
    for kind, channels in (("ir", 1), ("vis", 3)):
        (folder / "pairs" / kind).mkdir(parents=True)
        for number in range(6):
            coarse = rng.integers(20, 236, size=(7, 10, channels))
            image = np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 5, (56, 80, channels))
            picture = np.clip(image, 0, 255).astype(np.uint8).squeeze()
            Image.fromarray(picture).save(folder / "pairs" / kind / f"{number}.png")
    return folder


def make(**changes):
    """A short recipe; ``schedule__steps=3`` changes one of its keys."""
    settings = {
        "run": {"name": "t", "save_every": 2},
        "network": dict(NETWORK),
        "data": {
            "cache": "cache",
            "crop": 32,
            "sources": {"pairs": {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vis"}},
        },
        "schedule": {"steps": 5, "warmup": 2, "learning_rate": 2e-3},
        "compute": {"device": "cpu", "batch": 2, "dtype": "float32"},
    }
    return config.check(changed(settings, changes))


def changed(settings, changes):
    """Settings with changes, of which ``schedule__steps`` is one of a key in a section."""
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            settings[section][name] = value
        else:
            settings[section] = value
    return settings


def files(root, **more):
    """A source of the images in a folder's ``ir`` and ``vis``."""
    return {"kind": "files", "ir": str(root / "ir"), "vis": str(root / "vis"), **more}


def killed_at(step):
    def on_progress(done, total):
        if done == step:
            raise KeyboardInterrupt

    return on_progress


def rows(folder):
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def judged(**more):
    """A recipe whose pairs the demo's detector judges."""
    source = {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vis", "detector": "demo"}
    return make(
        loss={"paper": "journal-ir-vis", "detector": 7.0, "outside": 3.0},
        detectors={"demo": {"weights": "demo"}},
        data__sources={"pairs": source},
        **more,
    )


def trainer(checked, **more):
    return Trainer(checked, open_sources(checked), torch.device("cpu"), **more)

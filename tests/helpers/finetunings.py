"""Fine-tunings of a few steps."""

from contextlib import nullcontext

from tests.helpers.recipes import killed_at
from tests.helpers.runs import silent
from training.finetune import config


def make(**changes):
    settings = {
        "run": {"name": "f"},
        "source": {"kind": "msrs", "root": "test"},
        "arms": {"ir": {"kind": "ir_only"}, "stacked": {"kind": "stacked"}},
        "detector": {"kind": "yolov5", "weights": "demo", "image_size": 64},
        "data": {
            "cache": "cache",
            "crop": 64,
            "sources": {
                "pairs": {
                    "kind": "files", "ir": "train/ir", "vis": "train/vi", "labels": "train/labels"
                }
            },
        },
        "schedule": {"epochs": 2, "batch": 2, "warmup": 1, "save_every": 1},
        "compute": {"device": "cpu", "dtype": "float32", "batch": 2},
    }  # fmt: skip
    return config.check({**settings, **changes})


def quiet(title):
    return nullcontext(silent)


def killed(step):
    """Progress under which a training is interrupted after a step."""
    return lambda title: nullcontext(killed_at(step) if "steps" in title else silent)

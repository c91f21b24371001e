"""Scores fusers on the labelled pairs that they were trained on.

    python tools/fit.py WEIGHTS [WEIGHTS...] [--detector yolov5s.pt]

Scores the mean of the pair, late fusion and the fuser of each weights file or name by `paper-msrs`
on the labelled pairs of configs/train_irvis.yaml, and prints how much of the gap in mAP@.5 between
mean and late each closes. The labels omit some small objects, so only differences are meaningful,
and scores on training pairs do not predict those on new pairs.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detection.detectors import yolov5
from eval.average_precision import evaluate_yolo
from eval.presets import preset
from fusion.fusers import average, ir_only, vis_only
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms import late
from pipeline.arms._fuser import FuserArm
from pipeline.config.detectors import DETECTOR_SETTINGS
from pipeline.engine.compute import Compute
from pipeline.frames import Frame, FramePair, Item
from training import config
from training.networks import load_network
from training.pairs import open_sources

RECIPE = Path(__file__).parents[1] / "configs" / "train_irvis.yaml"
PROTOCOL, CLASSES = "paper-msrs", (0, 2)


def labelled(overrides):
    """The labelled pairs of the recipe, scaled as in training."""
    for pairs in open_sources(config.load(RECIPE, overrides)).values():
        for index, truth in enumerate(pairs.truth):
            if truth is not None and not pairs.complete:
                planes = np.array(pairs[index])
                ir, vis = Frame(planes[..., 3], None, index), Frame(planes[..., :3], None, index)
                pair = FramePair(f"{pairs.name}-{index}", ir, vis)
                yield Item(pair, truth.of_classes(CLASSES), {})


def main():
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--detector", default="yolov5s.pt")
    arguments = parser.parse_args()
    device = torch.device("cpu")
    settings = {name: getattr(preset(PROTOCOL), name) for name in DETECTOR_SETTINGS}
    settings |= {"weights": arguments.detector, "classes": CLASSES}
    detector = yolov5.build(yolov5.Config(**settings), device=device)
    plain = {"ir": ir_only, "vis": vis_only, "average": average}
    fusers = {name: module.build(module.Config()) for name, module in plain.items()}
    fusers |= {weights: NetworkFuser(load_network(weights)) for weights in arguments.weights}
    arms: dict[str, Any] = {
        n: FuserArm(f, device=device, dtype=torch.float32) for n, f in fusers.items()
    }
    arms["late"] = late.LateArm(late.Config())
    compute = Compute(arms, dict.fromkeys(arms, detector), device=device, batch=1)
    detections, truth = {name: [] for name in arms}, []
    overrides = [f"detectors.yolov5s.weights={arguments.detector}"]
    for item in labelled(overrides):
        result = compute([item], 0)[0]
        truth.append(item.labels)
        for name in arms:
            detections[name].append(result.detections[name])
    objects = sum(len(labels) for labels in truth)
    print(f"{len(truth)} pairs, {objects} labelled objects, {arguments.detector}")
    scores = {name: evaluate_yolo(of_arm, truth) for name, of_arm in detections.items()}
    low, high = scores["average"].map50, scores["late"].map50
    for name, score in scores.items():
        closed = (score.map50 - low) / (high - low)
        print(f"{name:40} {score.map50:.3f} / {score.map50_95:.3f}   {closed:+.0%} of the gap")


if __name__ == "__main__":
    main()

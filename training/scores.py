"""Scoring of a fuser on labelled pairs during training, by the protocol ``paper-msrs``."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from common.errors import DataError
from detection.boxes import Detections
from detection.detectors import yolov5
from eval.average_precision import evaluate_yolo
from eval.labels import Labels
from eval.presets import preset
from fusion.fuser import Fuser
from fusion.fusers import average, ir_only, vis_only
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.arms.late import Config as LateConfig
from pipeline.arms.late import LateArm
from pipeline.config.detectors import DETECTOR_SETTINGS
from pipeline.engine.compute import Arms, Compute
from pipeline.frames import Item
from training.config import Config
from training.decoding import checked

PROTOCOL = "paper-msrs"


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one arm on one set.

    Attributes:
        name: Name of the set, or ``crops`` for the fixed training crops.
        arm: Name of the arm.
        value: mAP@.5 in the YOLO convention, in [0, 1]; for ``crops`` the ratio of the detectors'
            loss to that of the mean of the pair; None if the set has no objects.
        strict: mAP@.5:.95 in [0, 1]; None for ``crops`` or without objects.
    """

    name: str
    arm: str
    value: float | None
    strict: float | None


class Scores:
    """Labelled sets and the detector that scores them."""

    def __init__(self, config: Config, device: torch.device, dtype: torch.dtype) -> None:
        """Read the sets and load the detector.

        Raises:
            errors.IrvisError: A pair, a label or the detector's weights are missing or invalid, or
                a set has no labels.
        """
        assert config.scores is not None
        self.every = config.scores.every
        self._device, self._dtype = device, dtype
        detector = config.detectors[config.scores.detector]
        settings: dict[str, Any] = {n: getattr(preset(PROTOCOL), n) for n in DETECTOR_SETTINGS}
        settings |= {"weights": detector.weights, "classes": detector.classes}
        self._detector = yolov5.build(yolov5.Config(**settings), device=device)
        self._sets: dict[str, list[tuple[Item, Labels]]] = {}
        for name, component in config.scored.items():
            with component.module.build(component.config, self._detector.names) as source:
                if not source.has_labels:
                    raise DataError(f"scores.sets.{name}: has no labels; add labels or remove it")
                self._sets[name] = [
                    (Item(pair, None, {}), labels.of_classes(detector.classes))
                    for pair in map(checked, source)
                    for labels in [source.labels(source.label_key(pair), pair.whole()[2].size)]
                ]

    def plain(self) -> list[Score]:
        """Score the mean of the pair and late fusion on each set, as baselines."""
        modules = {"ir": ir_only, "vis": vis_only, "average": average}
        arms: dict[str, Any] = {
            name: self._arm(module.build(module.Config())) for name, module in modules.items()
        }
        return self._score({**arms, "late": LateArm(LateConfig())}, ("average", "late"))

    def fused(self, network: nn.Module) -> list[Score]:
        """Score a network on each set."""
        # a copy, because the arm converts the layers' dtype
        return self._score({"fused": self._arm(NetworkFuser(copy.deepcopy(network)))}, ("fused",))

    def _arm(self, fuser: Fuser) -> FuserArm:
        return FuserArm(fuser, device=self._device, dtype=self._dtype)

    def _score(self, arms: Arms, scored_arms: tuple[str, ...]) -> list[Score]:
        compute = Compute(arms, dict.fromkeys(arms, self._detector), device=self._device, batch=1)
        scores = []
        for name, items in self._sets.items():
            detections: Mapping[str, list[Detections]] = {arm: [] for arm in scored_arms}
            for item, _ in items:
                result = compute([item], 0)[0]
                for arm in scored_arms:
                    detections[arm].append(result.detections[arm])
            truth = [labels for _, labels in items]
            for arm in scored_arms:
                metrics = evaluate_yolo(detections[arm], truth)
                scores.append(Score(name, arm, metrics.map50, metrics.map50_95))
        return scores

"""Scoring of a fuser on labelled pairs while it is trained, by the protocol ``paper-msrs``."""

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
from pipeline.config.config import DETECTOR_SETTINGS
from pipeline.engine.compute import Arms, Compute
from pipeline.frames import Item
from training.config import Config
from training.pairs import checked

PROTOCOL = "paper-msrs"


@dataclass(frozen=True, slots=True)
class Score:
    """What one arm is worth on one set.

    Attributes:
        name: The set, or ``crops`` for the fixed training crops.
        arm: What was scored.
        value: mAP@.5 in the YOLO convention, in [0, 1]; for ``crops`` the loss over the mean's.
        strict: mAP@.5:.95 in [0, 1]; None for ``crops``.

    Both are None where nothing is labelled.
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
            errors.IrvisError: A pair, a label or the detector's weights are missing or wrong, or a
                set has no labels.
        """
        assert config.scores is not None
        self.every = config.scores.every
        self._device, self._dtype = device, dtype
        judge = config.detectors[config.scores.detector]
        settings: dict[str, Any] = {n: getattr(preset(PROTOCOL), n) for n in DETECTOR_SETTINGS}
        settings |= {"weights": judge.weights, "classes": judge.classes}
        self._detector = yolov5.build(yolov5.Config(**settings), device=device)
        self._sets: dict[str, list[tuple[Item, Labels]]] = {}
        for name, component in config.scored.items():
            with component.module.build(component.config, self._detector.names) as source:
                if not source.has_labels:
                    raise DataError(f"scores.sets.{name}: has no labels; give it some or remove it")
                self._sets[name] = [
                    (Item(pair, None, {}), labels.of_classes(judge.classes))
                    for pair in map(checked, source)
                    for labels in [source.labels(pair.key, pair.whole()[2].size)]
                ]

    def plain(self) -> list[Score]:
        """What the mean of the pair and late fusion score on each set: what there is to gain."""
        modules = {"ir": ir_only, "vis": vis_only, "average": average}
        arms: dict[str, Any] = {
            name: self._arm(module.build(module.Config())) for name, module in modules.items()
        }
        return self._score({**arms, "late": LateArm(LateConfig())}, ("average", "late"))

    def fused(self, network: nn.Module) -> list[Score]:
        """What a network's images score on each set."""
        # a copy: an arm converts its layers for good
        return self._score({"fused": self._arm(NetworkFuser(copy.deepcopy(network)))}, ("fused",))

    def _arm(self, fuser: Fuser) -> FuserArm:
        return FuserArm(fuser, device=self._device, dtype=self._dtype)

    def _score(self, arms: Arms, wanted: tuple[str, ...]) -> list[Score]:
        compute = Compute(arms, self._detector, device=self._device, batch=1)
        scores = []
        for name, items in self._sets.items():
            found: Mapping[str, list[Detections]] = {arm: [] for arm in wanted}
            for item, _ in items:
                result = compute([item], 0)[0]
                for arm in wanted:
                    found[arm].append(result.detections[arm])
            truth = [labels for _, labels in items]
            for arm in wanted:
                scored = evaluate_yolo(found[arm], truth)
                scores.append(Score(name, arm, scored.map50, scored.map50_95))
        return scores

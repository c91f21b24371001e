"""What is trained: a detector, alone or together with the fuser whose images it sees."""

from pathlib import Path

import torch
from torch import Tensor, nn

from common.errors import ConfigError
from detection.anchor_head import AnchorHead
from detection.detectors import yolov5
from fusion.color import rgb_to_ycbcr
from fusion.network import checkpoint
from fusion.network.network_fuser import NetworkFuser
from training.finetune.anchor_loss import anchor_loss
from training.finetune.batches import Batch
from training.losses import PRESETS, fusion_terms

PAPER = PRESETS["journal-ir-vis"]
# the terms of the losses of detectors with anchors and without
WITH_ANCHORS = ("box", "objectness", "class")
WITHOUT = ("box", "class", "distribution")


class Learner(nn.Module):
    """A detector and its loss.

    Attributes:
        detector: The network.
        fuser: Learned too; None for a detector alone.
    """

    def __init__(
        self, detector: nn.Module, fuser: NetworkFuser | None = None, fidelity: float = 0.0
    ) -> None:
        """Begin.

        Args:
            detector: A network from ``yolov5.network_to_train``.
            fuser: Makes the detector's images of pairs, float in [0, 1].
            fidelity: Weight of the fusion paper's loss on these images.
        """
        super().__init__()
        self.detector, self.fuser, self._fidelity = detector, fuser, fidelity

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms of the loss."""
        return (*(WITH_ANCHORS if isinstance(self._head, AnchorHead) else WITHOUT), "fidelity")

    @property
    def _head(self) -> object:
        return self.detector.model[-1]  # type: ignore[index]

    def forward(self, batch: Batch) -> Tensor:
        """The weighted ``terms`` of the loss, float [4].

        Args:
            batch: Images [B, 3, S, S] or, stacked, [B, 6, S, S]; a fuser makes one of the latter.
        """
        images = batch.images.float() / 255  # [B, C, S, S]
        fidelity = images.new_zeros(())
        if self.fuser is not None and images.shape[1] == 6:
            ir, vis = images[:, :1], images[:, 3:]  # [B, 1, S, S], [B, 3, S, S]
            images = self.fuser(ir=ir, vis=vis)  # [B, 3, S, S]
            y, _ = rgb_to_ycbcr(vis)  # [B, 1, S, S]
            terms = fusion_terms(rgb_to_ycbcr(images)[0], ir=ir, vis=y)
            fidelity = self._fidelity * PAPER.total(terms)
        images = images.contiguous(memory_format=torch.channels_last)
        return torch.cat((self._detection(images, batch), fidelity[None]))

    def _detection(self, images: Tensor, batch: Batch) -> Tensor:
        """The detector's terms, float [3]."""
        head = self._head
        if isinstance(head, AnchorHead):
            return anchor_loss(head, self.detector(images), batch)
        count, _, height, width = images.shape
        image, kind, *corners = batch.objects.unbind(1)  # [n] each
        left, top, right, bottom = corners
        centres = torch.stack(
            ((left + right) / 2 / width, (top + bottom) / 2 / height,
             (right - left) / width, (bottom - top) / height), dim=1,
        )  # fmt: skip
        labels = {"img": images, "cls": kind[:, None], "bboxes": centres, "batch_idx": image}
        terms: Tensor = self.detector.loss(labels)[0]  # type: ignore[operator]
        # the package gives them for a whole batch
        return terms / count

    def groups(self, fuser_rate: float, decay: float) -> list[dict[str, object]]:
        """The optimizer's groups: decayed and other weights of the detector, and the fuser's.

        Args:
            fuser_rate: The fuser's learning rate as a share of the detector's.
            decay: Weight decay of the detector's weights that are no biases or norms.
        """
        mine = list(self.detector.parameters())
        groups: list[dict[str, object]] = [
            {"params": [p for p in mine if p.ndim > 1], "weight_decay": decay, "share": 1.0},
            {"params": [p for p in mine if p.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
        ]
        if self.fuser is not None:
            learned = list(self.fuser.parameters())
            groups.append({"params": learned, "weight_decay": 0.0, "share": fuser_rate})
        return groups


def build_detector(path: Path, *, stacked: bool) -> nn.Module:
    """The network that is trained, in channels-last layout.

    Raises:
        errors.WeightsError: The file is damaged or of no YOLO.
    """
    network = yolov5.network_to_train(path, stacked=stacked)
    return network.to(memory_format=torch.channels_last)


def trainable(fuser: object, arm: str) -> NetworkFuser:
    """The fuser, if it has a network that can be trained and written.

    Raises:
        ConfigError: It has none.
    """
    if not (isinstance(fuser, NetworkFuser) and isinstance(fuser.network, checkpoint.Network)):
        raise ConfigError(f"joint.arm: {arm} has no network that learns; name a fusionmamba arm")
    return fuser

"""Fusers and detectors on numpy arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.device import Dtype, choose_device
from common.errors import ConfigError, DataError, shown
from detection.detector import Detector as BatchDetector
from fusion.network import checkpoint
from pipeline.arms._fuser import build_fuser
from pipeline.config.components import Component, is_own, kinds, load
from pipeline.frames import PairBatch
from pipeline.images import to_grey, to_rgb

Array = NDArray[np.uint8]


class Fuser:
    """Fuses pairs of images as a run does; made by ``fuser``."""

    def __init__(self, component: Component, device: str, dtype: Dtype) -> None:
        self._device = choose_device(device)
        self._arm = build_fuser(component, device=self._device, dtype=dtype)

    def __call__(self, ir: Array, vis: Array) -> Array:
        """Fuse one pair, or a batch of pairs of one size.

        Args:
            ir: uint8 (H, W), or (H, W, 3) whose luminance is taken; of a batch (B, H, W).
            vis: uint8 (H, W, 3) in the order red, green, blue, or grey (H, W); of a batch
                (B, H, W, 3).

        Returns:
            uint8 (H, W, 3), of a batch (B, H, W, 3): what a run of these pairs writes as PNG.

        Raises:
            DataError: The dtypes or shapes are others.
        """
        ir, vis = np.asarray(ir), np.asarray(vis)
        single = vis.ndim < 4
        if ir.dtype == np.uint8 and vis.dtype == np.uint8 and single:
            ir = to_grey(ir)[None] if _is_image(ir) else ir
            vis = to_rgb(vis)[None] if _is_image(vis) else vis
        typed = ir.dtype == vis.dtype == np.uint8
        if not typed or ir.ndim != 3 or ir.size == 0 or vis.shape != (*ir.shape, 3):
            raise DataError(
                f"infrared is {ir.dtype} {ir.shape} and visible {vis.dtype} {vis.shape}; give "
                "uint8 of one size, (H, W) and (H, W, 3), or (B, H, W) and (B, H, W, 3)"
            )
        batch = PairBatch(
            keys=tuple(map(str, range(len(ir)))),
            ir=tensor(ir)[:, None].to(self._device),  # [B, 1, H, W]
            vis=_upload(vis, self._device),  # [B, 3, H, W]
        )
        fused = self._arm(batch).permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (B, H, W, 3)
        return fused[0] if single else fused


class Detector:
    """Finds objects in images as a run does; made by ``detector``."""

    def __init__(self, network: BatchDetector, device: torch.device) -> None:
        self._network, self._device = network, device

    @property
    def names(self) -> Mapping[int, str]:
        """Class names by class id."""
        return self._network.names

    def __call__(self, image: Array | Sequence[Array]) -> Any:  # noqa: ANN401  (see Returns)
        """Detect in one image, or in several of one size.

        Args:
            image: uint8 (H, W, 3) in the order red, green, blue, or grey (H, W); or a list of such,
                or (B, H, W, 3).

        Returns:
            ``Detections``, or a list of them for several images: ``xyxy`` in pixels of the image,
            ``score``, ``class_id``, best score first.

        Raises:
            DataError: An image has another dtype or shape.
        """
        single = isinstance(image, np.ndarray) and image.ndim < 4
        images: list[Any] = [image] if single else list(image)
        for each in images:
            if not isinstance(each, np.ndarray):
                raise DataError(f"an image is a {type(each).__name__}; give uint8 (H, W, 3)")
            if each.dtype != np.uint8 or not _is_image(each):
                raise DataError(f"an image is {each.dtype} {each.shape}; give uint8 (H, W, 3)")
        if len({each.shape[:2] for each in images}) > 1:
            raise DataError("the images have several sizes; give those of one size at a time")
        if not images:
            return []
        stacked = np.stack([to_rgb(each) for each in images])  # (B, H, W, 3)
        found = self._network(_upload(stacked, self._device))
        return found[0] if single else found


def fuser(
    name: str | Path, *, device: str = "auto", dtype: Dtype = "auto", **settings: object
) -> Fuser:
    """Load a fuser.

        >>> import numpy as np, irvis
        >>> ir, vis = np.full((2, 4), 50, np.uint8), np.full((2, 4, 3), 100, np.uint8)
        >>> fused = irvis.fuser("average")(ir, vis)
        >>> fused.shape, int(fused[0, 0, 0])
        ((2, 4, 3), 75)

    Args:
        name: Shipped weights ("tiny", "gate_unet"), a weights file, a kind ("average",
            "laplacian"), or the dotted path of your own module.
        device: "auto", "cpu", "cuda" or "cuda:1"; auto is a GPU if there is one.
        dtype: Of a network: "float32", "bfloat16", or "auto": bfloat16 where the hardware has it.
        settings: Those of the kind, as in a configuration.

    Raises:
        IrvisError: There is no such fuser, or its weights are damaged.
    """
    return Fuser(load("arms", {**_identify(str(name)), **settings}, "fuser"), device, dtype)


def detector(
    weights: str | Path | None = None,
    *,
    device: str = "auto",
    kind: str = "yolov5",
    **settings: object,
) -> Detector:
    """Load a detector.

    Args:
        weights: A file, the name of one in a weights folder, or a known release ("yolov5s.pt");
            None for a kind without weights.
        device: As for ``fuser``.
        kind: The kind of detector, or the dotted path of your own module.
        settings: Those of the kind, such as ``conf``, ``iou`` and ``image_size``.

    Raises:
        IrvisError: The weights are missing or damaged, or a setting is wrong.
    """
    given = settings if weights is None else {"weights": str(weights), **settings}
    component = load("detector", {"kind": kind, **given}, "detector")
    where = choose_device(device)
    return Detector(component.module.build(component.config, device=where), where)


def _identify(name: str) -> dict[str, object]:
    """The kind and, of a network, the weights."""
    shipped = {path.stem for path in checkpoint.SHIPPED.glob("*.safetensors")}
    is_file = Path(name).suffix in (".safetensors", ".pt", ".pth")
    is_kind = name in kinds("arms") or is_own(name)
    if is_kind and not is_file and name not in shipped:
        return {"kind": name}
    if not is_file and name not in shipped:
        known = ", ".join(sorted(shipped | set(kinds("arms"))))
        raise ConfigError(f"no fuser {shown(name)}: give a file, or one of {known}")
    stored = checkpoint.read(checkpoint.find(name))
    released = "fusionmamba_released"  # the authors' files do not name their network
    if "M3_block1.dwconv.weight" in stored.tensors:
        released = "mambadfuse"
    return {"kind": stored.metadata.get("network", released), "weights": name}


def _is_image(array: NDArray[Any]) -> bool:
    """Whether it is (H, W) or (H, W, 3), with pixels."""
    return array.size > 0 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3))


def tensor(array: Array) -> Tensor:
    """The array as a tensor; copied if it can't be written, as Pillow's, of which torch warns."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _upload(images: Array, device: torch.device) -> Tensor:
    """uint8 (B, H, W, 3) as [B, 3, H, W] on the device."""
    planes = tensor(images).to(device)  # [B, H, W, 3]
    return planes.permute(0, 3, 1, 2).contiguous()

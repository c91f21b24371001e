"""What a training leaves to look at: a log of every step, and sheets of fused pairs."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import DataError
from fusion.fuser import Fuser
from fusion.fusers import ir_only, vis_only
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.engine.compute import Compute
from pipeline.frames import Item
from pipeline.images import list_images, write_png
from pipeline.sources.image_folder import ImagePairs
from training.config import SheetConfig
from training.pairs import checked
from training.scores import Score

LOG = "log.csv"
SCORES = "scores.csv"
COLUMNS = (
    "total", "intensity", "texture", "structure", "detector", "outside", "teacher", "gradient",
)  # fmt: skip
FLUSH_EVERY = 20  # steps between lines reaching the log: reading a loss waits for the device
SHEET_WIDTH = 320  # pixels of each picture


class Log:
    """A line a step in ``log.csv``, and TensorBoard's events where that package is installed."""

    def __init__(self, folder: Path, step: int) -> None:
        """Keep the lines of ``step`` steps; later ones were of a run that was killed."""
        path, header = folder / LOG, ",".join(("step", *COLUMNS, "rate", "seconds"))
        old = path.read_text(encoding="utf-8").splitlines()[1 : step + 1] if step else []
        path.write_text("\n".join((header, *old)) + "\n", encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._events = _events(folder, step)
        self._step, self._held = step, list[tuple[Tensor, float, float]]()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def add(self, values: Tensor, rate: float, seconds: float) -> None:
        """Take the values of one more step."""
        self._held.append((values, rate, seconds))
        if len(self._held) == FLUSH_EVERY:
            self.flush()

    def score(self, step: int, tag: str, value: float) -> None:
        """Give TensorBoard a score of a step."""
        if self._events is not None:
            self._events.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Bring what is held to the disk.

        Raises:
            DataError: A loss is not finite.
        """
        held, self._held = self._held, []
        for values, rate, seconds in held:
            self._step += 1
            numbers = values.tolist()
            line = (f"{self._step}", *(f"{n:.6g}" for n in (*numbers, rate)), f"{seconds:.1f}")
            self._file.write(",".join(line) + "\n")
            if not np.isfinite(numbers).all():
                raise DataError(
                    f"the loss is {numbers[0]} at step {self._step}; lower schedule.learning_rate "
                    "or schedule.clip, or set compute.dtype=float32"
                )
            if self._events is not None:
                for name, number in zip((*COLUMNS, "rate"), (*numbers, rate), strict=True):
                    self._events.add_scalar(name, number, self._step)
        self._file.flush()


class ScoreLog:
    """A line in ``scores.csv`` for each arm and set that was scored, and TensorBoard's events."""

    def __init__(self, folder: Path, step: int, log: Log) -> None:
        """Keep the lines up to ``step``; later ones were of a run that was killed."""
        self._path, self._log = folder / SCORES, log
        if not self._path.is_file():
            return
        header, *lines = self._path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if int(line.partition(",")[0]) <= step]
        self._path.write_text("\n".join((header, *kept)) + "\n", encoding="utf-8")

    def add(self, step: int, scores: Sequence[Score]) -> None:
        """Write what was scored after a step."""
        if not self._path.is_file():
            self._path.write_text("step,set,arm,map50,map50_95\n", encoding="utf-8")
        with self._path.open("a", encoding="utf-8") as file:
            for score in scores:
                values = (score.value, score.strict)
                cells = ["" if value is None else f"{value:.4f}" for value in values]
                file.write(",".join((f"{step}", score.name, score.arm, *cells)) + "\n")
                for end, value in zip(("", " .5:.95"), values, strict=True):
                    if value is not None:
                        self._log.score(step, f"{score.name}/{score.arm}{end}", value)


def _events(folder: Path, step: int) -> Any:  # noqa: ANN401  (a package that may be missing)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step)


class Sheet:
    """Fixed pairs in a picture: a row each of infrared, visible and fused image."""

    def __init__(self, config: SheetConfig) -> None:
        """Read the pairs.

        Raises:
            DataError: One is not there, or damaged.
        """
        self.every = config.every
        ir, vis = list_images(config.ir), list_images(config.vis)
        for key in config.keys:
            if not (key in ir and key in vis):
                raise DataError(f"sheet.keys: {key!r} is not in {config.ir} and {config.vis}")
        some = ImagePairs(
            {k: ir[k] for k in config.keys}, {k: vis[k] for k in config.keys}, None, None
        )
        self._items = [Item(checked(pair), None, {}) for pair in some]

    def write(
        self, path: Path, network: nn.Module, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Fuse the pairs, as a run would, into a PNG."""
        fusers: dict[str, Fuser] = {
            "ir": ir_only.build(ir_only.Config()),
            "vis": vis_only.build(vis_only.Config()),
            # a copy: an arm converts its layers for good
            "fused": NetworkFuser(copy.deepcopy(network)),
        }
        arms = {k: FuserArm(fuser, device=device, dtype=dtype) for k, fuser in fusers.items()}
        compute = Compute(arms, None, device=device, batch=1)
        results = [compute([item], 0)[0] for item in self._items]
        rows = [np.hstack([_small(result.image(name)) for name in arms]) for result in results]
        path.parent.mkdir(exist_ok=True)
        write_png(path, np.vstack(rows))


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(image.shape[0] * SHEET_WIDTH / image.shape[1])
    small = cv2.resize(image, (SHEET_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)

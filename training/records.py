"""The records of a training: a log of every step, scores, and sheets of fused pairs."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.cells import cell
from common.errors import DataError, shown
from common.files import read_text, write_text
from common.numbers import whole
from fusion.fuser import Fuser
from fusion.fusers import ir_only, vis_only
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.engine.compute import Compute
from pipeline.frames import Item
from pipeline.images import list_images, write_png
from pipeline.sources._image_pairs import ImagePairs
from training.config import SheetConfig
from training.decoding import checked
from training.scores import Score

LOG = "log.csv"
SCORES, HEADER = "scores.csv", "step,set,arm,map50,map50_95"
COLUMNS = (
    "total", "intensity", "texture", "structure", "detector", "outside", "teacher", "gradient",
)  # fmt: skip
FLUSH_EVERY = 20  # steps; reading a loss synchronizes with the device
SHEET_WIDTH = 320  # pixels of each image


class Log:
    """One line per step in ``log.csv``, and TensorBoard events if that package is installed."""

    def __init__(self, folder: Path, step: int) -> None:
        """Keep the lines of the first ``step`` steps, and drop later ones of a killed run."""
        path, header = folder / LOG, ",".join(("step", *COLUMNS, "rate", "seconds"))
        old = read_text(path).splitlines()[1 : step + 1] if step else []
        write_text(path, "\n".join((header, *old)) + "\n")
        self._file = path.open("a", encoding="utf-8")
        self._events = _events(folder, step)
        self._step, self._unwritten = step, list[tuple[Tensor, float, float]]()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def add(self, values: Tensor, rate: float, seconds: float) -> None:
        """Add the values of the next step."""
        self._unwritten.append((values, rate, seconds))
        if len(self._unwritten) == FLUSH_EVERY:
            self.flush()

    def score(self, step: int, tag: str, value: float) -> None:
        """Write a score of a step to TensorBoard."""
        if self._events is not None:
            self._events.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Write all added values.

        Raises:
            DataError: A loss is not finite.
        """
        unwritten, self._unwritten = self._unwritten, []
        for values, rate, seconds in unwritten:
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
    """One line per scored arm and set in ``scores.csv``, and TensorBoard events."""

    def __init__(self, folder: Path, step: int, log: Log) -> None:
        """Keep the lines up to ``step``, and drop later ones of a killed run."""
        self._path, self._log = folder / SCORES, log
        if not self._path.is_file():
            return
        header, *lines = read_text(self._path).splitlines() or [HEADER]
        try:
            kept = [line for line in lines if whole(line.partition(",")[0]) <= step]
        except ValueError as error:
            raise DataError(
                f"{self._path}: a line doesn't begin with a step ({error}); repair or remove it"
            ) from error
        write_text(self._path, "\n".join((header, *kept)) + "\n")

    def add(self, step: int, scores: Sequence[Score]) -> None:
        """Write the scores of a step."""
        if not self._path.is_file():
            write_text(self._path, HEADER + "\n")
        with self._path.open("a", encoding="utf-8") as file:
            for score in scores:
                values = (score.value, score.strict)
                cells = ["" if value is None else f"{value:.4f}" for value in values]
                names = (str(cell(name)) for name in (score.name, score.arm))
                file.write(",".join((f"{step}", *names, *cells)) + "\n")
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
    """A picture of fixed pairs, with the infrared, visible and fused image of a pair in a row."""

    def __init__(self, config: SheetConfig) -> None:
        """Read the pairs.

        Raises:
            DataError: A pair is missing or damaged.
        """
        self.every = config.every
        ir, vis = list_images(config.ir), list_images(config.vis)
        for key in config.keys:
            if not (key in ir and key in vis):
                raise DataError(f"sheet.keys: {shown(key)} is not in {config.ir} and {config.vis}")
        pairs = ImagePairs(
            {k: ir[k] for k in config.keys}, {k: vis[k] for k in config.keys}, None, None
        )
        self._items = [Item(checked(pair), None, {}) for pair in pairs]

    def write(
        self, path: Path, network: nn.Module, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Fuse the pairs as in a run, and write the picture as PNG."""
        fusers: dict[str, Fuser] = {
            "ir": ir_only.build(ir_only.Config()),
            "vis": vis_only.build(vis_only.Config()),
            # a copy, because the arm converts the layers' dtype
            "fused": NetworkFuser(copy.deepcopy(network)),
        }
        arms = {k: FuserArm(fuser, device=device, dtype=dtype) for k, fuser in fusers.items()}
        compute = Compute(arms, {}, device=device, batch=1)
        results = [compute([item], 0)[0] for item in self._items]
        rows = [np.hstack([_small(result.image(name)) for name in arms]) for result in results]
        path.parent.mkdir(exist_ok=True)
        write_png(path, np.vstack(rows))


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(image.shape[0] * SHEET_WIDTH / image.shape[1])
    small = cv2.resize(image, (SHEET_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)

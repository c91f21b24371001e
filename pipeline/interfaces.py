"""The base classes of the pipeline's parts (source, arm, sink), and what a sink is told."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.component import ArmConfig
from detection.boxes import Detections
from detection.detector import Detector
from eval.label_report import Counted, LabelReport
from eval.labels import Labels
from pipeline.frames import BadPair, Dropped, FramePair, Modality, PairBatch, Result


class Thread(Protocol):
    """A thread that makes items ahead of their consumer; see ``pipeline.sources._prefetch``."""

    busy_s: float
    wait_s: float
    consumer_wait_s: float


class Source:
    """Where pairs come from: a context manager that is iterated once; a base class.

    Its module's ``build(config, names)`` is given the detector's classes, name by id.

    The order, the keys and the frames are the same on every pass over the same input. The defaults
    are those of stills without labels; a property may be overridden by a plain class attribute.

    Attributes:
        labels_on: The camera whose images the labels are drawn on.
        register: Puts a pair's infrared image on the visible grid; None where the run has no
            calibration. The run sets it before ``check``, and applies it to what is iterated.
    """

    labels_on: Modality = "vis"
    register: Callable[[FramePair], FramePair] | None = None

    @property
    def count(self) -> int | None:
        """How many items the iteration gives, None where that isn't known before the end."""
        return None

    @property
    def keys(self) -> Sequence[str] | None:
        """The keys of all items in order, None where they aren't known before the end."""
        return None

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second of a recording, None for stills."""
        return None

    @property
    def has_labels(self) -> bool:
        """Whether ``labels`` gives ground truth."""
        return False

    @property
    def label_report(self) -> LabelReport | None:
        """What of the label files counts, None where the labels are no files."""
        return None

    @property
    def label_protocol(self) -> Mapping[str, Any]:
        """What of the label files' reading changes the numbers; a part of the run's protocol."""
        return {}

    @property
    def resumable(self) -> bool:
        """Whether the pairs can be had again; not those of live cameras."""
        return True

    @property
    def threads(self) -> Mapping[str, Thread]:
        """What decodes each modality, by its name; empty where the iteration itself decodes."""
        return {}

    def timing(self) -> Mapping[str, Any] | None:
        """How the pairs were timed, as in ``Summary``; known once the source was iterated."""
        return None

    def check(self) -> None:
        """Look for mistakes that can be found before the run.

        Raises:
            errors.DataError: A file is missing, unreadable or wrong; the first one found.
        """

    def stop(self) -> None:
        """End a wait for frames, so that the iteration ends soon; from any thread."""

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair; empty where nothing is labelled.

        Args:
            key: The pair's.
            size: Height and width of the image that it is drawn on (``labels_on``), as it came.

        Raises:
            errors.DataError: The label file is wrong.
        """
        return Labels.empty()

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,), for counting; needs no image."""
        return np.zeros(0, np.int64)

    def __iter__(self) -> Iterator[FramePair | BadPair | Dropped]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back what is held."""


class Arm:
    """What the detector sees of a pair, or what stands for its detections; a base class.

    A fuser needs no arm of its own: ``pipeline.arms._fuser.FuserArm`` is made of it. An arm that
    reads images has ``check`` and ``read``, one that merges others has ``merge``.

    Attributes:
        config: What it is: the modality that it shows, whether it reads images or merges arms.
    """

    def __init__(self, config: ArmConfig) -> None:
        self.config = config

    def __call__(self, batch: PairBatch) -> Tensor:
        """Fuse: uint8 [B, 3, H, W] RGB on the batch's device, as a saved PNG would be."""
        raise NotImplementedError(f"{type(self).__name__} makes no image from a pair")

    def check(self, keys: Collection[str]) -> None:
        """Look for mistakes that can be found before the run.

        Raises:
            errors.DataError: Something is missing for one of the pairs.
        """

    def read(self, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The image of a pair of this height and width, HWC RGB uint8.

        Raises:
            errors.DataError: It is missing or wrong; the pair is a bad one then.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no images")

    def merge(self, detections: Mapping[str, Detections]) -> Detections:
        """One pair's detections out of those of the other arms, best score first."""
        raise NotImplementedError(f"{type(self).__name__} merges no arms")


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a sink may know when it is built.

    Attributes:
        folder: The run folder, while it is still partial.
        arms: All arms, in the order of the configuration.
        image_arms: Those that have an image.
        detector: None where the run only fuses.
        frame_rate: Pairs per second of a recording, None for stills.
        labelled: Whether the source has ground truth.
        protocol: What the run's numbers depend on besides the detector; see ``results.json``.
        classes: Ids of the classes that are scored, None for all that the detector has.
        done: Pairs that an earlier, broken-off run had finished; 0 for a fresh run.
        baselines: The arm that shows ``ir`` alone and that which shows ``vis`` alone; None where
            there is none.
    """

    folder: Path
    arms: tuple[str, ...]
    image_arms: tuple[str, ...]
    detector: Detector | None
    frame_rate: Fraction | None
    labelled: bool
    protocol: Mapping[str, Any]
    classes: tuple[int, ...] | None
    done: int
    baselines: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the runner counted by the end.

    Attributes:
        frames: The counts of ``pipeline.engine.ledger.Ledger``.
        objects: Labelled objects in the pairs that were processed.
        labelled_objects: Labelled objects in all pairs, those left out too.
        leaked: By arm or ``detector``: keys of processed pairs that its weights were trained on.
        timing: How the pairs were timed: ``offset_ms`` and ``drift_ppm`` of the infrared camera's
            clock, and ``skew``, what remains (``pipeline.sync.pairing.Skew.as_dict``). None where
            the source doesn't pair by time.
        classes: The labelled objects of all pairs by class: those that are scored and the others;
            None where the labels are no files.
        labels: What the label files hold; None where the labels are none.
    """

    frames: Mapping[str, int]
    objects: int
    labelled_objects: int
    leaked: Mapping[str, Sequence[str]]
    timing: Mapping[str, Any] | None = None
    classes: Counted | None = None
    labels: LabelReport | None = None


class Sink:
    """Where results go: a context manager that is written to in order; a base class.

    By default nothing is done: a sink overrides what it needs.
    """

    def write(self, result: Result) -> None:
        """Take what the arms made of one pair."""

    def flush(self) -> None:
        """Bring what was written to disk, so that it outlives the process.

        Called at checkpoints: every ``pipeline.engine.flow.CHECKPOINT`` batches from the start of
        the run, and before ``finish``. A resumed run goes on from the last one, and whatever a sink
        has beyond it (``RunContext.done``) must go when it is built.
        """

    def finish(self, summary: Summary) -> None:
        """Complete the files; called once, after the last pair of a run that ended well."""

    def publish(self, name: str) -> None:
        """Show the whole run to people; called once, when all else is written.

        That is after ``finish`` of all sinks, the evaluation and ``timing.json``.

        Args:
            name: Of the run's folder, once it is whole.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files, also of a run that broke off."""

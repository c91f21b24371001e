"""The base classes of sources, arms and sinks, and what the engine passes to sinks."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.component import ArmConfig
from common.modality import Modality
from detection.boxes import Detections
from detection.detector import Detector
from eval.label_report import Counted, LabelReport
from eval.labels import Labels
from eval.masks import MaskTask
from eval.named_labels import NamedLabels
from pipeline.frames import BadPair, Dropped, FramePair, PairBatch, Result
from pipeline.shard import Shard


class Thread(Protocol):
    """A thread that produces items ahead of their consumer; see ``pipeline.sources._prefetch``."""

    busy_s: float
    wait_s: float
    consumer_wait_s: float


class Source:
    """Base class of sources: a context manager that yields pairs and is iterated once.

    Its module's ``build(config, names)`` receives the detector's classes, name by id.

    Order, keys and frames are the same for the same input. The defaults are those of stills without
    labels; a class attribute may override a property.

    Attributes:
        labels_on: The modality whose images the labels are drawn on.
        own_labels: By camera, labels for the arms that show it alone, in place of ``labels``; only
            beside those. By the pair's key.
        register: Maps a pair's infrared image to the visible grid; None without a calibration. The
            run sets it before ``check`` and applies it to the pairs that are iterated.
        masks: The true label of each pixel (H, W) of the pair of a key; None without masks.
    """

    labels_on: Modality = "vis"
    own_labels: Mapping[Modality, NamedLabels] = {}
    register: Callable[[FramePair], FramePair] | None = None
    masks: Callable[[str], NDArray[np.integer]] | None = None

    @property
    def count(self) -> int | None:
        """The number of items, None if it isn't known before the end."""
        return None

    @property
    def keys(self) -> Sequence[str] | None:
        """The keys of all items in order, None if they aren't known before the end."""
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
        """Which labels of the label files count; None without label files."""
        return None

    @property
    def label_protocol(self) -> Mapping[str, Any]:
        """Settings of the label files that change the numbers; part of the run's protocol."""
        return {}

    @property
    def resumable(self) -> bool:
        """Whether the same pairs can be read again; not so for live cameras."""
        return True

    @property
    def threads(self) -> Mapping[str, Thread]:
        """The decoding thread of each modality; empty if the iteration itself decodes."""
        return {}

    def timing(self) -> Mapping[str, Any] | None:
        """How the pairs were timed, as in ``Summary``; valid after the iteration."""
        return None

    def check(self) -> None:
        """Check the files before the run; a DataError names the first that is missing or wrong."""

    def stop(self) -> None:
        """Stop waiting for frames, so that the iteration ends soon; callable from any thread."""

    def label_key(self, pair: FramePair | BadPair) -> str:
        """The key by which ``labels`` and ``label_classes`` find a pair's; by default its own."""
        return pair.key

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair; empty if nothing is labelled.

        Args:
            key: Of the pair: what ``label_key`` gives.
            size: Height and width of the image that it is drawn on (``labels_on``), as decoded.

        Raises:
            errors.DataError: The label file is wrong.
        """
        return Labels.empty()

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,), for counting; needs no image. Key as ``labels``'."""
        return np.zeros(0, np.int64)

    def shards(self, pairs: int) -> Sequence[Shard]:
        """The parts that can be processed by themselves, in order; ``pairs`` stills in each."""
        return [Shard()]

    def shard(self, shard: Shard) -> "Source":
        """A source of one of ``shards`` alone, with the labels of this one."""
        return self

    def observed(self) -> Any:  # noqa: ANN401  (plain values)
        """What a shard saw, valid after its iteration, of that which needs all images."""

    def conclude(self, observed: Sequence[Any]) -> None:
        """Warn of what all shards ``observed``, in their order."""

    def __iter__(self) -> Iterator[FramePair | BadPair | Dropped]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Release all resources."""


class Arm:
    """Base class of arms, which turn a pair into an image for the detector, or into detections.

    A fuser needs no arm of its own: ``pipeline.arms._fuser.FuserArm`` wraps it. An arm that reads
    images implements ``check`` and ``read``, one that merges other arms implements ``merge``.

    Attributes:
        config: The modality that it shows, whether it reads images, which arms it merges.
    """

    def __init__(self, config: ArmConfig) -> None:
        self.config = config

    def __call__(self, batch: PairBatch) -> Tensor:
        """Fuse: uint8 [B, 3, H, W] RGB on the batch's device, as a saved PNG would be."""
        raise NotImplementedError(f"{type(self).__name__} makes no image from a pair")

    def check(self, keys: Collection[str]) -> None:
        """Check before the run that the arm has an image of every pair.

        Raises:
            errors.DataError: The image of a pair is missing.
        """

    def read(self, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The image of a pair of this height and width, HWC RGB uint8.

        Raises:
            errors.DataError: It is missing or wrong; then the pair counts as bad.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no images")

    def merge(self, detections: Mapping[str, Detections]) -> Detections:
        """Merge the other arms' detections of one pair, best score first."""
        raise NotImplementedError(f"{type(self).__name__} merges no arms")


@dataclass(frozen=True, slots=True)
class RunContext:
    """The data of the run that a sink receives when it is built.

    Attributes:
        folder: The run folder, while it is still partial.
        arms: All arms, in the order of the configuration.
        image_arms: Arms that have an image.
        detector: None if the run only fuses.
        frame_rate: Pairs per second of a recording, None for stills.
        labelled: Whether the source has ground truth.
        protocol: What the run's numbers depend on besides the detector; see ``results.json``.
        classes: Ids of the classes that are scored, None for all classes of the detector.
        done: Pairs that the interrupted run finished; 0 for a new run.
        baselines: By modality, the first arm that shows it alone; None if there is none.
        own_labels: The cameras that have labels of their own.
        truths: By arm, the camera whose own labels it is scored on; the pair's for all others.
        masks: What the arms' masks are scored against; None where boxes are.
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
    own_labels: tuple[Modality, ...] = ()
    truths: Mapping[str, Modality] = field(default_factory=dict)
    masks: MaskTask | None = None


@dataclass(frozen=True, slots=True)
class OwnCounts:
    """What the labels of one camera hold, as in ``Summary``."""

    objects: int
    labelled_objects: int
    classes: Counted
    labels: LabelReport


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of a complete run.

    Attributes:
        frames: The counts of ``pipeline.engine.ledger.Ledger``.
        objects: Labelled objects in the processed pairs.
        labelled_objects: Labelled objects in all pairs.
        leaked: By arm or ``detector``: keys of processed pairs that its weights were trained on.
        timing: What ``pipeline.sync.clock_model.timing_of`` returns: offset and drift of the
            infrared camera's clock, and the remaining skew. None if the source doesn't pair by
            time.
        classes: The labelled objects of all pairs by class, scored and not; None without label
            files.
        labels: The content of the label files; None without them.
        warnings: What the source warned of, one line each.
        own_labels: By camera that has labels of its own, what these hold.
    """

    frames: Mapping[str, int]
    objects: int
    labelled_objects: int
    leaked: Mapping[str, Sequence[str]]
    timing: Mapping[str, Any] | None = None
    classes: Counted | None = None
    labels: LabelReport | None = None
    warnings: Sequence[str] = ()
    own_labels: Mapping[Modality, OwnCounts] = field(default_factory=dict)


class Sink:
    """Base class of sinks: a context manager that receives all results in order.

    All methods do nothing by default; a sink overrides those that it needs.
    """

    def write(self, result: Result) -> None:
        """Take the results of one pair."""

    def flush(self) -> None:
        """Write buffered data to disk, so that it survives the process.

        Called at checkpoints: every ``pipeline.engine.flow.CHECKPOINT`` batches, and before
        ``finish``. A resumed run continues after the last one; a sink that is built for it removes
        what it wrote beyond ``RunContext.done`` pairs.
        """

    def finish(self, summary: Summary) -> None:
        """Complete the files; called once, after the last pair of a successful run."""

    def publish(self, name: str) -> None:
        """Present the complete run; called once, after all other files, ``timing.json`` included.

        Args:
            name: Final name of the run folder.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files, also after an error."""

"""What is known of a source of a collection once it was opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from common.modality import Modality
from eval.label_report import LabelReport
from pipeline.interfaces import Source, Thread


@dataclass(frozen=True, slots=True)
class Facts:
    """What a ``Source`` says of itself; ``labels_on`` is None without labels."""

    count: int | None
    keys: Sequence[str] | None
    frame_rate: Fraction | None
    labels_on: Modality | None
    report: LabelReport | None
    protocol: Mapping[str, Any]

    @classmethod
    def of(cls, source: Source) -> Self:
        """Those of an open source."""
        return cls(
            source.count,
            source.keys,
            source.frame_rate,
            source.labels_on if source.has_labels else None,
            source.label_report,
            source.label_protocol,
        )


@dataclass(slots=True)
class Seconds:
    """Times of threads; see ``pipeline.interfaces.Thread``."""

    busy_s: float = 0.0
    wait_s: float = 0.0
    consumer_wait_s: float = 0.0

    def add(self, thread: Thread) -> None:
        """Add those of another one."""
        self.busy_s += thread.busy_s
        self.wait_s += thread.wait_s
        self.consumer_wait_s += thread.consumer_wait_s

"""The labels of pairs of images, which may go by several names."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.label_report import LabelReport
from eval.labels import Labels, LabelSet


class NamedLabels:
    """Labels by the key of a pair."""

    def __init__(self, labels: LabelSet, names: Mapping[str, Sequence[str]]) -> None:
        """Begin.

        Args:
            labels: The labels, by any of the names.
            names: By key, the names under which the labels may list its image, the preferred one
                first; others have no labels.
        """
        self._labels, self._names = labels, names
        self._listed = frozenset(labels.keys())

    @property
    def report(self) -> LabelReport:
        """Which of the labels count."""
        return self._labels.report

    @property
    def protocol(self) -> Mapping[str, int | str]:
        """What of their reading changes the numbers."""
        return self._labels.protocol

    def digest(self) -> str:
        """As ``LabelSet.digest``."""
        return self._labels.digest()

    def has(self, key: str) -> bool:
        """As ``LabelSet.has``."""
        return self._labels.has(self._name(key))

    def get(self, key: str, size: tuple[int, int]) -> Labels:
        """As ``LabelSet.get``."""
        return self._labels.get(self._name(key), size)

    def class_ids(self, key: str) -> NDArray[np.int64]:
        """As ``LabelSet.class_ids``."""
        return self._labels.class_ids(self._name(key))

    def _name(self, key: str) -> str:
        """The name under which the labels list a pair, whole or behind other folders.

        Where they don't, one of its names: the key, unless that is another image's.
        """
        names = self._names.get(key, ())
        whole = next((name for name in names if name in self._listed), None)
        unlisted = key if key in names else "".join(names[:1])
        return whole or next(filter(self._labels.has, names), unlisted)

"""Finds pairs that the weights of an arm or the detector were trained on."""

from collections.abc import Mapping, Sequence

from fusion.network import checkpoint
from pipeline.config.config import Config
from pipeline.frames import FramePair
from pipeline.images import pair_id, to_grey, to_rgb


class Leakage:
    """Collects the pairs that are in the training data of an arm or of the detector.

    Attributes:
        leaked: By arm or ``detector``: keys of the pairs that its weights were trained on.
    """

    def __init__(self, trained_on: Mapping[str, frozenset[str]]) -> None:
        """Begin.

        Args:
            trained_on: What ``training_ids`` returns.
        """
        self._trained_on = trained_on
        self._leaked: dict[str, list[str]] = {name: [] for name in trained_on}

    @property
    def leaked(self) -> Mapping[str, Sequence[str]]:
        """The keys so far."""
        return self._leaked

    def check(self, pair: FramePair) -> None:
        """Add the pair's key to all whose weights were trained on it."""
        if not self._trained_on:
            return
        key, ir, vis = pair.whole()
        content = pair_id(to_grey(ir.image), to_rgb(vis.image))
        for name, ids in self._trained_on.items():
            if content in ids:
                self._leaked[name].append(key)


def training_ids(config: Config) -> dict[str, frozenset[str]]:
    """Ids of the training pairs of each arm's weights and of the ``detector``'s, if they list them.

    Raises:
        errors.WeightsError: Weights are missing or damaged.
    """
    paths = {name: arm.as_component.weights_file() for name, arm in config.arms.items()}
    if config.detector is not None:
        paths["detector"] = config.detector.as_component.weights_file()
    ids = {name: checkpoint.trained_on(path) for name, path in paths.items() if path is not None}
    for name, detector in config.own_detectors.items():
        if (path := detector.as_component.weights_file()) is not None:
            ids[name] = ids.get(name, frozenset()) | checkpoint.trained_on(path)
    return {name: pairs for name, pairs in ids.items() if pairs}

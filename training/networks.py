"""Networks of a training: the new one, the one it begins from, the one it imitates."""

from dataclasses import replace
from pathlib import Path

from common.errors import WeightsError
from fusion.network import checkpoint
from fusion.network.network_fuser import NetworkFuser
from training.config import NETWORKS, Config


def new_network(config: Config) -> checkpoint.Network:
    """The network that is trained, with new weights or those that it begins with, on the CPU.

    Raises:
        errors.WeightsError: The weights are missing or another network's.
    """
    network = _build(config.kind, config.network)
    if config.features is not None:
        _take_features(network, config.features)
    return network


def load_network(weights: str) -> checkpoint.Network:
    """A trained network of any kind that can be trained, on the CPU, frozen.

    Args:
        weights: Name of shipped weights, or a file that says its network in its metadata.

    Raises:
        errors.WeightsError: They are missing, or their file doesn't name such a network.
    """
    path = checkpoint.find(weights)
    kind = checkpoint.read(path).metadata.get("network", "")
    if kind not in NETWORKS:
        raise WeightsError(
            f"{path}: its metadata names no network that can be trained; there are "
            f"{', '.join(NETWORKS)}"
        )
    network = _build(kind, NETWORKS[kind].Config(weights=weights))
    return network.eval().requires_grad_(False)


def earlier_weights(config: Config) -> dict[str, Path]:
    """Files that a training's result depends on, by role; what they were trained on counts too."""
    roles = {"begun_from": config.network.weights or config.features, "teacher": config.teacher}
    return {role: checkpoint.find(weights) for role, weights in roles.items() if weights}


def _build(kind: str, settings: object) -> checkpoint.Network:
    fuser = NETWORKS[kind].build(settings)
    assert isinstance(fuser, NetworkFuser)
    assert isinstance(fuser.network, checkpoint.Network)
    return fuser.network


def _take_features(network: checkpoint.Network, weights: str) -> None:
    """Take over all of a file's weights but those of its head.

    Raises:
        errors.WeightsError: The rest is not this network's.
    """
    stored = checkpoint.read(checkpoint.find(weights))
    own = {key: value for key, value in network.state_dict().items() if _of_head(key)}
    features = {key: value for key, value in stored.tensors.items() if not _of_head(key)}
    checkpoint.load(network, replace(stored, tensors={**features, **own}))


def _of_head(key: str) -> bool:
    return key.partition(".")[0] in ("head", "norm_last", "expand_last")

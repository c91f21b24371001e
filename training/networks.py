"""The networks of a training: the trained one, and the teacher."""

from dataclasses import replace
from pathlib import Path

from common.errors import WeightsError
from fusion.network import checkpoint
from fusion.network.network_fuser import NetworkFuser
from training.config import NETWORKS, Config


def new_network(config: Config) -> checkpoint.Network:
    """Make the network to train, with random or initial weights, on the CPU.

    Raises:
        errors.WeightsError: The initial weights are missing or of another network.
    """
    network = _build(config.kind, config.network)
    if config.features is not None:
        _load_features(network, config.features)
    return network


def load_network(weights: str) -> checkpoint.Network:
    """Load a trained network of any kind that can be trained, on the CPU, frozen.

    Args:
        weights: Name of shipped weights, or a file whose metadata names its network.

    Raises:
        errors.WeightsError: They are missing, or their metadata names no such network.
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
    """Weights files on which the result of a training depends, by role."""
    roles = {"begun_from": config.network.weights or config.features, "teacher": config.teacher}
    return {role: checkpoint.find(weights) for role, weights in roles.items() if weights}


def _build(kind: str, settings: object) -> checkpoint.Network:
    fuser = NETWORKS[kind].build(settings)
    assert isinstance(fuser, NetworkFuser)
    assert isinstance(fuser.network, checkpoint.Network)
    return fuser.network


def _load_features(network: checkpoint.Network, weights: str) -> None:
    """Load all weights of a file except those of the head.

    Raises:
        errors.WeightsError: They do not match the network.
    """
    stored = checkpoint.read(checkpoint.find(weights))
    head = {key: value for key, value in network.state_dict().items() if _is_of_head(key)}
    features = {key: value for key, value in stored.tensors.items() if not _is_of_head(key)}
    checkpoint.load(network, replace(stored, tensors={**features, **head}))


def _is_of_head(key: str) -> bool:
    return key.partition(".")[0] in ("head", "fine", "norm_last", "expand_last")

"""Reading and writing weights: safetensors with the architecture in its metadata, or ``.pth``.

A safetensors file written here says in its metadata ``network`` (its kind, as "fusionmamba") and
``architecture`` (all that decides which weights it has, as JSON). ``.pth`` and ``.pt`` hold a state
dict, plain or as training scripts wrap it, and are read without running any code in them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from common.checksums import check_card
from common.errors import WeightsError
from common.tensors import check_header, check_sizes

Architecture = TypeVar("Architecture", bound=BaseModel)

SHIPPED = Path(__file__).resolve().parents[1] / "weights"
SCAN = ("A_log", "D", "dt_bias")  # what the recurrence takes as it is: steps and decays add up
WRAPPERS = ("model", "state_dict", "net")  # under which training scripts put the state dict
PARALLEL = "module."  # what torch's data-parallel wrappers put before every key


class Network(nn.Module):
    """A network whose weights can be written: it says what it is.

    Attributes:
        NAME: The kind of network.
        architecture: All that decides which weights it has.
    """

    NAME: ClassVar[str]
    architecture: BaseModel


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a weights file holds."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def architecture(self, network: str, model: type[Architecture]) -> Architecture | None:
        """What the weights are of, None where the file doesn't say.

        Args:
            network: The kind of network that is wanted, its ``NAME``.
            model: The kind's ``Architecture``.

        Raises:
            errors.WeightsError: They are of another kind of network, or the metadata is damaged.
        """
        stored = self.metadata.get("network", network)
        if stored != network:
            raise WeightsError(f"{self.path}: weights of {stored}, not of {network}")
        text = self.metadata.get("architecture")
        if text is None:
            return None
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise WeightsError(
                f"{self.path}: its metadata 'architecture' is wrong at {where!r}: {first['msg']}"
            ) from error


def find(weights: str, folder: Path = SHIPPED) -> Path:
    """The file of a name or path.

    Args:
        weights: A name, for ``folder/<name>.safetensors``, or the path of a file; what has a
            folder or a suffix in it is a path.
        folder: Where names are looked up.

    Raises:
        errors.WeightsError: There is no such file; the text names the ones that there are.
    """
    path = Path(weights).expanduser()
    if path.name == weights and not path.suffix:
        path = folder / f"{weights}.safetensors"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "none"
        raise WeightsError(f"no weights at {path}: give a file, or a name (available: {names})")
    return path


def read(path: Path) -> Checkpoint:
    """Read a weights file to the CPU.

    Args:
        path: ``.safetensors``, or ``.pth`` / ``.pt`` with a state dict.

    Raises:
        errors.WeightsError: Not such a file, damaged, holding more than tensors, or not what the
            model card beside it says.
    """
    check_card(path)
    if path.suffix in (".pth", ".pt"):
        return Checkpoint(path, _unprefixed(_read_pickle(path)))
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return Checkpoint(path, _unprefixed(tensors), file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: no readable safetensors file: {_line(error)}") from error


def trained_on(path: Path) -> frozenset[str]:
    """Ids of the pairs that weights of any network were trained on, where their file says so.

    They are those of ``pipeline.images.pair_id``, parted by spaces under ``trained_on`` in the
    metadata of a ``.safetensors`` file; other files say nothing.

    Raises:
        errors.WeightsError: It is no readable safetensors file.
    """
    if path.suffix != ".safetensors":
        return frozenset()
    check_header(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: no readable safetensors file: {_line(error)}") from error
    return frozenset(metadata.get("trained_on", "").split())


def save(
    path: Path,
    network: Network,
    *,
    half: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network's weights as safetensors, with its architecture in the metadata.

    The same weights and metadata give the same bytes.

    Args:
        path: The file, which is replaced.
        network: Whose weights.
        half: Whether they become 16-bit floats, but for the scan's own (``SCAN``).
        metadata: What else is to be known of them.
    """
    tensors = {
        key: (value.half() if half and key.rpartition(".")[2] not in SCAN else value).contiguous()
        for key, value in network.state_dict().items()
    }
    architecture = network.architecture.model_dump_json()
    about = {**(metadata or {}), "network": network.NAME, "architecture": architecture}
    path.write_bytes(_ordered(serialize(tensors, about)))


def load(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into a network; every key and shape must match.

    Raises:
        errors.WeightsError: Keys are missing or left over, or shapes differ; the first are named.
    """
    match(network.state_dict(), checkpoint)
    network.load_state_dict(dict(checkpoint.tensors))


def match(wanted: Mapping[str, Tensor], checkpoint: Checkpoint) -> None:
    """Check that a checkpoint has just these keys, in these shapes.

    Args:
        wanted: A tensor of the right shape for each key; only the shapes count.
        checkpoint: What was read.

    Raises:
        errors.WeightsError: Keys are missing or left over, or shapes differ; the first are named.
    """
    given = checkpoint.tensors
    wrong = [
        f"{key} {list(given[key].shape)} instead of {list(value.shape)}"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape
    ]
    missing = [key for key in wanted if key not in given]
    extra = [key for key in given if key not in wanted]
    faults = (("missing", missing), ("not in the network", extra), ("of another shape", wrong))
    texts = [f"{what}: {_some(keys)}" for what, keys in faults if keys]
    if texts:
        raise WeightsError(f"{checkpoint.path}: not this network's weights; {'; '.join(texts)}")


def _ordered(data: bytes) -> bytes:
    """A safetensors file with its header sorted, which the library writes in any order."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises nearly anything
        # torch's own text advises to read the file unsafely, so it is the cause and not the message
        raise WeightsError(
            f"{path}: no readable state dict: it is damaged or holds more than tensors, such as "
            "code, which is never run; give a plain state dict or a safetensors file"
        ) from error
    for name in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: holds something else than a state dict of tensors")
    tensors = {str(key): value for key, value in content.items()}
    check_sizes(path, tensors)
    return tensors


def _unprefixed(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors without ``PARALLEL`` before their keys, where all have it."""
    if not all(key.startswith(PARALLEL) for key in tensors):
        return tensors
    return {key.removeprefix(PARALLEL): value for key, value in tensors.items()}


def _line(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).partition("\n")[0]


def _some(keys: list[str]) -> str:
    """The first keys of a list and how many more there are."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more

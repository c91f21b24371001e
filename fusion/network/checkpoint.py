"""Reading and writing weights: safetensors with the architecture in its metadata, or ``.pth``.

The metadata of a safetensors file written here holds ``network`` (its kind, e.g. "fusionmamba") and
``architecture`` (its constructor settings, as JSON). ``.pth`` and ``.pt`` hold a state dict, plain
or wrapped as by training scripts, and are read without running any code in them.
"""

import json
import re
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
from common.errors import WeightsError, shown
from common.files import expand
from common.tensors import check_header, check_sizes

Architecture = TypeVar("Architecture", bound=BaseModel)

SHIPPED = Path(__file__).resolve().parents[1] / "weights"
# kept in 32 bits: their errors accumulate over the recurrence
SCAN = re.compile(r"(?:^|\.)(?:A_log|A_b_log|D|D_b|D_c|dt_bias|dt_proj(?:_[bc])?\.bias)$")
WRAPPERS = (
    "model",
    "state_dict",
    "net",
    "params",
)  # keys of the state dict in files of training scripts
PARALLEL = "module."  # prefix that torch's data-parallel wrappers add to every key


class Network(nn.Module):
    """A network that can be written with ``save``.

    Attributes:
        NAME: The kind of network.
        architecture: Settings that determine the keys and shapes of its weights.
    """

    NAME: ClassVar[str]
    architecture: BaseModel


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The content of a weights file."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def architecture(self, network: str, model: type[Architecture]) -> Architecture | None:
        """The architecture in the metadata, None if there is none.

        Args:
            network: The expected kind of network, its ``NAME``.
            model: Its ``Architecture``.

        Raises:
            errors.WeightsError: The file is of another kind of network, or its metadata is invalid.
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
            where = shown(".".join(map(str, first["loc"])))
            raise WeightsError(
                f"{self.path}: its metadata 'architecture' is wrong at {where}: {first['msg']}"
            ) from error


def find(weights: str, folder: Path = SHIPPED) -> Path:
    """Find the file of a name or path.

    Args:
        weights: A name, for ``folder/<name>.safetensors``, or a path, which has a folder or a
            suffix.
        folder: Folder of the named weights.

    Raises:
        errors.WeightsError: There is no such file; the text lists the names in the folder.
    """
    path = expand(weights)
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
        errors.WeightsError: The file is not of these types, is damaged, holds more than tensors,
            or has another sha256 than its model card states.
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
    """Ids of the training pairs of any network's weights; empty if the file does not state them.

    The ids are those of ``pipeline.images.pair_id``, separated by spaces, under ``trained_on`` in
    the metadata of a ``.safetensors`` file.

    Raises:
        errors.WeightsError: It is not a readable safetensors file.
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
        network: The network.
        half: Whether weights, except those of the scan (``SCAN``), become 16-bit floats.
        metadata: Further metadata.
    """
    tensors = {
        key: (value.half() if half and not SCAN.search(key) else value).contiguous()
        for key, value in network.state_dict().items()
    }
    architecture = network.architecture.model_dump_json()
    all_metadata = {**(metadata or {}), "network": network.NAME, "architecture": architecture}
    path.write_bytes(_ordered(serialize(tensors, all_metadata)))


def load(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a network; every key and shape must match.

    Raises:
        errors.WeightsError: Keys are missing or unknown, or shapes differ; the first are named.
    """
    match(network.state_dict(), checkpoint)
    network.load_state_dict(dict(checkpoint.tensors))


def match(expected: Mapping[str, Tensor], checkpoint: Checkpoint) -> None:
    """Check that a checkpoint has exactly these keys and shapes.

    Args:
        expected: A tensor of the right shape for each key; values are not used.
        checkpoint: The checkpoint.

    Raises:
        errors.WeightsError: Keys are missing or unknown, or shapes differ; the first are named.
    """
    tensors = checkpoint.tensors
    wrong = [
        f"{key} {list(tensors[key].shape)} instead of {list(value.shape)}"
        for key, value in expected.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    missing = [key for key in expected if key not in tensors]
    extra = [key for key in tensors if key not in expected]
    faults = (("missing", missing), ("not in the network", extra), ("of another shape", wrong))
    texts = [f"{fault}: {_first_keys(keys)}" for fault, keys in faults if keys]
    if texts:
        raise WeightsError(f"{checkpoint.path}: not this network's weights; {'; '.join(texts)}")


def _ordered(data: bytes) -> bytes:
    """Sort the header of a safetensors file, whose order the library does not define."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        # torch's message is left out because it advises to read the file unsafely
        raise WeightsError(
            f"{path}: no readable state dict: it is damaged or holds more than tensors, such as "
            "code, which is never run; give a plain state dict or a safetensors file"
        ) from error
    for name in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: is no state dict of tensors")
    tensors = {str(key): value for key, value in content.items()}
    check_sizes(path, tensors)
    return tensors


def _unprefixed(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Remove the prefix ``PARALLEL`` if all keys have it."""
    if not all(key.startswith(PARALLEL) for key in tensors):
        return tensors
    return {key.removeprefix(PARALLEL): value for key, value in tensors.items()}


def _line(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).partition("\n")[0]


def _first_keys(keys: list[str]) -> str:
    """The first three keys and the number of the others."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more

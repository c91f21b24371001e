"""How large the tensors of a file may be."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from common.errors import WeightsError, cut

HEADER = 16 << 20  # bytes of the header of a safetensors file; those that ship have under 1 MB


def check_sizes(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are larger than the file that they come from.

    A few bytes can say that they are a tensor of 10^9 elements, all in the same place (stride 0),
    or that 1,000 tensors lie in the same bytes: a conversion to float32 makes all of them real.

    Args:
        path: The file.
        tensors: What was read from it, not converted yet.

    Raises:
        WeightsError: They are; the text names the largest.
    """
    sizes = {key: value.numel() * value.element_size() for key, value in tensors.items()}
    if sum(sizes.values()) > 2 * path.stat().st_size + (1 << 20):  # some share their weights
        largest = max(sizes, key=lambda key: sizes[key])
        raise WeightsError(
            f"{path}: refused, its tensors would take {sum(sizes.values()) / 1e6:.0f} MB, more "
            f"than the file has, most of it {cut(largest)}; save the weights anew"
        )


def check_header(path: Path) -> None:
    """Refuse a safetensors file whose header is larger than any network needs.

    Raises:
        WeightsError: It is, or the file can't be read.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    if length > HEADER:
        raise WeightsError(
            f"{path}: no readable safetensors file: its header claims "
            f"{length / 1e6:.0f} MB; no network needs over {HEADER / 1e6:.0f}"
        )

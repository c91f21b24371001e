"""Limits on the size of tensors read from files."""

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from common.errors import WeightsError, cut

HEADER = 16 << 20  # bytes of the header of a safetensors file; ours have under 1 MB


def check_sizes(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are together larger than their file.

    A small file can declare a tensor of 10^9 elements at one address (stride 0), or 1,000 tensors
    in the same bytes; a conversion to float32 would allocate all of them.

    Args:
        path: The file.
        tensors: The tensors read from it, not converted yet.

    Raises:
        WeightsError: They are larger; the text names the largest.
    """
    sizes = {key: value.numel() * value.element_size() for key, value in tensors.items()}
    if sum(sizes.values()) > 2 * path.stat().st_size + (1 << 20):  # allows shared weights
        largest = max(sizes, key=lambda key: sizes[key])
        raise WeightsError(
            f"{path}: refused, its tensors would take {sum(sizes.values()) / 1e6:.0f} MB, more "
            f"than the file has, most of it {cut(largest)}; save the weights anew"
        )


def check_header(path: Path) -> None:
    """Refuse a safetensors file with an implausibly large header.

    Raises:
        WeightsError: The header is too large, or the file can't be read.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    if HEADER < length <= size:  # a header longer than the file is damage, found by its reader
        raise WeightsError(
            f"{path}: refused, its header claims "
            f"{length / 1e6:.0f} MB; no network needs over {HEADER / 1e6:.0f}"
        )

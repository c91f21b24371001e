"""Checksums of weights files."""

import hashlib
import re
from pathlib import Path

from common.errors import WeightsError

_CARD_BYTES = 1 << 20  # of a card that are looked at
_CARD = re.compile(r"sha256 `([0-9a-f]{64})`")


def sha256(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_card(path: Path) -> None:
    """Compare a weights file with the model card beside it, ``tiny.md`` for ``tiny.safetensors``.

    Nothing is checked if there is no card, or if it states no sha256.

    Raises:
        WeightsError: The card states a different sha256.
    """
    card = path.with_suffix(".md")
    stated = None
    if card.is_file():
        with card.open("rb") as file:  # written by anybody, in any encoding
            stated = _CARD.search(file.read(_CARD_BYTES).decode("utf-8", "replace"))
    if stated and (actual := sha256(path)) != stated[1]:
        raise WeightsError(
            f"{path}: has sha256 {actual}, but its model card {card.name} says {stated[1]}; the "
            "file was changed or is damaged: restore the original, or move it away from the card"
        )

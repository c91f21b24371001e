"""Whether a weights file is the one that it should be."""

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

    Nothing is compared where there is no card, or none that says: sha256 `...`.

    Raises:
        WeightsError: The card says another sha256.
    """
    card = path.with_suffix(".md")
    said = None
    if card.is_file():
        with card.open("rb") as file:  # somebody's notes, in any encoding
            said = _CARD.search(file.read(_CARD_BYTES).decode("utf-8", "replace"))
    if said and (found := sha256(path)) != said[1]:
        raise WeightsError(
            f"{path}: has sha256 {found}, but its model card {card.name} says {said[1]}; the file "
            "was changed or is damaged: bring the original back, or move it away from the card"
        )

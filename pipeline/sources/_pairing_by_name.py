"""Pairs images by their names, with patterns or lists, and selects a subset."""

import fnmatch
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.errors import DataError, shown
from common.modality import OTHER, Modality
from pipeline.images import image_key, list_images, natural
from pipeline.sources._lists import Lookup, pair_map, rows

log = logging.getLogger(__name__)
_HEADERS = (("ir", "vis"), ("infrared", "visible"))


class Names(BaseModel):
    """How names of infrared images correspond to names of visible ones.

    A pattern has a `*` for each part that both names share; a text without `*` is an ending: `_RGB`
    means `*_RGB`. The parts that the stars match make the pair's key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ir: str = Field("*", min_length=1, description="pattern or ending, without the file's suffix")
    vis: str = Field("*", min_length=1, description="likewise; a / reaches into folders below")
    pairs: Path | None = Field(
        None, description="file with a line a pair: infrared, visible; or json, visible: infrared"
    )
    only: str | None = Field(
        None, min_length=1, description="file with a line an image, or pattern: take these alone"
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.pairs is not None and (self.ir, self.vis) != ("*", "*"):
            raise ValueError("pairs lists both names; leave ir and vis out")
        if _pattern(self.ir).count("*") != _pattern(self.vis).count("*"):
            raise ValueError("ir and vis need equally many *: what they stand for is the pair")
        return self


class Files(NamedTuple):
    """The images of a source.

    Attributes:
        ir: By the pair's key.
        vis: Likewise.
        called: By camera and key, the image's name; also of pairs that aren't chosen.
        taken: By camera, the names of all its images, paired or not.
    """

    ir: Mapping[str, Path]
    vis: Mapping[str, Path]
    called: Mapping[Modality, Mapping[str, str]]
    taken: Mapping[Modality, frozenset[str]]

    def names(self, camera: Modality, *, shared: bool = False) -> dict[str, tuple[str, ...]]:
        """By key, the names under which labels may list it, the preferred one first.

        The image's own name, the key and the partner's name; none that is another image's own.

        Args:
            camera: The camera on whose images the labels are drawn.
            shared: Whether the same files hold labels that are drawn on the partners, whose names
                are then theirs alone.
        """
        mine, partners = self.called[camera], self.called[OTHER[camera]]
        taken = self.taken[camera] | (self.taken[OTHER[camera]] if shared else frozenset())
        result = {}
        for key in {**self.vis, **self.ir}:
            free = (name for name in (key, partners.get(key, key)) if name not in taken)
            first = (mine[key],) if key in mine else ()
            result[key] = tuple(dict.fromkeys((*first, *free)))
        return result


def find(ir: Path, vis: Path, names: Names) -> Files:
    """The images of two folders, or of one folder with both modalities, by pair.

    Raises:
        DataError: A folder is missing or empty, both are the same and ``names`` doesn't distinguish
            the modalities, a pattern matches no image, or a list names a missing one.
    """
    same = ir.is_dir() and vis.is_dir() and ir.samefile(vis)
    if same and names.pairs is None and _pattern(names.ir) == _pattern(names.vis):
        raise DataError(
            f"source.ir and source.vis are the same folder, {ir}, so each image would be its own "
            "partner; give two folders, or what the names end with, like "
            "source.names.ir=_IR source.names.vis=_RGB"
        )
    below = "/" in names.ir + names.vis
    found_ir = list_images(ir, below=below)
    found_vis = found_ir if same else list_images(vis, below=below)
    if names.pairs is not None:
        all_ir, all_vis = _listed(names.pairs, (found_ir, found_vis))
    else:
        all_ir, all_vis = _by_pattern(names, (found_ir, found_vis), same=same)
        _warn_of_rest(names, (found_ir, all_ir), (found_vis, all_vis), same=same)
    _check_partners(ir, vis, all_ir, all_vis)
    called: dict[Modality, dict[str, str]] = {
        "vis": {key: image_key(path, vis) for key, path in all_vis.items()},
        "ir": {key: image_key(path, ir) for key, path in all_ir.items()},
    }
    taken: dict[Modality, frozenset[str]] = {
        # in one folder, an image that is in no pair is of an unknown camera
        "vis": frozenset(called["vis"].values() if same else found_vis),
        "ir": frozenset(called["ir"].values() if same else found_ir),
    }
    if names.only is not None:
        keys = {**all_vis, **all_ir}
        every = {key: (key, *(of[key] for of in called.values() if key in of)) for key in keys}
        chosen = _chosen(names.only, every)
        all_ir = {key: path for key, path in all_ir.items() if key in chosen}
        all_vis = {key: path for key, path in all_vis.items() if key in chosen}
    return Files(all_ir, all_vis, called, taken)


def _pattern(text: str) -> str:
    return text if "*" in text else f"*{text}"


def _regex(pattern: str) -> re.Pattern[str]:
    parts = normalize("NFC", _pattern(pattern)).split("*")
    return re.compile("(.+)".join(map(re.escape, parts)), re.DOTALL)


def _key(match: re.Match[str], pattern: str) -> str:
    """The parts that the stars match, joined by `/` if a folder ends between them, else by `_`."""
    between = _pattern(pattern).split("*")[1:-1]
    key = match[1]
    for text, part in zip(between, match.groups()[1:], strict=True):
        key += ("/" if "/" in text else "_") + part
    return key


def _by_pattern(
    names: Names, images: tuple[Mapping[str, Path], Mapping[str, Path]], *, same: bool
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The images of both modalities by the key that their pattern gives.

    In one folder, a name that matches both patterns belongs to the longer pattern.
    """
    texts = (names.ir, names.vis)
    lengths = [len(_pattern(text).replace("*", "")) for text in texts]
    result: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for side, text in enumerate(texts):
        own, other = _regex(text), _regex(texts[1 - side])
        for name, path in images[side].items():
            match = own.fullmatch(name)
            if match is None:
                continue
            if same and other.fullmatch(name) and lengths[side] <= lengths[1 - side]:
                if lengths[0] == lengths[1]:
                    raise DataError(
                        f"{path}: fits both source.names.ir={names.ir} and "
                        f"source.names.vis={names.vis}; make them differ"
                    )
                continue
            key = _key(match, text)
            if key in result[side]:
                raise DataError(
                    f"{path} and {result[side][key]} are both {key} by source.names."
                    f"{('ir', 'vis')[side]}={text}; put a * for each part that differs"
                )
            result[side][key] = path
        if not result[side]:
            key, first = ("ir", "vis")[side], next(iter(images[side].values()))
            raise DataError(
                f"source.names.{key}={text}: fits no image; the first is {first} (the pattern is "
                "without the suffix)"
            )
    return result


def _warn_of_rest(
    names: Names,
    ir: tuple[Mapping[str, Path], Mapping[str, Path]],
    vis: tuple[Mapping[str, Path], Mapping[str, Path]],
    *,
    same: bool,
) -> None:
    """Warn of images that match no pattern."""
    used = {*ir[1].values(), *vis[1].values()}
    images = {*ir[0].values()} if same else {*ir[0].values(), *vis[0].values()}
    if rest := sorted(images - used):
        log.warning(
            "%d images fit neither source.names.ir=%s nor source.names.vis=%s, the first %s",
            len(rest), names.ir, names.vis, rest[0],
        )  # fmt: skip


def _check_partners(
    ir: Path, vis: Path, ir_images: Mapping[str, Path], vis_images: Mapping[str, Path]
) -> None:
    if not ir_images.keys() & vis_images.keys():
        first, other = next(iter(ir_images.values())), next(iter(vis_images.values()))
        raise DataError(
            f"{ir} and {vis}: no infrared image has a visible partner of its name (the first are "
            f"{first.name} and {other.name}); say what the names end with, like "
            "source.names.ir=_IR source.names.vis=_RGB, or source.names.pairs=FILE"
        )


def _listed(
    path: Path, images: tuple[Mapping[str, Path], Mapping[str, Path]]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The pairs of a list; the key is the visible image's name.

    Raises:
        DataError: A line doesn't have two names, or one that is missing or was listed before.
    """
    lookups = [Lookup({key: (key,) for key in files}) for files in images]
    result: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    used: set[tuple[int, str]] = set()
    for number, cells in _pair_rows(path):
        if number == 1 and tuple(map(str.lower, cells)) in _HEADERS:
            continue
        where = f"{path}, line {number}"
        if len(cells) != 2:
            raise DataError(f"{where}: {len(cells)} names; write 'infrared, visible' in each line")
        keys = []
        for side, cell in enumerate(cells):
            keys.append(lookups[side].one(cell, where))
            if (side, keys[side]) in used:
                raise DataError(f"{where}: {shown(cell)} was listed before; list each image once")
            used.add((side, keys[side]))
        for side in (0, 1):
            result[side][keys[1]] = images[side][keys[side]]
    if not result[0]:
        raise DataError(f"{path}: lists no pair; write 'infrared, visible' in each line")
    return result


def _pair_rows(path: Path) -> Iterable[tuple[int, list[str]]]:
    """Numbers of the lines or entries, and infrared and visible image."""
    if path.suffix.lower() != ".json":
        return rows(path)
    entries = enumerate(pair_map(path).items(), 1)
    return ((number, [normalize("NFC", each) for each in pair[::-1]]) for number, pair in entries)


def _chosen(only: str, key_names: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The keys that a list or a pattern chooses.

    Raises:
        DataError: It chooses none, or the list names a missing image.
    """
    path = Path(only)
    if path.is_file() or path.suffix.lower() in (".txt", ".csv", ".lst"):
        lookup = Lookup(key_names)
        chosen = {
            lookup.one(cell, f"{path}, line {number}")
            for number, cells in rows(path)
            for cell in cells
            if cell
        }
    else:
        pattern = normalize("NFC", only)
        chosen = {
            key
            for key, names in key_names.items()
            if any(fnmatch.fnmatchcase(name, pattern) for name in names)
        }
    if not chosen:
        first = min(key_names, key=natural)
        raise DataError(f"source.names.only={only}: chooses no pair; the first is {first}")
    return frozenset(chosen)

"""Which images belong together where the two cameras' names differ, and which are taken at all."""

import fnmatch
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.errors import DataError, shown
from pipeline.images import image_key, list_images, natural
from pipeline.sources._lists import Lookup, rows

log = logging.getLogger(__name__)
_HEADERS = (("ir", "vis"), ("infrared", "visible"))


class Names(BaseModel):
    """How names of infrared images correspond to names of visible ones.

    A pattern has a `*` for each part that both names share; a text without one is what the names
    end with: `_RGB` is `*_RGB`. What the stars stand for is the pair's key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ir: str = Field("*", min_length=1, description="pattern or ending, without the file's suffix")
    vis: str = Field("*", min_length=1, description="likewise; a / reaches into folders below")
    pairs: Path | None = Field(None, description="file with a line a pair: infrared, visible")
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
        names: Of each key the names by which labels may call it, the best first.
    """

    ir: Mapping[str, Path]
    vis: Mapping[str, Path]
    names: Mapping[str, tuple[str, ...]]


def find(ir: Path, vis: Path, names: Names) -> Files:
    """The images of two folders, or of one that holds both cameras', by pair.

    Raises:
        DataError: A folder is missing or empty, both are the same and ``names`` can't tell the
            cameras apart, a rule fits no image, or a list names one that isn't there.
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
    called = _called((ir, vis), (all_ir, all_vis))
    if names.only is None:
        return Files(all_ir, all_vis, called)
    chosen = _chosen(names.only, called)
    return Files(
        {key: path for key, path in all_ir.items() if key in chosen},
        {key: path for key, path in all_vis.items() if key in chosen},
        {key: called[key] for key in called if key in chosen},
    )


def _pattern(text: str) -> str:
    return text if "*" in text else f"*{text}"


def _regex(pattern: str) -> re.Pattern[str]:
    parts = normalize("NFC", _pattern(pattern)).split("*")
    return re.compile("(.+)".join(map(re.escape, parts)), re.DOTALL)


def _key(match: re.Match[str], pattern: str) -> str:
    """What the stars stand for, joined by `/` where a folder ends between them, else by `_`."""
    between = _pattern(pattern).split("*")[1:-1]
    key = match[1]
    for text, part in zip(between, match.groups()[1:], strict=True):
        key += ("/" if "/" in text else "_") + part
    return key


def _by_pattern(
    names: Names, found: tuple[Mapping[str, Path], Mapping[str, Path]], *, same: bool
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Both cameras' images by what their patterns' stars stand for.

    In one folder a name that fits both patterns is that camera's whose pattern says more.
    """
    texts = (names.ir, names.vis)
    weight = [len(_pattern(text).replace("*", "")) for text in texts]
    result: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for side, text in enumerate(texts):
        mine, other = _regex(text), _regex(texts[1 - side])
        for name, path in found[side].items():
            match = mine.fullmatch(name)
            if match is None:
                continue
            if same and other.fullmatch(name) and weight[side] <= weight[1 - side]:
                if weight[0] == weight[1]:
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
            key, first = ("ir", "vis")[side], next(iter(found[side].values()))
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
    """Say how many images no pattern fits."""
    used = {*ir[1].values(), *vis[1].values()}
    found = {*ir[0].values()} if same else {*ir[0].values(), *vis[0].values()}
    if rest := sorted(found - used):
        log.warning(
            "%d images fit neither source.names.ir=%s nor source.names.vis=%s, the first %s",
            len(rest), names.ir, names.vis, rest[0],
        )  # fmt: skip


def _check_partners(
    ir: Path, vis: Path, found_ir: Mapping[str, Path], found_vis: Mapping[str, Path]
) -> None:
    if not found_ir.keys() & found_vis.keys():
        first, other = next(iter(found_ir.values())), next(iter(found_vis.values()))
        raise DataError(
            f"{ir} and {vis}: no infrared image has a visible partner of its name (the first are "
            f"{first.name} and {other.name}); say what the names end with, like "
            "source.names.ir=_IR source.names.vis=_RGB, or source.names.pairs=FILE"
        )


def _called(
    folders: tuple[Path, Path], found: tuple[Mapping[str, Path], Mapping[str, Path]]
) -> dict[str, tuple[str, ...]]:
    """By key: the key, the visible and the infrared image's names, then these without folders."""
    called = {}
    for key in {**found[1], **found[0]}:
        names = [key]
        for side in (1, 0):
            if path := found[side].get(key):
                names.append(image_key(path, folders[side]))
        called[key] = tuple(dict.fromkeys(names))
    return called


def _listed(
    path: Path, found: tuple[Mapping[str, Path], Mapping[str, Path]]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The pairs of a list; the key is the visible image's name.

    Raises:
        DataError: A line has not two names, or one that isn't there or was listed before.
    """
    known = [Lookup({key: (key,) for key in files}) for files in found]
    result: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    used: set[tuple[int, str]] = set()
    for number, cells in rows(path):
        if number == 1 and tuple(map(str.lower, cells)) in _HEADERS:
            continue
        where = f"{path}, line {number}"
        if len(cells) != 2:
            raise DataError(f"{where}: {len(cells)} names; write 'infrared, visible' in each line")
        keys = []
        for side, cell in enumerate(cells):
            keys.append(known[side].one(cell, where))
            if (side, keys[side]) in used:
                raise DataError(f"{where}: {shown(cell)} was listed before; list each image once")
            used.add((side, keys[side]))
        for side in (0, 1):
            result[side][keys[1]] = found[side][keys[side]]
    if not result[0]:
        raise DataError(f"{path}: lists no pair; write 'infrared, visible' in each line")
    return result


def _chosen(only: str, called: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The keys that a list or a pattern chooses.

    Raises:
        DataError: It chooses none, or the list names an image that isn't there.
    """
    path = Path(only)
    if path.is_file() or path.suffix.lower() in (".txt", ".csv", ".lst"):
        known = Lookup(called)
        chosen = {
            known.one(cell, f"{path}, line {number}")
            for number, cells in rows(path)
            for cell in cells
            if cell
        }
    else:
        pattern = normalize("NFC", only)
        chosen = {
            key
            for key, names in called.items()
            if any(fnmatch.fnmatchcase(name, pattern) for name in names)
        }
    if not chosen:
        first = min(called, key=natural)
        raise DataError(f"source.names.only={only}: chooses no pair; the first is {first}")
    return frozenset(chosen)

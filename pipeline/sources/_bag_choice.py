"""Which two topics of a bag are the infrared and the visible camera."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from common.errors import DataError
from pipeline.sources._bag_file import BagFile, Topic

log = logging.getLogger(__name__)
# parts of a topic's name
INFRARED = frozenset(
    ("infrared", "ir", "thermal", "lwir", "mwir", "tir", "flir", "boson", "lepton")
)
OTHERS = frozenset(("visible", "vis", "rgb", "color", "colour", "depth", "disparity"))
DEEP = "mono16"  # of grey images; 16UC1 may be a depth in millimetres too


def choose(path: Path, ir: str | None, vis: str | None) -> tuple[str, str]:
    """The infrared and the visible topic.

    Args:
        path: The bag.
        ir: The infrared topic if it is given.
        vis: The visible one likewise.

    Raises:
        DataError: A given topic isn't there, or they have to be given.
    """
    bag = BagFile(path)
    try:
        for key, given in (("ir", ir), ("vis", vis)):
            if given is not None and given not in bag.topics:
                raise DataError(
                    f"{path}: source.{key}: no images in topic {given}; {_listed(bag.topics)}"
                )
        if ir is not None and ir == vis:
            raise DataError(f"source.ir and source.vis are the same topic, {ir}; give two")
        if ir is not None and vis is not None:
            return ir, vis
        rest = [name for name in bag.topics if name not in (ir, vis)]
        if len(rest) == 1 and (ir is not None or vis is not None):
            return ir or rest[0], vis or rest[0]
        if len(rest) != 2 or ir is not None or vis is not None:
            raise DataError(
                f"{path}: which topics are the cameras? give source.ir and source.vis; "
                f"{_listed(bag.topics)}"
            )
        return _guess(bag, path, rest)
    finally:
        bag.close()


def _guess(bag: BagFile, path: Path, topics: list[str]) -> tuple[str, str]:
    """Tell infrared from visible by the names, or by 16 bit of one of the two.

    Raises:
        DataError: That doesn't tell which.
    """
    infrared = [name for name in topics if _is_infrared(bag, name)]
    if len(infrared) != 1:
        raise DataError(
            f"{path}: which topic is infrared? give source.ir and source.vis; {_listed(bag.topics)}"
        )
    ir = infrared[0]
    vis = topics[1 - topics.index(ir)]
    log.warning(
        "%s: %s is taken as infrared and %s as visible; source.ir and source.vis say otherwise",
        path, ir, vis,
    )  # fmt: skip
    return ir, vis


def _is_infrared(bag: BagFile, name: str) -> bool:
    parts = set(re.split(r"[^a-z]+", name.lower()))
    if parts & INFRARED or parts & OTHERS:
        return not parts & OTHERS
    first = next(bag.messages(name))
    return getattr(first.content, "encoding", "") == DEEP


def _listed(topics: Mapping[str, Topic]) -> str:
    """The topics with images, for a message."""
    if topics:
        return "its topics with images are " + ", ".join(map(str, topics.values()))
    return "it has no topic with images (sensor_msgs/Image or CompressedImage)"

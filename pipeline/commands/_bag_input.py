"""Opens a bag for `irvis init` and `irvis inspect`."""

import logging
from pathlib import Path
from typing import Any

from common.errors import DataError
from pipeline.config import components
from pipeline.interfaces import Source
from pipeline.sources import bag

log = logging.getLogger(__name__)


def open_bag(path: Path, labels: Path | None) -> tuple[Source, dict[str, Any]]:
    """The pairs of a bag, and the settings of the source that open it again.

    The times are `header.stamp`, or those of the log where the stamps can't be used.

    Args:
        path: The bag.
        labels: Labels that are given.

    Raises:
        errors.IrvisError: It can't be read, or its topics have to be named.
    """
    own: dict[str, Any] = {"bag": path} if labels is None else {"bag": path, "labels": labels}
    try:
        source = bag.build(components.validate(bag.Config, own, "source"))
    except DataError as error:
        own["times"] = "log"
        try:
            source = bag.build(components.validate(bag.Config, own, "source"))
        except DataError:
            raise error from error.__cause__
        log.warning("%s; the times of the log are taken", error)
    ir, vis = source.topics
    return source, {"kind": "bag", "bag": path, "ir": ir, "vis": vis, **own}

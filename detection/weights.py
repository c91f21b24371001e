"""Finding detector weights, and downloading known releases.

A name is the path of a file, a file in one of the weights folders, or a known release, whose
download is kept only if its sha256 is the one stated here.
"""

import hashlib
import http.client
import logging
import os
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from common.checksums import check_card, sha256
from common.errors import WeightsError, shown
from common.files import expand

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "weights"
RELEASES = "https://github.com/ultralytics/yolov5/releases/download"
TIMEOUT_S = 20  # for an answer
MOST_BYTES, MOST_S = 100 << 20, 1800  # of a download: the largest release has 15 MB


@dataclass(frozen=True, slots=True)
class Release:
    """A published file that can be downloaded."""

    path: str  # relative to RELEASES, or to IRVIS_DOWNLOADS if that is set
    sha256: str


KNOWN = {
    "yolov5s.pt": Release(
        "v6.0/yolov5s.pt", "c3b140f32001a9eec4afa07120b3851eb1b6c2c7c7e7a4303af9eadfacbeb598"
    ),
    "yolov5n.pt": Release(
        "v7.0/yolov5n.pt", "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"
    ),
}


def folder() -> Path:
    """The user's weights folder: ``$IRVIS_WEIGHTS``, or ``irvis/weights`` in the user's cache."""
    if chosen := os.environ.get("IRVIS_WEIGHTS"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "irvis" / "weights"


def settings_folder(name: str) -> Path:
    """Make a folder beside the weights for a library's settings, or else a temporary folder.

    The temporary folder has a random name, because another user could have created a fixed one.
    """
    path = folder().parent / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="irvis-"))
    return path


def find(name: str) -> Path | None:
    """Find the file of a name on this machine; None if there is none.

    A path is used as it is. A bare name, with or without its suffix, is also looked up in
    ``./weights``, in ``folder()`` and among the weights shipped with the project.
    """
    try:
        path = expand(name)
        if path.is_file():
            return path
    except (OSError, ValueError):  # too long, or not a path
        return None
    if path.name != name:
        return None
    names = [name] if path.suffix else [name + suffix for suffix in (".pt", ".safetensors")]
    folders = [Path("weights"), folder(), SHIPPED]
    return next((f / n for f in folders for n in names if (f / n).is_file()), None)


def resolve(name: str) -> Path:
    """Find the file of a name, downloading it if it is a known release.

    Raises:
        WeightsError: There is no such file, it cannot be downloaded, or its sha256 is not the one
            in its model card.
    """
    if path := find(name):
        check_card(path)
        return path
    if _release_name(name) in KNOWN:
        log.info("%s is not on this machine yet", name)
        return download(name)
    shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))
    raise WeightsError(
        f"no weights {shown(name)}: not a file, and not in ./weights or {folder()}; give a path, "
        f"one of the shipped ({shipped or 'none'}) or a known release ({', '.join(KNOWN)})"
    )


def download(name: str) -> Path:
    """Download a known release into ``folder()``, unless a file with its sha256 is already there.

    ``$IRVIS_DOWNLOADS`` names another server with the same layout as the releases.

    Raises:
        WeightsError: The name is unknown, the server cannot be reached, or the sha256 differs.
    """
    file_name = _release_name(name)
    if file_name not in KNOWN:
        raise WeightsError(f"{shown(name)} is not a known release; choose from {', '.join(KNOWN)}")
    release, target = KNOWN[file_name], folder() / file_name
    if target.is_file() and sha256(target) == release.sha256:
        return target
    url = f"{os.environ.get('IRVIS_DOWNLOADS', RELEASES).rstrip('/')}/{release.path}"
    if not url.startswith(("http://", "https://")):
        raise WeightsError(f"IRVIS_DOWNLOADS must be an http or https address, not {shown(url)}")
    log.info("downloading %s to %s", url, target)
    try:
        return _keep(url, target, release.sha256)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise WeightsError(
            f"cannot download {file_name} from {url} ({error}); put the file at {target}, or give "
            "its path: detector.weights=FILE"
        ) from error


def _keep(url: str, target: Path, expected: str) -> Path:
    """Download to the target if the sha256 is the expected one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob("tmp*.part"):
        if time.time() - stale.stat().st_mtime > MOST_S:  # of a process that was killed
            stale.unlink(missing_ok=True)
    # A temporary file beside the target: a broken transfer never leaves a file of the final name.
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as part:
        try:
            actual = _fetch(url, part)
            if actual != expected:
                raise WeightsError(
                    f"{url} has sha256 {actual}, expected {expected}; it was not kept"
                )
            part.flush()
            Path(part.name).replace(target)
        finally:
            Path(part.name).unlink(missing_ok=True)
    return target


def _release_name(name: str) -> str:
    return name if name.endswith(".pt") else name + ".pt"


def _fetch(url: str, file: IO[bytes]) -> str:
    """Download into the file and return the sha256.

    Raises:
        WeightsError: The response is too large or takes too long.
    """
    digest, size, end = hashlib.sha256(), 0, time.monotonic() + MOST_S
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310
        while block := response.read1(1 << 20):  # returns early, so a slow server can't block it
            size += len(block)
            if size > MOST_BYTES or time.monotonic() > end:
                raise WeightsError(
                    f"{url} has more than {MOST_BYTES >> 20} MB or takes over {MOST_S // 60} "
                    "minutes; nothing was kept: put the file into the weights folder yourself"
                )
            digest.update(block)
            file.write(block)
    return digest.hexdigest()

"""Image files in and out."""

import hashlib
import io
import logging
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from common.errors import DataError
from common.files import check_file
from pipeline.frames import Image

SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # whatever a file's suffix says
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")  # of macOS and Synology: copies of names, no images
_ORIENTATION = 0x0112  # EXIF
log = logging.getLogger(__name__)


PillowImage.init()  # all its formats, of which `open` must know those that it is given


def read_image(path: Path) -> Image:
    """Decode a whole image file; of one with several pages the first.

    Returns:
        HW uint8 (grey), HW uint16 (10 to 16 bit grey, also where three equal channels hold it), HW
        float32 (a measurement in the file's own unit) or HWC RGB uint8; transparency is dropped,
        the camera's rotation mark is applied.

    Raises:
        DataError: The file is missing, truncated, no image, or of an unknown pixel format.
    """
    if not path.exists():
        raise DataError(f"{path}: no such image")
    check_file(path)
    try:
        # from memory: a file would be asked for as many bytes as its damaged parts claim to have
        with PillowImage.open(io.BytesIO(path.read_bytes()), formats=FORMATS) as file:
            if _is_deep(file):
                return _deep(path, file.getexif())
            image = ImageOps.exif_transpose(file)
            image.load()
    except (UnidentifiedImageError, PillowImage.DecompressionBombError) as error:
        raise DataError(f"{path}: not an image that can be read") from error
    except MemoryError:
        raise
    except Exception as error:  # the decoders trust what a file says, and raise anything
        raise DataError(f"{path}: damaged or truncated image ({error})") from error
    if image.mode in SIXTEEN_BIT:
        return _sixteen_bit(np.asarray(image), path)
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    if image.mode in ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr"):
        return np.asarray(image.convert("RGB"))
    if image.mode == "F":
        return np.asarray(image, np.float32)
    raise DataError(f"{path}: pixel format {image.mode} is not supported; save it as 8 or 16 bit")


def list_images(folder: Path, *, below: bool = False) -> dict[str, Path]:
    """The images of a folder by key, in natural order (`frame2` before `frame10`).

    A key is the image's path in the folder without its suffix, in Unicode's composed form (NFC), so
    that names from macOS and from Linux are equal. Where the folder has no image of its own, those
    of the folders below it count. Hidden files and what systems leave behind are passed over.

    Args:
        folder: Where they lie.
        below: Take those of the folders below it in any case.

    Raises:
        DataError: The folder is missing, can't be read or has no images, or two images share a key.
    """
    if folder.is_file():
        raise DataError(f"{folder}: is a file; give the folder of the images" + _list_hint(folder))
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    try:
        found = list(_image_files(folder))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be listed ({error.strerror})") from error
    if not found:
        raise DataError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))})")
    own = [path for path in found if path.parent == folder]
    if own and not below and len(own) < len(found):
        log.warning(
            "%s: %d images in folders below it are left out, for it has %d of its own",
            folder, len(found) - len(own), len(own),
        )  # fmt: skip
    chosen = own if own and not below else found
    images: dict[str, Path] = {}
    for path in sorted(chosen, key=lambda p: (natural(image_key(p, folder)), p.name)):
        key = image_key(path, folder)
        if key in images:
            raise DataError(f"{folder}: {images[key].name} and {path.name} share a stem")
        images[key] = path
    return images


def image_key(path: Path, folder: Path) -> str:
    """An image's path in a folder, without its suffix, with `/`, in NFC."""
    return unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())


def _image_files(folder: Path) -> Iterator[Path]:
    """All files with an image's suffix in a folder and below it."""
    seen = set()  # a link to a folder above would go round for ever

    def stop(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        info = Path(root).stat()
        if (info.st_dev, info.st_ino) in seen:
            folders.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS
        )
        for name in files:
            path = Path(root, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _list_hint(path: Path) -> str:
    """What to do with a list of images or a recording in a folder's place."""
    if path.suffix.lower() in (".txt", ".csv", ".lst"):
        return f", and the list of those to take as source.names.only={path}"
    return "; recordings are source.kind=video"


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write HWC RGB uint8 as a PNG; light compression, since speed matters more here.

    Raises:
        OSError: The file cannot be written.
    """
    encoded = cv2.imencode(
        ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )[1]
    path.write_bytes(encoded.tobytes())


def to_rgb(image: Image) -> NDArray[np.uint8]:
    """HWC RGB uint8 of an 8-bit image, grey or colour."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def to_grey(image: Image) -> NDArray[np.uint8]:
    """HW uint8 of an 8-bit image: itself, or the BT.601 luminance of a colour one."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def to_eight_bit(image: Image, limits: tuple[float, float] | None, path: object) -> Image:
    """Map a 16-bit or float infrared image to 8 bit, low..high to 0..255; 8-bit ones stay.

    The limits are the same for every frame: stretching each by its own range would make the same
    temperature another grey value from one frame to the next. A float that isn't a number (NaN)
    becomes black.

    Raises:
        DataError: The image has more than 8 bit and no limits were given.
    """
    if image.dtype == np.uint8:
        return image
    if limits is None:
        raise DataError(f"{path}: {_needs_range(image)}")
    low, high = limits
    scaled = (image.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    if image.dtype != np.uint16:
        scaled = np.nan_to_num(scaled, nan=0.0)
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


def outside(image: Image, limits: tuple[float, float] | None) -> str:
    """Why nothing of a 16-bit or float image can be seen in a range; empty where something can."""
    if limits is None or image.dtype == np.uint8:
        return ""
    low, high = limits
    if np.any((image > low) & (image < high)):
        return ""
    return (
        f"no pixel is within source.ir_range=[{low:g},{high:g}]: {_most(image)}; give the range in "
        "the file's own unit"
    )


def _needs_range(image: Image) -> str:
    if image.dtype == np.uint16:
        what = "16-bit infrared needs source.ir_range=[low,high], the counts"
    else:
        what = "infrared of floats needs source.ir_range=[low,high], the values in the file's unit"
    return f"{what} that become black and white ({_most(image)})"


def _most(image: Image) -> str:
    """Where most of an image's values lie."""
    if image.dtype == np.uint16:
        low, high = np.percentile(image, (1, 99)).astype(int)
        return f"98% of this frame is in {low}..{high}"
    known = image[np.isfinite(image)]
    if not known.size:
        return "this frame has no number"
    low, high = np.percentile(known, (1, 99))
    return f"98% of this frame is in {low:.6g}..{high:.6g}"


def pair_id(ir: NDArray[np.uint8], vis: NDArray[np.uint8]) -> str:
    """Names a pair by its pixels, HW infrared and HWC visible: 16 hex digits.

    Weights say by these which pairs they were trained on; a renamed copy has the same.
    """
    digest = hashlib.blake2b(np.ascontiguousarray(ir).data, digest_size=8)
    digest.update(np.ascontiguousarray(vis).data)
    return digest.hexdigest()


def _sixteen_bit(image: Image, path: Path) -> Image:
    """Pillow gives some 16-bit files as int32."""
    if image.min() < 0 or image.max() > np.iinfo(np.uint16).max:
        raise DataError(f"{path}: 32-bit pixels are not supported; save it as 8 or 16 bit")
    return np.asarray(image, np.uint16)


def _is_deep(file: PillowImage.Image) -> bool:
    """Whether a file has over 8 bit in a form that Pillow would cut to 8, or stretch."""
    tiles = getattr(file, "tile", None)
    if not tiles:
        return False
    name, _, _, args = tiles[0]
    raw = args[0] if isinstance(args, tuple) and args else args
    if name == "ppm" and isinstance(args, tuple):
        return int(args[-1]) > 255
    return isinstance(raw, str) and raw.startswith(("RGB", "LA")) and ";16" in raw


def _deep(path: Path, exif: PillowImage.Exif) -> Image:
    """HW uint16 of a file that has its counts in one, or equally in three channels.

    Raises:
        DataError: The channels differ, or OpenCV can't read the file either.
    """
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16:
        raise DataError(f"{path}: damaged, or an unknown form of 16 bit; save it as grey")
    counts = image if image.ndim == 2 else image[:, :, 0]
    if image.ndim == 3 and (image[:, :, :3] != counts[:, :, None]).any():
        raise DataError(
            f"{path}: colour of over 8 bit is not supported; save it as 8 bit, or infrared as grey"
        )
    if exif.get(_ORIENTATION, 1) == 1:
        return np.ascontiguousarray(counts)
    grey = PillowImage.fromarray(np.ascontiguousarray(counts))
    grey.getexif()[_ORIENTATION] = exif[_ORIENTATION]
    return np.asarray(ImageOps.exif_transpose(grey), np.uint16)

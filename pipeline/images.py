"""Reading, listing and writing image files, and conversions of pixel formats."""

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
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # regardless of the file's suffix
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")  # metadata of macOS and Synology
_ORIENTATION = 0x0112  # EXIF
log = logging.getLogger(__name__)


PillowImage.init()  # loads the decoders of all formats


def read_image(path: Path) -> Image:
    """Decode an image file; the first page if there are several.

    Returns:
        HW uint8 (grey), HW uint16 (10 to 16 bit grey, also from three equal channels), HW float32
        (a measurement in the file's own unit) or HWC RGB uint8; transparency is dropped, the EXIF
        orientation is applied.

    Raises:
        DataError: The file is missing, truncated, no image, or has an unsupported pixel format.
    """
    if not path.exists():
        raise DataError(f"{path}: no such image")
    check_file(path)
    try:
        # from memory: a file would be asked for as many bytes as its damaged parts claim to have
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: damaged or truncated image ({error})") from error
    return decode_image(data, path)


def decode_image(data: bytes, path: object) -> Image:
    """Decode the bytes of an image file as ``read_image``; errors call it ``path``.

    Raises:
        DataError: It is truncated, no image, or has an unsupported pixel format.
    """
    try:
        with PillowImage.open(io.BytesIO(data), formats=FORMATS) as file:
            if _is_deep(file):
                return _deep(data, path, file.getexif())
            image = ImageOps.exif_transpose(file)
            image.load()
    except (UnidentifiedImageError, PillowImage.DecompressionBombError) as error:
        raise DataError(f"{path}: not an image that can be read") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise any type for damaged files
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
    that names from macOS and Linux are equal. Images in subfolders count if the folder itself has
    none. Hidden files and ``SYSTEM_FOLDERS`` are skipped.

    Args:
        folder: Folder of the images.
        below: Always include images in subfolders.

    Raises:
        DataError: The folder is missing, can't be read or has no images, or two images share a key.
    """
    if folder.is_file():
        raise DataError(f"{folder}: is a file; give the folder of the images" + _list_hint(folder))
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    try:
        files = list(_image_files(folder))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be listed ({error.strerror})") from error
    if not files:
        raise DataError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))})")
    own = [path for path in files if path.parent == folder]
    if own and not below and len(own) < len(files):
        log.warning(
            "%s: %d images in folders below it are left out, for it has %d of its own",
            folder, len(files) - len(own), len(own),
        )  # fmt: skip
    chosen = own if own and not below else files
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
    """All files with an image's suffix in a folder and its subfolders."""
    visited = set()  # guards against loops of links

    def stop(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        info = Path(root).stat()
        if (info.st_dev, info.st_ino) in visited:
            folders.clear()
            continue
        visited.add((info.st_dev, info.st_ino))
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS
        )
        for name in files:
            path = Path(root, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _list_hint(path: Path) -> str:
    """Advice for a list of images or a recording in place of a folder."""
    if path.suffix.lower() in (".txt", ".csv", ".lst"):
        return f", and the list of those to take as source.names.only={path}"
    return "; recordings are source.kind=video"


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write HWC RGB or HW uint8 as a PNG; light compression, since speed matters more here.

    Raises:
        OSError: The file cannot be written.
    """
    stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    path.write_bytes(encoded.tobytes())


def to_rgb(image: Image) -> NDArray[np.uint8]:
    """HWC RGB uint8 of an 8-bit image, grey or colour."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def to_grey(image: Image) -> NDArray[np.uint8]:
    """HW uint8 of an 8-bit image: unchanged if grey, else its BT.601 luminance."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def to_eight_bit(image: Image, limits: tuple[float, float] | None, path: object) -> Image:
    """Map a 16-bit or float infrared image to 8 bit, low..high to 0..255; 8-bit ones are unchanged.

    The limits are the same for every frame, so that a temperature keeps its grey value. NaN becomes
    black.

    Raises:
        DataError: The image has more than 8 bit and ``limits`` is None.
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
    """A warning if no pixel of a 16-bit or float image is within the limits, else empty."""
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
    """The range of most values of an image, as text."""
    if image.dtype == np.uint16:
        low, high = np.percentile(image, (1, 99)).astype(int)
        return f"98% of this frame is in {low}..{high}"
    finite = image[np.isfinite(image)]
    if not finite.size:
        return "this frame has no finite value"
    low, high = np.percentile(finite, (1, 99))
    return f"98% of this frame is in {low:.6g}..{high:.6g}"


def pair_id(ir: NDArray[np.uint8], vis: NDArray[np.uint8]) -> str:
    """A hash of a pair's pixels, HW infrared and HWC visible: 16 hex digits.

    Weights list their training pairs by it; it doesn't depend on file names.
    """
    digest = hashlib.blake2b(np.ascontiguousarray(ir).data, digest_size=8)
    digest.update(np.ascontiguousarray(vis).data)
    return digest.hexdigest()


def _sixteen_bit(image: Image, path: object) -> Image:
    """Convert to uint16; Pillow decodes some 16-bit files as int32."""
    if image.min() < 0 or image.max() > np.iinfo(np.uint16).max:
        raise DataError(f"{path}: 32-bit pixels are not supported; save it as 8 or 16 bit")
    return np.asarray(image, np.uint16)


def _is_deep(file: PillowImage.Image) -> bool:
    """Whether a file has over 8 bit in a format that Pillow truncates to 8, or rescales."""
    tiles = getattr(file, "tile", None)
    if not tiles:
        return False
    name, _, _, args = tiles[0]
    raw = args[0] if isinstance(args, tuple) and args else args
    if name == "ppm" and isinstance(args, tuple):
        return int(args[-1]) > 255
    return isinstance(raw, str) and raw.startswith(("RGB", "LA")) and ";16" in raw


def _deep(data: bytes, path: object, exif: PillowImage.Exif) -> Image:
    """HW uint16 of a file with one channel, or three equal ones.

    Raises:
        DataError: The channels differ, or OpenCV can't read the file either.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
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

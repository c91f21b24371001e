"""Image files in and out."""

import hashlib
import re
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


PillowImage.init()  # all its formats, of which `open` must know those that it is given


def read_image(path: Path) -> Image:
    """Decode a whole image file.

    Returns:
        HW uint8 (grey), HW uint16 (16-bit grey) or HWC RGB uint8; transparency is dropped, the
        camera's rotation mark is applied.

    Raises:
        DataError: The file is missing, truncated, no image, or of an unknown pixel format.
    """
    if not path.exists():
        raise DataError(f"{path}: no such image")
    check_file(path)
    try:
        with PillowImage.open(path, "r", FORMATS) as file:
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
    raise DataError(f"{path}: pixel format {image.mode} is not supported; save it as 8 or 16 bit")


def list_images(folder: Path) -> dict[str, Path]:
    """The images of a folder by stem, in natural order (`frame2` before `frame10`).

    Raises:
        DataError: The folder is missing or has no images, or two images share a stem.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: (natural(p.stem), p.name)):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in images:
                raise DataError(f"{folder}: {images[path.stem].name} and {path.name} share a stem")
            images[path.stem] = path
    if not images:
        raise DataError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))})")
    return images


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


def to_eight_bit(image: Image, limits: tuple[int, int] | None, path: object) -> Image:
    """Map a 16-bit thermal image to 8 bit, low..high to 0..255; an 8-bit one stays as it is.

    The limits are the same for every frame: stretching each by its own range would make the same
    temperature another grey value from one frame to the next.

    Raises:
        DataError: The image has 16 bit and no limits were given.
    """
    if image.dtype != np.uint16:
        return image
    if limits is None:
        low, high = np.percentile(image, (1, 99)).astype(int)
        raise DataError(
            f"{path}: 16-bit infrared needs source.ir_range=[low,high], the counts that become "
            f"black and white (98% of this frame is in {low}..{high})"
        )
    low, high = limits
    scaled = (image.astype(np.float32) - low) * (255 / (high - low))
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


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

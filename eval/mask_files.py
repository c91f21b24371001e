"""Reading masks of labels: images of one channel, and NIfTI."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from common.errors import DataError, DeviceError, shown
from eval.masks import FindMask, Mask

_NIFTI = (".nii.gz", ".nii")
_IMAGES = (".png", ".bmp", ".tif", ".tiff")  # without loss
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def find_masks(folder: Path) -> dict[str, Path]:
    """The masks in a folder by key, the file's name without its suffix; sorted.

    Raises:
        errors.DataError: There is no such folder, or two files have one key.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of masks")
    found: dict[str, Path] = {}
    for path, key in _keys(folder):
        if key in found:
            raise _twice(found[key], path)
        found[key] = path
    return found


def read_mask(path: Path) -> Mask:
    """Decode a mask; a palette's colours do not matter. A note of its orientation is followed.

    The axes of NIfTI are kept as they are in the file, but a last one of a single slice, which is
    left out: of a slice the first axis has the rows.

    Raises:
        errors.DataError: It can't be decoded, has several channels or pages, numbers that are not
            whole, or greys of 2 or 4 bits, of which programs make different numbers.
        errors.DeviceError: It is NIfTI and nibabel is missing.
    """
    if path.name.lower().endswith(_NIFTI):
        return _nifti(path)
    try:
        with Image.open(path, formats=("PNG", "BMP", "TIFF")) as file:
            if file.mode not in _MODES:
                raise DataError(
                    f"{path}: has several channels ({file.mode}); save labels as one channel, a "
                    "whole number for each class"
                )
            if getattr(file, "n_frames", 1) > 1:
                raise DataError(f"{path}: has several pages; save each one as a mask of its own")
            if file.mode == "L" and _raw_mode(file).startswith(("L;2", "L;4")):
                raise DataError(f"{path}: has less than 8 bits a grey; save it with 8 bits")
            labels = np.asarray(ImageOps.exif_transpose(file)).astype(np.int64)
            return Mask(labels, None, str(path))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: no readable image: {error}") from error


def mask_reader(folder: Path) -> FindMask:
    """A function that reads the mask with a name from a folder, or from those below it.

    Raises:
        errors.DataError: There is no such folder; later, a mask is missing or damaged.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of masks")

    def read(key: str) -> Mask:
        paths = [folder / f"{key}{suffix}" for suffix in (*_IMAGES, *_NIFTI)]
        found = [path for path in paths if path.is_file()]
        if not found:
            raise DataError(f"{folder}: has no mask {shown(key)} (.png, .nii.gz)")
        if len(found) > 1:
            raise _twice(found[0], found[1])
        return read_mask(found[0])

    return read


def _twice(first: Path, second: Path) -> DataError:
    return DataError(f"{second}: {first.name} is a mask of the same name; remove one")


def _raw_mode(file: Image.Image) -> str:
    """How the pixels of an opened image are stored, as Pillow names it: "L;4" for 4 bits."""
    tile = getattr(file, "tile", [])
    stored = tile[0][-1] if tile else ""
    return str(stored if isinstance(stored, str) else stored[0])


def _keys(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        suffix = next((end for end in (*_NIFTI, *_IMAGES) if name.endswith(end)), None)
        if suffix is not None and path.is_file():
            yield path, path.name[: -len(suffix)]


def _nifti(path: Path) -> Mask:
    try:
        import nibabel
    except ImportError as error:
        raise DeviceError(
            f"{path}: NIfTI needs nibabel, which is not installed: pip install 'irvis[medical]'"
        ) from error
    try:
        image: Any = nibabel.load(path)
        values: NDArray[np.number] = np.asanyarray(image.dataobj)
        spacing = tuple(float(step) for step in image.header.get_zooms()[: values.ndim])
        affine = np.asarray(image.affine, np.float64)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise DataError(f"{path}: no readable NIfTI file: {error}") from error
    labels = values.astype(np.int64)
    if (labels != values).any():
        raise DataError(f"{path}: has values that are no whole numbers; is it a mask of labels?")
    while labels.ndim > 2 and labels.shape[-1] == 1:  # a single slice is an image
        labels, spacing = labels[..., 0], spacing[:-1]
    return Mask(labels, spacing, str(path), affine)

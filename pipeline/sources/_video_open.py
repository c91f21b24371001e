"""Opening a video file, and choosing which of its streams is the recording."""

from collections.abc import Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from common.errors import DataError

# Camera formats that FFmpeg doesn't read: the file's first bytes, and how to convert it.
CONVERTERS = {
    b"FFF\0": "a FLIR sequence (.seq, .csq); convert it to images with flirpy's split_seqs, then "
    "source.kind=frame_folder reads them",
    b"\xed\xfe\0\0N\0o\0r\0p\0i\0x": "a Norpix sequence; convert it to images with seqIo of "
    "Piotr's toolbox (Matlab), then source.kind=frame_folder reads them",
}
CONVERTED_SUFFIXES = (".seq", ".csq", ".ptw", ".sfmov", ".ats", ".fcf")
_NO_RECORDING = Disposition.attached_pic | Disposition.timed_thumbnails
_DEFAULT_WORTH = 5_000_000  # pixels, as in ffmpeg's own choice of the default track


def open_video(path: Path) -> InputContainer:
    """Open a file that holds a video.

    Raises:
        DataError: It is missing or FFmpeg can't read it.
    """
    if path.is_dir():
        raise DataError(
            f"{path}: is a folder; give the recording, or source.kind=image_folder or frame_folder"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such recording")
    if foreign := _foreign(path):
        raise DataError(f"{path}: {foreign}")
    try:
        return av.open(str(path), metadata_errors="replace")  # titles may be damaged
    except av.FFmpegError as error:
        more = ""
        if path.suffix.lower() in CONVERTED_SUFFIXES:
            more = (
                "; a camera's own format: export it as 16-bit images or video with the camera's "
                "program, or FLIR's with flirpy's split_seqs"
            )
        raise DataError(
            f"{path}: not a video that FFmpeg reads ({error.strerror}){more}"
        ) from error


def choose_stream(
    container: InputContainer, path: Path, track: int | None, key: str
) -> tuple[VideoStream, str]:
    """The stream to read, and a note for the user if there was a choice, else empty.

    Args:
        container: The open file.
        path: Its path, for messages.
        track: Position among the tracks, from 0; None for ``best_of``.
        key: Name of the setting, for messages.

    Raises:
        DataError: There is no such track.
    """
    tracks = recordings(container)
    if not tracks:
        only = ""
        if container.streams.video:
            known = any(s.codec_context is not None for s in container.streams.video)
            only = ", only a cover picture" if known else " of a codec that FFmpeg knows"
        raise DataError(f"{path}: has no video stream{only}")
    if track is not None:
        if track >= len(tracks):
            raise DataError(
                f"{key}={track}: {path} has {len(tracks)} video track(s), counted from 0"
            )
        return tracks[track], ""
    best = best_of(tracks)
    if len(tracks) == 1:
        return best, ""
    sizes = ", ".join(f"{i}: {s.width}x{s.height}" for i, s in enumerate(tracks))
    return best, (
        f"{path}: has {len(tracks)} video tracks ({sizes}); {tracks.index(best)} is taken, "
        f"{key} chooses"
    )


def bits(stream: VideoStream) -> int:
    """The bits of a channel of a recording."""
    pixels = stream.codec_context.format
    return max((c.bits for c in pixels.components), default=8) if pixels else 8


def recordings(container: InputContainer) -> list[VideoStream]:
    """The video tracks that can be decoded and are neither cover pictures nor thumbnails."""
    return [
        s
        for s in container.streams.video
        if s.codec_context is not None and not s.disposition & _NO_RECORDING
    ]


def best_of(tracks: Sequence[VideoStream]) -> VideoStream:
    """The track with the most pixels, where the default track gets ``_DEFAULT_WORTH`` more."""
    return max(tracks, key=_worth)


def _worth(stream: VideoStream) -> int:
    default = bool(stream.disposition & Disposition.default)
    return stream.width * stream.height + _DEFAULT_WORTH * default


def _foreign(path: Path) -> str:
    """How to convert a file of a known camera format; empty for all others."""
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return next((text for mark, text in CONVERTERS.items() if start.startswith(mark)), "")

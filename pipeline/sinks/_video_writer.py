"""H.264 video in mp4 files, each frame at a time of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from common.errors import DataError
from common.files import writing

TICKS = 90_000  # of the video's clock, per second
# The start time of the first frame has the movie's resolution, by default milliseconds.
CONTAINER = {"movie_timescale": str(TICKS)}
# No B-frames: packets are in order of presentation, and files can be joined without re-encoding.
# Fixed threads: x264's output depends on their number, by default that of the machine.
# No macroblock tree: with it x264's output is not deterministic.
ENCODER: dict[str, object] = {
    "crf": "20", "preset": "veryfast", "bf": "0", "threads": "4", "x264-params": "mbtree=0"
}  # fmt: skip


class VideoEncoder:
    """Writes a video.

    Args:
        path: The file, with the suffix .mp4.
        size: Height and width of the frames, both even.
        rate: Nominal frames per second; the last frame is shown for 1 / rate.
        comment: Text for the file's comment.

    Raises:
        DataError: The file can't be written.
    """

    def __init__(self, path: Path, *, size: tuple[int, int], rate: Fraction, comment: str) -> None:
        self._path = path
        self._duration = max(1, round(TICKS / rate))
        with _encoding(path):
            self._container = av.open(str(path), "w", options=CONTAINER)
            self._container.metadata["comment"] = comment
            self._stream = self._container.add_stream("libx264", rate=rate)
            self._stream.height, self._stream.width = size
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = ENCODER
            self._stream.codec_context.time_base = Fraction(1, TICKS)

    def write(self, image: NDArray[np.uint8], tick: int) -> None:
        """Encode HWC RGB, shown from a tick on; ticks must increase.

        Raises:
            DataError: It can't be encoded or written.
        """
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.time_base, frame.pts, frame.duration = Fraction(1, TICKS), tick, self._duration
        with _encoding(self._path):
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush the encoder and close the file.

        Raises:
            DataError: The rest can't be written.
        """
        with _encoding(self._path):
            try:
                self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()


def join(parts: Sequence[Path], path: Path) -> None:
    """Join files of one size and encoder without re-encoding.

    Raises:
        DataError: A part can't be read, has another encoding, or the file can't be written.
    """
    with _encoding(path), av.open(str(path), "w", options=CONTAINER) as whole:
        stream: VideoStream | None = None
        for part in parts:
            with av.open(str(part)) as file:
                source = file.streams.video[0]
                if stream is None:
                    stream = whole.add_stream_from_template(source)
                    stream.time_base = source.time_base
                # a file has one set of decoder settings
                if source.codec_context.extradata != stream.codec_context.extradata:
                    raise DataError(
                        f"{part}: has another encoding than {parts[0]}, they can't be joined; "
                        "start a new run"
                    )
                for packet in file.demux(source):
                    if packet.size:  # the last packet is empty
                        packet.stream = stream
                        whole.mux(packet)


def comment_and_last_tick(path: Path) -> tuple[str, int]:
    """A file's comment, and the time of its last frame.

    Raises:
        DataError: It can't be read.
    """
    try:
        with av.open(str(path)) as file:
            ticks = [packet.pts for packet in file.demux(video=0) if packet.pts is not None]
            return file.metadata["comment"], max(ticks)
    except (av.FFmpegError, KeyError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); start a new run") from error


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    try:
        with writing(path):
            yield
    except av.FFmpegError as error:
        raise DataError(f"{path}: cannot be encoded ({error})") from error

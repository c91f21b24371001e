import random
import wave

import av
import numpy as np
import pytest

from common.errors import DataError
from pipeline.frames import Frame
from pipeline.sources import _video_file, _video_image
from pipeline.sources._stream import Lost
from pipeline.sources._video_file import VideoFile
from tests.helpers.videos import write_deep, write_video

TIMES = [i * 100 for i in range(40)]


def read(path, pixel_format="gray", **more):
    file = VideoFile(path, pixel_format, **more)
    items = list(file)
    file.close()
    return items


def numbers(items):
    """The numbers of all frames, lost ones too."""
    return [item.index for item in items if item.index is not None]


def end(items):
    """Why the recording ended early; None where it didn't."""
    last = items[-1]
    return last.reason if isinstance(last, Lost) and last.index is None else None


def noisy(path, codec, size=(64, 80)):
    """40 noisy frames, so that damage hits pictures and not the container's own bytes."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for _ in TIMES:
            image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def faststart(path):
    """A copy of an mp4 file with its index at the front."""
    front = path.with_name("front.mp4")
    with (
        av.open(str(path)) as old,
        av.open(str(front), "w", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return front


def cut(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.ts"])
def test_a_whole_file_gives_every_frame(here, name):
    path = noisy(here / name, "mpeg4" if name != "a.ts" else "mpeg2video")
    items = read(path, "rgb24")
    assert all(isinstance(item, Frame) for item in items)
    assert numbers(items) == list(range(40))
    times = np.array([item.timestamp_ns for item in items])
    assert np.abs(np.diff(times) - 100_000_000).max() <= 1_000_000


def test_an_mp4_without_its_index_cannot_be_opened(here):
    path = cut(noisy(here / "a.mp4", "mpeg4"), 0.7)
    with pytest.raises(DataError, match=r"a\.mp4: not a video that FFmpeg reads \(Invalid data"):
        VideoFile(path, "gray")


@pytest.mark.parametrize("name", ["a.mkv", "front.mp4"])
def test_a_truncated_file_keeps_what_is_before_the_end(here, name, caplog):
    path = noisy(here / "a.mkv", "mpeg4") if name == "a.mkv" else None
    path = cut(path or faststart(noisy(here / "a.mp4", "mpeg4")), 0.7)
    items = read(path)
    good = [item for item in items if isinstance(item, Frame)]
    assert 20 < len(good) < 32
    assert [frame.index for frame in good] == list(range(len(good)))
    assert "s of 4.00 s" in end(items)
    assert str(path) in end(items)
    assert end(items) in caplog.text


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_flipped_bytes_lose_some_frames_and_hide_none(here, codec, seed):
    path = noisy(here / "a.mp4", codec)
    content = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(40):
        content[rng.randrange(len(content) // 4, len(content) * 3 // 4)] ^= rng.randrange(1, 256)
    path.write_bytes(content)
    items = read(path)
    good = [item for item in items if isinstance(item, Frame)]
    lost = [item for item in items if isinstance(item, Lost) and item.index is not None]
    assert numbers(items) == list(range(len(good) + len(lost)))
    assert all(f"frame {item.index} is damaged" in item.reason for item in lost)
    assert len(good) + len(lost) == 40 or "of 40 packets gave no picture" in end(items)
    assert good[-1].timestamp_ns == 3_900_000_000  # it went on to the end
    assert 5 < len(good) < 40


def test_a_damaged_title_does_no_harm(here):
    path = write_video(here / "a.mkv", TIMES[:3], 10)
    content = path.read_bytes()
    assert content.count(b"00:00:00.3") == 1  # the length, as text
    path.write_bytes(content.replace(b"00:00:00.3", b"00:00\xe500.3"))
    assert numbers(read(path)) == [0, 1, 2]


def test_what_looks_like_a_new_stream_ends_the_recording(here, monkeypatch):
    open_video = _video_file.open_video

    class Stumbling:
        def __init__(self, path):
            self._file = open_video(path)

        def __getattr__(self, name):
            return getattr(self._file, name)

        def demux(self, stream):
            yield from self._file.demux(stream)
            raise IndexError("list index out of range")

    monkeypatch.setattr(_video_file, "open_video", Stumbling)
    items = read(write_video(here / "a.mkv", TIMES[:3], 10))
    assert numbers(items) == [0, 1, 2]
    assert "cannot be read to its end (another stream begins in the middle)" in end(items)


def test_a_decoder_that_fails_in_the_middle_goes_on(here):
    file = VideoFile(write_video(here / "a.mkv", TIMES[:6], 10), "gray")
    packets = list(file._read())
    packets.insert(3, av.Packet(b"no picture at all"))
    file._read = lambda: iter(packets)
    items = list(file)
    assert numbers(items) == list(range(7))
    lost = [item for item in items if isinstance(item, Lost)]
    assert len(lost) == 1
    assert "is damaged (Invalid data" in lost[0].reason


def test_pixels_that_cannot_be_converted_end_the_recording():
    """As where no thread can be started for it: not a damaged frame, which would be left out."""

    class Stub:
        width, height, format = 80, 64, av.VideoFormat("yuv420p")

        def to_ndarray(self, **_):
            raise av.error.BlockingIOError(11, "Resource temporarily unavailable")

    with pytest.raises(DataError, match=r"80x64 in yuv420p cannot be converted \(Resource tempor"):
        _video_image.to_image(Stub(), "rgb24")


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("gray10le", 10), ("gray12le", 12), ("gray16le", 16)]
)
def test_deep_grey_keeps_its_counts(here, pixel_format, bits):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2**bits, (3, 16, 24), dtype=np.uint16)
    path = write_deep(here / "a.mkv", images, pixel_format)
    found = np.stack([frame.image for frame in read(path)])
    assert found.dtype == np.uint16
    # FFmpeg widens fewer bits to all 16
    assert np.abs(found.astype(int) - images.astype(int) * 2 ** (16 - bits)).max() < 2 ** (
        16 - bits
    )


def test_every_image_goes_through_convert_in_order(here):
    write_video(here / "a.mkv", TIMES[:5], 10, grey=True)
    seen = []

    def convert(image):
        seen.append(image[0, 0])
        return image + 1

    found = [frame.image[0, 0] for frame in read(here / "a.mkv", convert=convert)]
    assert found == [level + 1 for level in seen]
    assert seen == pytest.approx([0, 10, 20, 30, 40], abs=2)


def listed(here, times):
    path = here / "times.csv"
    path.write_text("frame,time_ns\n" + "".join(f"{i},{t}\n" for i, t in enumerate(times)))
    return path


def test_listed_times_take_the_place_of_the_files_own(here):
    write_video(here / "a.mkv", TIMES[:3], 10)
    file = VideoFile(here / "a.mkv", "gray", times=listed(here, [5, 20_000_005, 40_000_005]))
    assert file.rate == 50
    assert [frame.timestamp_ns for frame in file] == [5, 20_000_005, 40_000_005]


def test_a_list_that_is_too_short_ends_the_run(here):
    write_video(here / "a.mkv", TIMES[:3], 10)
    with pytest.raises(
        DataError, match=r"times\.csv, line 3: ends with frame 1, but .*a\.mkv goes on"
    ):
        read(here / "a.mkv", times=listed(here, [0, 1]))


def test_a_list_that_is_too_long_is_said(here):
    times = listed(here, range(4))
    write_video(here / "a.mkv", TIMES[:3], 10)
    items = read(here / "a.mkv", times=times)
    assert len(items) == 4
    assert "a.mkv: has 3 frames, " in end(items)
    assert "times.csv lists 4; times after a damaged place" in end(items)
    write_video(here / "a.mp4", TIMES[:3], 10, codec="mpeg4")
    with pytest.raises(
        DataError, match=r"times\.csv, line 5: frame 3 is not in .*a\.mp4, which has 3"
    ):
        VideoFile(here / "a.mp4", "gray", times=times)


def test_a_file_with_sound_alone(here):
    with wave.open(str(here / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4096))
    with pytest.raises(DataError, match="no video stream"):
        VideoFile(here / "a.wav", "gray")

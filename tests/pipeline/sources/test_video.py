import numpy as np
import pytest

from common.errors import DataError
from pipeline.frames import BadPair, FramePair
from pipeline.sources import _video_file, video
from pipeline.sources._gain import AutoGain
from tests.helpers.threads import prompt
from tests.helpers.videos import write_deep, write_video


def build(here, **more):
    return video.build(video.Config(ir=here / "ir.mkv", vis=here / "vis.mkv", **more))


def test_pairs_of_two_rates(here):
    write_video(here / "ir.mkv", [i * 100 for i in range(6)], 10, grey=True)
    write_video(here / "vis.mkv", [i * 200 for i in range(3)], 5)
    with build(here) as source:
        found = list(source)
    whole = [pair for pair in found if pair.problem() is None]
    assert [(pair.key, pair.ir.index) for pair in whole] == [
        ("000000", 0), ("000001", 2), ("000002", 4),
    ]  # fmt: skip
    assert [pair.key for pair in found if pair.vis is None] == [
        "ir_000001", "ir_000003", "ir_000005",
    ]  # fmt: skip
    assert [pair.vis.timestamp_ns for pair in whole] == [0, 200_000_000, 400_000_000]
    assert source.frame_rate == 5
    assert whole[1].ir.image.shape == (48, 64)
    assert whole[1].ir.image.mean() == pytest.approx(20, abs=2)
    assert whole[1].vis.image.shape == (48, 64, 3)
    assert whole[1].vis.image.mean() == pytest.approx(10, abs=2)


def test_tolerance_can_be_given(here):
    write_video(here / "ir.mkv", [30, 130, 230], 10)
    write_video(here / "vis.mkv", [0, 100, 200], 10)
    # counted from each file's start they are equal; by one clock they are 30 ms apart
    assert sum(pair.problem() is None for pair in build(here, tolerance_ms=0)) == 3
    assert sum(pair.problem() is None for pair in build(here, offset_ms=30)) == 3
    with pytest.raises(DataError, match=r"no pair: .*within 29 ms; give another source\.offset_ms"):
        list(build(here, offset_ms=30, tolerance_ms=29))


@pytest.mark.parametrize(("name", "content"), [("no.mkv", None), ("text.mkv", b"hello")])
def test_files_that_are_no_video(here, name, content):
    write_video(here / "vis.mkv", [0], 10)
    if content:
        (here / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        video.build(video.Config(ir=here / name, vis=here / "vis.mkv"))


def test_a_damaged_frame_is_a_bad_pair_and_its_partner_stands_alone(here, monkeypatch):
    write_video(here / "vis.mkv", [i * 100 for i in range(6)], 10)
    write_video(here / "ir.mkv", [i * 100 for i in range(6)], 10)
    source = build(here)
    decode = _video_file.VideoFile._decode

    def damaged(recording, packet):
        for item in decode(recording, packet):
            lost = recording._path.name == "ir.mkv" and item.index == 2
            yield recording._lost("test") if lost else item

    monkeypatch.setattr(_video_file.VideoFile, "_decode", damaged)
    found = [
        (pair.key, pair.reason) if isinstance(pair, BadPair) else (pair.key, pair.problem())
        for pair in source
    ]
    assert sorted(found) == [
        ("000000", None),
        ("000001", None),
        ("000002", "pair 000002: frame 2 has no infrared partner"),
        ("000003", None),
        ("000004", None),
        ("000005", None),
        ("ir_000002", f"{here / 'ir.mkv'}: frame 2 is damaged (test)"),
    ]


def test_a_truncated_recording_is_paired_as_far_as_it_goes(here):
    times = [i * 100 for i in range(20)]
    write_video(here / "vis.mkv", times, 10)
    write_video(here / "ir.mkv", times, 10, grey=True, size=(480, 640))
    whole = (here / "ir.mkv").read_bytes()
    (here / "ir.mkv").write_bytes(whole[: len(whole) // 2])
    found = list(build(here))
    bad = [pair for pair in found if isinstance(pair, BadPair)]
    assert [pair.key for pair in bad] == ["ir_end"]
    assert "s of 2.00 s" in bad[0].reason
    frames = [pair for pair in found if isinstance(pair, FramePair)]
    assert [pair.key for pair in frames] == [f"{i:06d}" for i in range(20)]  # none is lost
    assert 3 < sum(pair.ir is not None for pair in frames) < 20


def test_times_and_the_clock_can_be_given(here):
    write_video(here / "ir.mkv", [i * 100 for i in range(5)], 10)
    write_video(here / "vis.mkv", [i * 100 for i in range(5)], 10)
    rows = "".join(f"{i},{7 + i * 0.2:.1f}\n" for i in range(5))
    (here / "ir.csv").write_text("frame,time_s\n" + rows)
    rows = "".join(f"{i},{i * 200_020_000}\n" for i in range(5))
    (here / "vis.csv").write_text("frame,time_ns\n" + rows)
    settings = {"ir_times": here / "ir.csv", "vis_times": here / "vis.csv", "tolerance_ms": 0.01}
    with pytest.raises(DataError, match=r"no pair: infrared covers 7\.0\.\.7\.8 s, visible 0\.0"):
        build(here, **settings)
    assert sum(pair.problem() is None for pair in build(here, **settings, offset_ms=-7000)) == 1
    with build(here, **settings, offset_ms=-7000, drift_ppm=100) as source:
        assert all(pair.problem() is None for pair in source)
        assert float(source.frame_rate) == pytest.approx(5, rel=1e-3)
        assert source.skew.as_dict()["pairs"] == 5
        assert source.skew.as_dict()["max_ms"] == 0


def write_motion(path, first, count=120):
    """Frames of something that moves by fits and starts, from frame ``first`` of it on."""
    rng = np.random.default_rng(0)
    speed = rng.gamma(0.3, 8, first + count).cumsum()[first:]
    waves = np.sin((np.arange(64)[None] + speed[:, None]) / 5)
    images = np.broadcast_to(waves[:, None], (count, 48, 64)) * 10_000 + 20_000
    return write_deep(path, images.astype(np.uint16))


def test_the_offset_can_be_found_from_the_motion(here, caplog):
    caplog.set_level("INFO")
    write_motion(here / "ir.mkv", 7)  # it started 0.7 s later
    write_motion(here / "vis.mkv", 0)
    with build(here, offset_ms="auto") as source:
        found = list(source)
    assert source.clock.offset_ns == pytest.approx(700_000_000, abs=50_000_000)
    assert source.clock.drift_ppm == 0
    whole = [pair for pair in found if pair.problem() is None]
    assert len(whole) == 113
    assert all(pair.vis.index - pair.ir.index == 7 for pair in whole)
    assert "correlation of the motion" in caplog.text


def test_an_offset_that_cannot_be_found_is_said(here):
    write_video(here / "ir.mkv", [0, 100], 10)
    write_video(here / "vis.mkv", [0, 100], 10)
    with prompt(), pytest.raises(DataError, match=r"too short .* give source\.offset_ms"):
        list(build(here, offset_ms="auto"))
    with pytest.raises(ValueError, match="found together with offset_ms=auto"):
        video.Config(ir="a", vis="b", offset_ms="auto", drift_ppm=3)


def test_sixteen_bit_infrared_takes_automatic_gain_or_a_range(here):
    write_video(here / "vis.mkv", [0, 100], 10)
    images = np.stack([np.linspace(9_000 + i, 9_900 + i, 48 * 64) for i in range(2)])
    images = images.reshape(2, 48, 64).round().astype(np.uint16)
    write_deep(here / "ir.mkv", images)
    automatic = AutoGain()
    with build(here) as source:
        found = [pair.ir.image for pair in source]
    assert all(np.array_equal(a, automatic(b)) for a, b in zip(found, images, strict=True))
    with build(here, ir_range=(9_000, 10_000)) as source:
        found = [pair.ir.image for pair in source]
    exact = (images - 9_000.0) * 255 / 1_000
    assert np.abs(np.stack(found) - exact).max() <= 0.51


def test_an_iteration_that_is_left_ends_its_threads(here):
    write_video(here / "ir.mkv", [i * 100 for i in range(60)], 10)
    write_video(here / "vis.mkv", [i * 100 for i in range(60)], 10)
    with prompt(), build(here) as source:
        pairs = iter(source)
        assert next(pairs).key == "000000"
    with prompt():
        assert next(iter(build(here))).key == "000000"


def test_measures_its_threads(here):
    write_video(here / "ir.mkv", [0, 100], 10)
    write_video(here / "vis.mkv", [0, 100], 10)
    with build(here) as source:
        list(source)
    assert set(source.threads) == {"ir", "vis"}
    assert all(thread.busy_s > 0 for thread in source.threads.values())


def test_shared_clip_pairs_every_frame(shared):
    clips = shared / "data" / "m3svd"
    name = "0111_1716.mp4"
    config = video.Config(ir=clips / "infrared" / name, vis=clips / "visible" / name)
    with video.build(config) as source:
        assert source.count == 151
        keys = [pair.key for pair in source if pair.problem() is None]
    assert keys == [f"{i:06d}" for i in range(151)]

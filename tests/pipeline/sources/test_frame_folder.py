import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from pipeline.frames import BadPair
from pipeline.sources import frame_folder
from pipeline.sources._gain import AutoGain


def counts(index):
    """A 16-bit scene that warms."""
    return (np.arange(48 * 64).reshape(48, 64) // 4 + 20_000 + 5 * index).astype(np.uint16)


def write(here, ir_times=(0, 40, 80), vis_times=(0, 40, 80), suffix="tiff"):
    """16-bit infrared and 8-bit visible images; times in milliseconds."""
    for name, times in (("ir", ir_times), ("vis", vis_times)):
        folder = here / name
        folder.mkdir()
        rows = ["name,time_ns"]
        for i, time in enumerate(times):
            path = folder / f"{name}{i}.{suffix if name == 'ir' else 'png'}"
            vis = np.full((48, 64, 3), i, np.uint8)
            Image.fromarray(counts(i) if name == "ir" else vis).save(path)
            rows.append(f"{path.name},{time * 1_000_000}")
        (here / f"{name}.csv").write_text("\n".join(rows) + "\n")


def build(here, **more):
    return frame_folder.build(
        frame_folder.Config(
            ir=here / "ir",
            vis=here / "vis",
            ir_times=here / "ir.csv",
            vis_times=here / "vis.csv",
            **more,
        )
    )


@pytest.mark.parametrize("suffix", ["tiff", "png"])
def test_pairs_by_time_with_automatic_gain(here, suffix):
    write(here, suffix=suffix)
    automatic = AutoGain()
    with build(here) as source:
        assert source.count == 3
        assert source.frame_rate == 25
        found = list(source)
    assert [pair.key for pair in found] == ["vis0", "vis1", "vis2"]
    assert all(np.array_equal(p.ir.image, automatic(counts(i))) for i, p in enumerate(found))
    assert [pair.vis.image[0, 0, 0] for pair in found] == [0, 1, 2]
    assert [pair.vis.timestamp_ns for pair in found] == [0, 40_000_000, 80_000_000]
    assert source.skew.as_dict()["pairs"] == 3


def test_a_range_takes_the_place_of_the_gain(here):
    write(here)
    with build(here, ir_range=(20_000, 20_255)) as source:
        assert all(pair.ir.image[0, 0] == 5 * i for i, pair in enumerate(source))


def test_each_camera_has_its_own_times(here):
    write(here, ir_times=(0, 20, 40, 60), vis_times=(21, 61))
    with build(here) as source:
        found = [
            (pair.key, pair.ir and pair.ir.index, pair.vis and pair.vis.index) for pair in source
        ]
    assert sorted(found, key=str) == [
        ("ir_ir0", 0, None), ("ir_ir2", 2, None), ("vis0", 1, 0), ("vis1", 3, 1),
    ]  # fmt: skip


def test_a_damaged_image_is_a_bad_pair(here):
    write(here)
    (here / "ir" / "ir1.tiff").write_bytes(b"damaged")
    Image.fromarray(counts(0)).save(here / "vis" / "vis2.png")
    with build(here) as source:
        found = list(source)
    bad = {pair.key: pair.reason for pair in found if isinstance(pair, BadPair)}
    assert set(bad) == {"ir_ir1", "vis2"}
    assert bad["ir_ir1"] == f"{here / 'ir' / 'ir1.tiff'}: not an image that can be read"
    assert bad["vis2"].endswith("vis2.png: visible images must have 8 bit; convert it")
    whole = [pair.key for pair in found if not isinstance(pair, BadPair) and not pair.problem()]
    assert whole == ["vis0"]


def test_folder_and_list_must_agree(here):
    write(here)
    (here / "ir" / "ir1.tiff").rename(here / "ir" / "other.tiff")
    with pytest.raises(DataError, match=r"ir\.csv: lists ir1\.tiff, which is not in .*ir$"):
        build(here)
    (here / "ir" / "other.tiff").rename(here / "ir" / "ir1.tiff")
    Image.fromarray(counts(0)).save(here / "vis" / "more.png")
    with pytest.raises(DataError, match=r"vis\.csv: doesn't list more\.png, which is in .*vis$"):
        build(here)


def test_no_labels(here):
    write(here)
    with build(here) as source:
        source.check()
        assert not source.has_labels
        assert source.keys is None
        assert len(source.label_classes("vis0")) == 0
        assert len(source.labels("vis0", (48, 64)).xyxy) == 0

import logging
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.images import pair_id
from training import config, data, streets
from training.config import AugmentConfig

DEFAULT = Path(config.__file__).parent.parent / "configs" / "train_irvis.yaml"
PLAIN = AugmentConfig(shifted=0, shift=0, darkened=0)


def draw(height, width, seed):
    rng = np.random.default_rng(seed)
    ir = rng.integers(256, size=(height, width), dtype=np.uint8)
    return ir, rng.integers(256, size=(height, width, 3), dtype=np.uint8)


def write(root, name, seed, size=(48, 56)):
    """A pair of images of noise."""
    for folder, image in zip(("ir", "vis"), draw(*size, seed), strict=True):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / folder / f"{name}.png")


def film(path, count, rate=10):
    """Frame i is uniformly of level 10 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width, stream.pix_fmt = 48, 56, "bgr0"
        stream.codec_context.time_base = stream.time_base = Fraction(1, rate)
        for index in range(count):
            image = np.full((48, 56, 3), 10 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def files(root, **more):
    return {"kind": "files", "ir": str(root / "ir"), "vis": str(root / "vis"), **more}


def settings(tmp_path, sources, **more):
    made = {"cache": str(tmp_path / "cache"), "crop": 32, "sources": sources, **more}
    return config.check({"data": made, "compute": {"batch": 4}})


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        write(tmp_path / "a", f"p{number}", seed=number)
    return tmp_path / "a"


def test_pairs_are_decoded_as_they_are(tmp_path, folder):
    write(folder, "p10", seed=10, size=(33, 80))
    pairs = data.open_sources(settings(tmp_path, {"a": files(folder)}))["a"]
    order = [(48, 56, 0), (48, 56, 1), (33, 80, 10), (48, 56, 2), (48, 56, 3), (48, 56, 4)]
    assert len(pairs) == 6
    for number, drawn in enumerate(order):  # p0 p1 p10 p2 p3 p4: by the sorted stem
        ir, vis = draw(*drawn)
        assert np.array_equal(pairs[number][..., 3], ir)
        assert np.array_equal(pairs[number][..., :3], vis)
        assert pairs.ids[number] == pair_id(ir, vis)


def test_the_cache_is_used_and_made_again(tmp_path, folder, monkeypatch):
    checked = settings(tmp_path, {"a": files(folder)})
    before = data.open_sources(checked)["a"].ids
    with monkeypatch.context() as patch:
        patch.setattr(data, "_fill", None)
        assert data.open_sources(checked)["a"].ids == before
        # neither weight nor resolution of crops is about what is decoded
        other = settings(tmp_path, {"a": files(folder, weight=3, halve=0.5)})
        assert data.open_sources(other)["a"].ids == before
    write(folder, "p3", seed=99)
    os.utime(folder / "ir" / "p3.png", ns=(0, 0))
    after = data.open_sources(checked)["a"].ids
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, True, False, True]


def test_a_cache_that_was_broken_off_is_not_taken(tmp_path, folder):
    checked = settings(tmp_path, {"a": files(folder)})
    (folder / "ir" / "p4.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"p4\.png"):
        data.open_sources(checked)
    assert list((tmp_path / "cache").iterdir()) == []


def test_exclusions(tmp_path, folder):
    source = files(folder, exclude=["p1"], exclude_last=2)
    pairs = data.open_sources(settings(tmp_path, {"a": source}))["a"]
    assert pairs.ids == tuple(pair_id(*draw(48, 56, seed)) for seed in (0, 2))
    with pytest.raises(DataError, match=r"data\.sources\.a\.exclude: there is no 'p7'"):
        data.open_sources(settings(tmp_path, {"a": files(folder, exclude=["p7"])}))
    with pytest.raises(DataError, match=r"data\.sources\.a: no pair"):
        data.open_sources(settings(tmp_path, {"a": files(folder, exclude_last=6)}))


def test_a_missing_partner(tmp_path, folder):
    (folder / "vis" / "p2.png").unlink()
    with pytest.raises(DataError, match=r"ir/p2\.png has no partner"):
        data.open_sources(settings(tmp_path, {"a": files(folder)}))


def test_small_pairs_are_left_out(tmp_path, folder, caplog):
    write(folder, "small", seed=9, size=(31, 90))
    with caplog.at_level(logging.WARNING):
        pairs = data.open_sources(settings(tmp_path, {"a": files(folder)}))["a"]
    assert len(pairs) == 5
    assert "1 of 6 pairs are smaller than a crop" in caplog.text
    with pytest.raises(DataError, match=r"data\.sources\.a: no pair is as large as a crop"):
        data.open_sources(settings(tmp_path, {"a": files(folder)}, crop=64))


def test_held_out_pairs_are_refused_under_any_name(tmp_path, folder):
    write(tmp_path / "dev", "other", seed=3)
    held = {"dev": {"ir": str(tmp_path / "dev/ir"), "vis": str(tmp_path / "dev/vis")}}
    with pytest.raises(DataError, match=r"sources\.a: holds other of data\.held_out\.dev"):
        data.open_sources(settings(tmp_path, {"a": files(folder)}, held_out=held))
    kept = files(folder, exclude=["p3"])
    assert len(data.open_sources(settings(tmp_path, {"a": kept}, held_out=held))["a"]) == 4


def test_recordings_give_the_frames_that_have_partners(tmp_path):
    film(tmp_path / "a/ir/clip.mkv", count=5)
    film(tmp_path / "a/vis/clip.mkv", count=3)
    pairs = data.open_sources(settings(tmp_path, {"a": files(tmp_path / "a")}))["a"]
    assert [pairs[i].mean(axis=(0, 1)).tolist() for i in range(len(pairs))] == [
        pytest.approx([10 * i] * 4, abs=1.5) for i in range(3)
    ]


def test_generated_streets(tmp_path):
    street = {"kind": "generated", "seed": 100_001, "clips": 2, "frames": 2, "size": [64, 80]}
    pairs = data.open_sources(settings(tmp_path, {"a": street}))["a"]
    drawn = [scene for seed in (100_001, 100_002) for scene in streets.scenes(seed, 2, (64, 80))]
    assert list(pairs.ids) == [pair_id(scene.ir, scene.vis) for scene in drawn]
    with pytest.raises(ConfigError, match=r"data\.sources\.a\.seed: .*100000, not 7"):
        settings(tmp_path, {"a": {**street, "seed": 7}})


def sampler(tmp_path, folder, **augment):
    made = settings(tmp_path, {"a": files(folder)}, augment={**PLAIN.model_dump(), **augment})
    return made, data.open_sources(made)


def test_a_batch_is_a_function_of_its_step(tmp_path, folder):
    made, sources = sampler(tmp_path, folder, shifted=0.5, shift=4, darkened=0.5)
    late, fresh = data.Sampler(made, sources), data.Sampler(made, sources)
    for step in range(5):
        late(step)
    one, two, next_one = late(5), fresh(5), fresh(6)
    for name in ("seen", "ir", "vis"):
        assert torch.equal(getattr(one, name), getattr(two, name))
        assert not torch.equal(getattr(one, name), getattr(next_one, name))
    assert (one.seen.shape, one.ir.shape, one.vis.shape) == (
        (4, 1, 32, 32), (4, 1, 32, 32), (4, 3, 32, 32),
    )  # fmt: skip
    assert one.vis.dtype == torch.uint8
    schedule = made.schedule.model_copy(update={"seed": 1})
    other = data.Sampler(replace(made, schedule=schedule), sources)
    assert not torch.equal(other(5).vis, one.vis)


def test_crops_are_windows_turned_and_flipped(tmp_path, folder):
    made, sources = sampler(tmp_path, folder)
    known = set()
    for planes in (sources["a"][i] for i in range(5)):
        for top in range(48 - 32 + 1):
            for left in range(56 - 32 + 1):
                window = planes[top : top + 32, left : left + 32]
                known |= {
                    (np.rot90(w, k).tobytes(), k, w is window)
                    for k in range(4)
                    for w in (window, window[:, ::-1])
                }
    places = {content: (turns, plain) for content, turns, plain in known}
    met = set()
    for step in range(30):
        batch = data.Sampler(made, sources)(step)
        assert torch.equal(batch.seen, batch.ir)
        crops = torch.cat((batch.vis, batch.ir), dim=1).permute(0, 2, 3, 1).numpy()
        met |= {places[np.ascontiguousarray(crop).tobytes()] for crop in crops}
    assert len(met) == 8


def test_sources_are_drawn_by_weight(tmp_path, folder):
    write(tmp_path / "b", "white", seed=0)
    for name, mode in (("ir", "L"), ("vis", "RGB")):
        Image.new(mode, (56, 48), "white").save(tmp_path / "b" / name / "white.png")
    sources = {"a": files(folder, weight=1), "b": files(tmp_path / "b", weight=3)}
    made = settings(tmp_path, sources, augment=PLAIN.model_dump())
    draws = data.Sampler(made, data.open_sources(made))
    white = torch.cat([draws(step).ir.amin(dim=(1, 2, 3)) == 255 for step in range(100)])
    assert white.float().mean() == pytest.approx(0.75, abs=0.08)  # 4 sigma are 0.087


def places(height, width):
    """Red and infrared say the column, green the row."""
    y, x = np.mgrid[:height, :width].astype(np.uint8)
    return np.dstack((x, y, 0 * x, x))


def test_only_the_infrared_that_is_seen_is_shifted():
    rng, planes = np.random.default_rng(0), places(100, 120)
    always, shifts = AugmentConfig(shifted=1, shift=3), set()
    for _ in range(200):
        crop = data.cut(planes, 32, rng, always, halve=False).astype(int)
        assert np.array_equal(crop[..., 3], crop[..., 0])
        moved = crop[..., 4] - crop[..., 3]
        assert moved.min() == moved.max()
        shifts.add(moved[0, 0])
    assert shifts == set(range(-3, 4))
    rarely = AugmentConfig(shifted=0.25, shift=3)
    cuts = [data.cut(planes, 32, rng, rarely, halve=False) for _ in range(400)]
    still = np.mean([np.array_equal(crop[..., 4], crop[..., 3]) for crop in cuts])
    assert still == pytest.approx(0.75 + 0.25 / 7, abs=0.09)


def test_half_the_resolution_is_the_mean_of_four():
    planes = np.random.default_rng(0).integers(256, size=(64, 64, 4), dtype=np.uint8)
    crop = data.cut(planes, 32, np.random.default_rng(1), PLAIN, halve=True)
    expected = planes.reshape(32, 2, 32, 2, 4).mean(axis=(1, 3))
    assert np.abs(crop[..., :4] - expected).max() <= 0.5
    # an image that is too small for it gives a crop as it is
    small = data.cut(places(40, 40), 32, np.random.default_rng(1), PLAIN, halve=True)
    assert (np.diff(small[..., 0].astype(int)) == 1).all()


def test_darkening_keeps_the_order_of_levels():
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        dark = data.darken(levels, rng).astype(int)
        assert (np.diff(dark[:, 0]) >= 0).all()
        assert (dark <= levels).all()
        assert 64 <= dark[255, 0] <= 255


def test_the_default_configuration_reads_back():
    loaded = config.load(DEFAULT)
    again = config.check(loaded.dump())
    assert again.dump() == loaded.dump()
    assert (again.sources, again.sheet) == (loaded.sources, loaded.sheet)
    assert loaded.weights == (100, 10, 1)
    assert loaded.sources["clips"].exclude == ("1230_1202",)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.sources.llvip.exclude_lats=3", r"unknown key data\.sources\.llvip\.exclude_lats"),
        (
            "data.sources.new.kind=film",
            r"data\.sources\.new\.kind: 'film' is none; did you mean 'files'",
        ),
        ("data.sources.llvip.weight=0", r"data\.sources\.llvip\.weight: .*greater than 0"),
        ("data.held_out.dev.labels=a", r"unknown key data\.held_out\.dev\.labels"),
        ("sheet.kyes=[a]", r"unknown key sheet\.kyes; did you mean 'keys'"),
        ("schedule.warmup=2600", r"schedule: warmup \(2600\) must be shorter than steps"),
        ("run.on_bad_pair=skip", r"run\.on_bad_pair"),
        ("loss=mse", r"loss: "),
        ("data.crop=100", r"data\.crop: .*multiple of 32"),
    ],
)
def test_mistakes_in_the_configuration(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(DEFAULT, [override])
    assert "\n" not in str(caught.value)


def test_no_sources():
    gone = [f"data.sources.{name}=null" for name in config.load(DEFAULT).sources]
    with pytest.raises(ConfigError, match=r"data\.sources: there are none"):
        config.load(DEFAULT, gone)


@pytest.mark.slow
def test_the_dev_set_is_excluded(shared, tmp_path):
    """The rules of the shared data's README, as the default configuration has them."""
    folders = {"roadscene": "roadscene", "llvip": "llvip"}
    overrides = [
        f"data.sources.{name}.{kind}={shared}/data/{folder}/{long}"
        for name, folder in folders.items()
        for kind, long in (("ir", "infrared"), ("vis", "visible"))
    ]
    overrides += [
        f"data.held_out.dev.{k}={shared}/data/dev/{f}" for k, f in (("ir", "ir"), ("vis", "vi"))
    ]
    overrides += [f"data.sources.{name}=null" for name in ("stills", "clips", "streets")]
    overrides += [f"data.held_out.{name}=null" for name in ("msrs", "msrs_detection", "tno")]
    overrides += [f"data.cache={tmp_path}"]
    sources = data.open_sources(config.load(DEFAULT, overrides))
    assert {name: len(pairs) for name, pairs in sources.items()} == {"roadscene": 181, "llvip": 34}
    for name, fewer in (("roadscene", 39), ("llvip", 9)):
        one_more = f"data.sources.{name}.exclude_last={fewer}"
        with pytest.raises(DataError, match=rf"sources\.{name}: holds {name}_"):
            data.open_sources(config.load(DEFAULT, [*overrides, one_more]))

import json
import logging
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.images import pair_id
from tests.helpers.recipes import files
from training import config, streets
from training import pairs as data

DEFAULT = Path(config.__file__).parent.parent / "configs" / "train_irvis.yaml"


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
        # the weight is not about what is decoded
        other = settings(tmp_path, {"a": files(folder, weight=3)})
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
    with pytest.raises(DataError, match=r"data\.sources\.a\.exclude: 'p7' is not in"):
        data.open_sources(settings(tmp_path, {"a": files(folder, exclude=["p7"])}))
    with pytest.raises(DataError, match=r"data\.sources\.a: all pairs"):
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
    with pytest.raises(DataError, match=r"data\.sources\.a: all pairs are smaller than a crop"):
        data.open_sources(settings(tmp_path, {"a": files(folder)}, crop=64))


def test_held_out_pairs_are_refused_under_any_name(tmp_path, folder):
    write(tmp_path / "dev", "other", seed=3)
    held = {"dev": {"ir": str(tmp_path / "dev/ir"), "vis": str(tmp_path / "dev/vis")}}
    with pytest.raises(DataError, match=r"sources\.a: contains other of data\.held_out\.dev"):
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


def test_recordings_may_be_thinned_out(tmp_path):
    for camera in ("ir", "vis"):
        film(tmp_path / "a" / camera / "clip.mkv", count=5)
    made = settings(tmp_path, {"a": files(tmp_path / "a", every=2)})
    pairs = data.open_sources(made)["a"]
    levels = [pairs[i].mean() for i in range(len(pairs))]
    assert levels == [pytest.approx(level, abs=1.5) for level in (0, 20, 40)]


def test_labels_are_read_and_scaled_with_their_pair(tmp_path, folder):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "p1.txt").write_text("2 0.5 0.5 0.25 0.5\n0 0.25 0.5 0.5 0.5\n")
    (labels / "p3.txt").write_text("")
    source = files(folder, labels=str(labels), size=112)  # twice 48 x 56
    pairs = data.open_sources(settings(tmp_path, {"a": source}))["a"]
    assert [pairs[i].shape for i in range(5)] == [(96, 112, 4)] * 5
    assert pairs.ids[1] == pair_id(*draw(48, 56, 1))  # of the pixels before they were scaled
    assert [truth is None for truth in pairs.truth] == [True, False, True, False, True]
    assert len(pairs.truth[3]) == 0
    assert pairs.truth[1].class_id.tolist() == [2, 0]
    assert pairs.truth[1].xyxy.tolist() == [[42, 24, 70, 72], [0, 24, 56, 72]]
    assert not pairs.complete


def test_generated_streets(tmp_path):
    street = {"kind": "generated", "seed": 100_001, "clips": 2, "frames": 2, "size": [64, 80]}
    pairs = data.open_sources(settings(tmp_path, {"a": street}))["a"]
    drawn = [scene for seed in (100_001, 100_002) for scene in streets.scenes(seed, 2, (64, 80))]
    assert list(pairs.ids) == [pair_id(scene.ir, scene.vis) for scene in drawn]
    assert pairs.complete
    for truth, scene in zip(pairs.truth, drawn, strict=True):
        assert np.array_equal(truth.xyxy, scene.labels.xyxy)
        assert np.array_equal(truth.class_id, scene.labels.class_id)
        assert np.array_equal(truth.ignore, scene.labels.ignore)
    with pytest.raises(ConfigError, match=r"data\.sources\.a\.seed: .*100000, not 7"):
        settings(tmp_path, {"a": {**street, "seed": 7}})


def test_the_default_configuration_reads_back():
    loaded = config.load(DEFAULT)
    again = config.check(loaded.dump())
    assert again.dump() == loaded.dump()
    assert (again.sources, again.sheet) == (loaded.sources, loaded.sheet)
    assert loaded.loss.paper is None
    assert loaded.sources["clips"].exclude == ("1230_1202",)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.sources.llvip.exclude_lats=3", r"unknown key data\.sources\.llvip\.exclude_lats"),
        (
            "data.sources.new.kind=film",
            r"data\.sources\.new\.kind: unknown 'film'; did you mean 'files'",
        ),
        ("data.sources.llvip.weight=0", r"data\.sources\.llvip\.weight: .*greater than 0"),
        ("data.held_out.dev.labels=a", r"unknown key data\.held_out\.dev\.labels"),
        ("sheet.kyes=[a]", r"unknown key sheet\.kyes; did you mean 'keys'"),
        ("schedule.warmup=9999", r"schedule: warmup \(9999\) must be shorter than steps"),
        ("run.on_bad_pair=skip", r"run\.on_bad_pair"),
        ("loss.paper=mse", r"loss\.paper: "),
        ("network.kind=average", r"network\.kind: unknown 'average'; "),
        (
            "data.sources.llvip.detector=yolov5",
            r"data\.sources\.llvip\.detector: unknown 'yolov5'; did you mean 'yolov5s'",
        ),
        ("scores.detector=yolov5x", r"scores\.detector: unknown 'yolov5x'"),
        (
            "scores.sets.dev.kind=mrs",
            r"scores\.sets\.dev\.kind: unknown 'mrs'; did you mean 'msrs'",
        ),
        ("data.crop=100", r"data\.crop: .*multiple of 32"),
    ],
)
def test_mistakes_in_the_configuration(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(DEFAULT, [override])
    assert "\n" not in str(caught.value)


def test_no_sources():
    gone = [f"data.sources.{name}=null" for name in config.load(DEFAULT).sources]
    with pytest.raises(ConfigError, match=r"data\.sources is empty"):
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
    overrides += [f"data.sources.roadscene.labels={shared}/data/roadscene/labels"]
    overrides += [
        f"data.held_out.dev.{k}={shared}/data/dev/{f}" for k, f in (("ir", "ir"), ("vis", "vi"))
    ]
    overrides += [
        f"data.sources.{name}=null"
        for name in ("flir", "m3fd", "llvip_more", "stills", "clips", "streets")
    ]
    overrides += [f"data.held_out.{name}=null" for name in ("msrs", "msrs_detection", "tno")]
    overrides += [f"data.cache={tmp_path}"]
    sources = data.open_sources(config.load(DEFAULT, overrides))
    assert {name: len(pairs) for name, pairs in sources.items()} == {"roadscene": 178, "llvip": 34}
    for name, fewer in (("roadscene", 39), ("llvip", 9)):
        stems = sorted(p.stem for p in (shared / "data" / folders[name] / "infrared").iterdir())
        one_more = [
            f"data.sources.{name}.exclude_last={fewer}",
            # the others again, which are no longer to be decoded
            f"data.sources.{name}.exclude={json.dumps(stems[: -fewer - 1])}",
        ]
        with pytest.raises(DataError, match=rf"sources\.{name}: contains {name}_"):
            data.open_sources(config.load(DEFAULT, [*overrides, *one_more]))

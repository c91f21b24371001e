import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.sinks import images
from tests.helpers import stand


def build(context):
    return images.build(images.Config(), context, "seen")


def test_images_are_what_the_detector_saw(tmp_path):
    keys = ['a "quoted" key', "Straße 🚗"]
    results = [stand.result(i, key=key, size=(47, 61)) for i, key in enumerate(keys)]
    folder = stand.run(build, tmp_path / "run", results) / "seen"
    for result, key in zip(results, keys, strict=True):
        for arm in stand.ARMS:
            saved = np.asarray(Image.open(folder / arm / f"{key}.png"))
            assert (saved == result.image(arm)).all()


def test_a_resumed_run_leaves_the_same_files(tmp_path):
    results = [stand.result(i) for i in range(6)]
    whole = stand.files(stand.run(build, tmp_path / "whole", results))
    assert len(whole) == 12
    for kill in (0, 3, 5):
        broken = stand.broken_run(build, tmp_path / f"broken{kill}", results, [kill], every=2)
        assert stand.files(broken) == whole


def test_a_half_written_image_is_written_again(tmp_path):
    results = [stand.result(i) for i in range(3)]
    sink = build(stand.context(tmp_path))
    stand.write(sink, results, every=2)
    half = tmp_path / "seen" / "ir" / "000002.png"
    whole = half.read_bytes()
    half.write_bytes(whole[:50])
    build(stand.context(tmp_path, done=2)).write(results[2])
    assert half.read_bytes() == whole


def test_it_cannot_join_a_run_that_is_resumed(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.seen: has not received the first 1 pairs"):
        build(stand.context(tmp_path, done=1))
    one = images.Config(arms=("ir",))
    stand.write(images.build(one, stand.context(tmp_path), "seen"), [stand.result(0)], every=1)
    images.build(one, stand.context(tmp_path, done=1), "seen")
    with pytest.raises(ConfigError, match="has not received the first"):
        build(stand.context(tmp_path, done=1))
    with pytest.raises(ConfigError, match="merges detections"):
        images.build(images.Config(arms=("late",)), stand.context(tmp_path), "seen")


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        build(stand.context(tmp_path)) as sink,
        stand.full_disk(1000),
        pytest.raises(DataError, match=r"seen/fused/000000\.png: cannot be written"),
    ):
        sink.write(stand.result(0))

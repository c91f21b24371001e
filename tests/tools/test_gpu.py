"""The run on a machine with a GPU, rehearsed without one: pack, then train for two steps."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from fusion.network import checkpoint
from pipeline.images import pair_id, read_image, to_grey
from tests.helpers.small_detector import see_little
from tools import gpu_pack, gpu_train
from training import config, loop, streets, targets
from training.finetune import config as finetune_config
from training.pairs import open_sources

ROOT = Path(__file__).parents[2]


@pytest.fixture
def little_seen(monkeypatch):
    see_little(monkeypatch)


@pytest.fixture(scope="module")
def drawn():
    """Six frames of a street."""
    return list(streets.scenes(streets.VALIDATION_SEED, 6, (64, 96)))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, drawn):
    """A configuration on six frames, two of them held out as a labelled set, one in JPEG."""
    tmp_path = tmp_path_factory.mktemp("recipe")
    for number, scene in enumerate(drawn):
        root, stem = tmp_path / "train", f"{number}"
        if number > 3:
            root, stem = tmp_path / "dev", f"street_{number}"
        for side, image in (("ir", scene.ir), ("vi", scene.vis)):
            (root / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / side / f"{stem}.png")
            if number == 4:  # the set's image is what an original JPEG holds
                original = tmp_path / "train" / side / "4.jpg"
                Image.fromarray(image).convert("RGB").save(original, quality=90)
                mode = "L" if side == "ir" else "RGB"  # grey in colour, as LLVIP has it
                Image.open(original).convert(mode).save(root / side / f"{stem}.png")
        (root / "labels").mkdir(exist_ok=True)
        if number != 3:
            text = gpu_pack.yolo_lines(scene.labels, scene.ir.shape)
            (root / "labels" / f"{stem}.txt").write_text(text)
    (tmp_path / "dev" / "ignore.json").write_text(json.dumps({"street_5": [[0, 0, 8, 8]]}))
    train, dev = tmp_path / "train", tmp_path / "dev"
    settings = {
        "run": {"name": "t"},
        "network": {"width": 8, "depths": [1, 1, 1, 1], "head": "gate"},
        "loss": {"paper": None, "detector": 1.0},
        "detectors": {"demo": {"weights": "demo"}},
        "data": {
            "cache": str(tmp_path / "cache"),
            "crop": 64,
            "sources": {
                "streets": {
                    "kind": "files", "ir": str(train / "ir"), "vis": str(train / "vi"),
                    "labels": str(train / "labels"), "exclude_last": 1, "size": 96,
                    "weight": 2, "detector": "demo",
                },
            },
            "held_out": {"dev": {"ir": str(dev / "ir"), "vis": str(dev / "vi")}},
        },
        "schedule": {"steps": 10, "warmup": 1},
        "compute": {"batch": 2, "dtype": "float32"},
        "scores": {"detector": "demo", "sets": {"dev": {"kind": "msrs", "root": str(dev)}}},
        "sheet": {"ir": str(dev / "ir"), "vis": str(dev / "vi"), "keys": ["street_5"]},
    }  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def packing(recipe, tmp_path_factory):
    """The recipe's pack, and the command line that made it."""
    folder = tmp_path_factory.mktemp("packed") / "pack"
    command = ["tools/gpu_pack.py", str(recipe), str(folder), "80", "schedule.seed=3"]
    with pytest.MonkeyPatch.context() as patch:
        see_little(patch)
        patch.setattr(sys, "argv", command)
        gpu_pack.main()
    return folder, command


@pytest.mark.slow
@pytest.mark.usefixtures("little_seen")
def test_a_pack_is_the_recipe_with_other_paths(recipe, packing, monkeypatch):
    folder, _ = packing
    before, after = config.load(recipe, ["schedule.seed=3"]), config.load(folder / "config.yaml")
    assert after.sources["streets"].weight == 2
    assert after.held_out == {}
    assert (after.schedule, after.loss, after.network) == (
        before.schedule, before.loss, before.network
    )  # fmt: skip
    here, there = open_sources(before)["streets"], open_sources(after)["streets"]
    judge = before.detectors["demo"]
    found = targets.of_source(here, judge, before.data.cache, torch.device("cpu"))
    monkeypatch.setattr(targets, "_late_fusion", None)  # nobody looks again
    copied = targets.of_source(there, judge, after.data.cache, torch.device("cpu"))
    assert sorted(there.ids) == sorted(here.ids)  # the originals', not the copies'
    for index, name in enumerate(here.ids):
        packed = there.ids.index(name)
        assert np.allclose(found[index], copied[packed], atol=1e-3)
        difference = np.abs(here[index].astype(int) - there[packed])
        assert 0 < difference.mean() < 4
        truth, copy = here.truth[index], there.truth[packed]
        assert (truth is None) == (copy is None)
        if truth is not None:
            assert np.allclose(truth.xyxy, copy.xyxy, atol=1e-4)
            assert np.array_equal(truth.class_id, copy.class_id)
    assert sum(truth is None for truth in here.truth) == 1


@pytest.mark.slow
def test_sets_are_packed_without_loss(recipe, packing):
    folder, _ = packing
    dev = folder / "sets" / "dev"
    for side in ("ir", "vi"):
        names = sorted(path.name for path in (dev / side).iterdir())
        assert names == ["street_4.jpg", "street_5.webp"]
        for path in (dev / side).iterdir():
            image, copy = (
                read_image(p) for p in (recipe.parent / "dev" / side / f"{path.stem}.png", path)
            )
            assert np.array_equal(copy if side == "vi" else to_grey(copy), image)
    assert (dev / "ignore.json").is_file()
    assert len(list((dev / "labels").iterdir())) == 2
    sheet = config.load(folder / "config.yaml").sheet
    assert (sheet.ir, sheet.vis) == (dev / "ir", dev / "vi")


def test_another_folder_is_not_overwritten(recipe, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(Exception, match=r"mine was not made by this program"):
        gpu_pack.pack(recipe, [], tmp_path / "mine", 80)


@pytest.mark.slow
@pytest.mark.usefixtures("little_seen")
def test_a_schedule_that_ends_in_time(recipe, monkeypatch):
    """400 s are left: 20 to begin, 5 + 6 x 5 to score; 95% of 345 s at 0.25 s a step."""
    times = iter([9.0, 5.0, 5.0, 5.0])  # of the first steps, of twenty, of scorings

    def seconds(work):
        work()
        return next(times)

    monkeypatch.setattr(loop, "HELD", 1)  # batches of crops at each score
    monkeypatch.setattr(gpu_train, "seconds", seconds)
    monkeypatch.setattr(gpu_train.time, "time", lambda: 1000.0)
    monkeypatch.setattr(gpu_train, "advance", lambda trainer, steps: trainer.advance())
    assert gpu_train.plan(config.load(recipe), 1400.0) == [
        "schedule.steps=1311", "schedule.warmup=1", "run.save_every=240", "scores.every=219",
        "sheet.every=219",
    ]  # fmt: skip


def test_the_best_of_what_was_scored(tmp_path):
    path = tmp_path / "scores.csv"
    assert gpu_train.best(path, ["dev"]) is None
    path.write_text(
        "step,set,arm,map50,map50_95\n0,dev,average,0.9,0.9\n5,crops,loss over the mean's,0.9,\n"
        "5,dev,fused,0.7,0.5\n10,dev,fused,0.8,0.5\n15,dev,fused,0.9,0.3\n"
    )
    assert gpu_train.best(path, ["dev"]) == 10


@pytest.fixture
def python(tmp_path):
    """This Python, for what doesn't import torch; it runs no tests.

    It notes how it should pack and train. The training is left to the test, whose output it prints.
    """
    path = tmp_path / "python"
    path.write_text(f"""#!/bin/sh
case "$*" in
    "-m pytest"*) ;;
    tools/gpu_pack.py*) printf '%s\\n' "$@" > {tmp_path}/packed ;;
    tools/gpu_train.py*)
        printf '%s\\n' "$@" > {tmp_path}/asked.partial
        mv {tmp_path}/asked.partial {tmp_path}/asked
        while [ ! -e {tmp_path}/answer ]; do sleep 0.05; done
        cat {tmp_path}/answer ;;
    *) exec {sys.executable} "$@" ;;
esac
""")
    path.chmod(0o755)
    return path


def test_speed_is_measured_with_the_gpu_and_without(tmp_path):
    """Each command is there, runs in both ways, and its output is in the log."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "gpu=${CUDA_VISIBLE_DEVICES-all} $*"\n')
    python.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    out = tmp_path / "out"
    done = subprocess.run(
        ["bash", ROOT / "tools" / "gpu.sh", "speed"], capture_output=True, text=True, timeout=60,
        env=kept | {"PYTHON": str(python), "OUT": str(out), "YOLO_CONFIG_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [line for line in (out / "speed.log").read_text().splitlines() if line[:4] == "gpu="]
    scripts = ["benchmarks/detector.py", "benchmarks/scan.py --backends"]
    benches = [f"bench --size {size}" for size in ("tiny", "small", "base")]
    for gpu, frames, quick in (("all", 120, ""), ("", 24, " --quick")):
        overlap = f"benchmarks/pipeline_overlap.py --frames {frames}"
        ends = [*scripts, overlap, *(f"{line}{quick}" for line in benches)]
        mine = [line for line in ran if line.startswith(f"gpu={gpu} ")]
        assert [line.endswith(end) for line, end in zip(mine, ends, strict=True)] == [True] * 6
    assert all((ROOT / line.split()[0]).is_file() for line in [*scripts, overlap])
    assert (out / "speed.log").read_text() in done.stdout


def test_a_detector_is_trained_on_the_packed_pairs(tmp_path):
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/sh
case "$*" in *finetune.yaml*) printf '%s\\n' "$@" > {tmp_path}/asked ;; esac
""")
    python.chmod(0o755)
    subprocess.run(
        ["bash", ROOT / "tools" / "gpu.sh", "finetune", "seeds=2"], check=True, timeout=60,
        env=os.environ | {"PYTHON": str(python), "OUT": str(tmp_path / "out"),
                          "IRVIS_GPU_PACK": "pack", "YOLO_CONFIG_DIR": str(tmp_path)},
    )  # fmt: skip
    _, _, command, path, *overrides = (tmp_path / "asked").read_text().splitlines()
    assert command == "finetune"
    given = finetune_config.load(ROOT / path, overrides)
    assert given.file.seeds == 2
    assert given.held_out == {}
    for name, source in given.sources.items():
        assert source.labels == Path("pack") / "sources" / name / "labels"
        assert (source.exclude_last, source.stems_are_ids) == (0, True)
    assert given.scored.source.config.root == Path("pack/sets/dev")
    assert given.scored.detector.config.weights == "pack/weights/yolov5s.pt"


@pytest.mark.slow
@pytest.mark.usefixtures("little_seen")
def test_packed_and_trained_by_the_scripts(recipe, packing, tmp_path, python, monkeypatch, capsys):
    folder, packed_by = packing
    environment = os.environ | {
        "PYTHON": str(python),
        "OUT": str(tmp_path / "out"),
        "IRVIS_GPU_PACK": str(folder),
        "IRVIS_GPU_PYTHON": "none",
        "IRVIS_GPU_SECONDS": "900",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    few = ["compute.batch=2", "schedule.steps=2", "schedule.warmup=1", "scores.every=1"]
    few += ["compute.device=cpu"]
    pack, run = (["bash", ROOT / "tools" / script] for script in ("gpu_pack.sh", "gpu.sh"))
    subprocess.run([*pack, recipe, "schedule.seed=3"], env=environment, check=True, timeout=60)
    assert (tmp_path / "packed").read_text().splitlines() == packed_by
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen([*run, "train", *few], env=environment, stdout=subprocess.PIPE) as script:
        while not (tmp_path / "asked").exists():
            assert script.poll() is None
            time.sleep(0.05)
        monkeypatch.setattr(sys, "argv", (tmp_path / "asked").read_text().splitlines())
        try:
            gpu_train.main()
        finally:
            (tmp_path / "answer").write_text(capsys.readouterr().out)
        shown, _ = script.communicate(timeout=60)
    assert script.returncode == 0
    assert b"step 2 of 2" in shown
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "best.safetensors", "log.csv", "scores.csv", "sheet.png", "tests.log", "train.log",
        "weights.safetensors",
    ]  # fmt: skip
    with (out / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    pairs = [[read_image(recipe.parent / "train" / s / f"{i}.png") for s in ("ir", "vi")]
             for i in range(4)]  # fmt: skip
    assert checkpoint.trained_on(out / "weights.safetensors") == {pair_id(*p) for p in pairs}
    with (out / "scores.csv").open() as file:
        scored = [(row["step"], row["arm"]) for row in csv.DictReader(file) if row["set"] == "dev"]
    assert scored == [("0", "average"), ("0", "late"), ("1", "fused"), ("2", "fused")]

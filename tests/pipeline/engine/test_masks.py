"""Runs that score masks: of each arm's segmenter, against a folder's or the source's own."""

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError
from eval.masks import REGIONS
from eval.segmentation import STATISTICS, count
from eval.segmentation_comparison import judge_masks
from fusion.network import checkpoint
from pipeline.commands import masks as command
from pipeline.commands import run as run_command
from pipeline.commands import show
from pipeline.images import pair_id, to_rgb
from pipeline.sources import scenes
from scenes import phantoms
from segmentation.unet import Architecture, UNet
from tests.helpers import masked_pairs
from tests.helpers.masked_pairs import OWN, settings
from tests.helpers.runs import execute, read_csv, read_json, silent
from tests.pipeline.engine.test_resume import stop_after


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return masked_pairs.write(tmp_path_factory.mktemp("masked"))


@pytest.fixture(scope="module")
def outcome(root, tmp_path_factory):
    sinks = {"results": {"kind": "results"}, "report": {"kind": "report"}}
    folder = tmp_path_factory.mktemp("run") / "m"
    return execute(settings(root, run={"dir": str(folder)}, sinks=sinks))


def pixels(folder, number):
    return np.asarray(Image.open(folder / "a" / f"{number}.png"))


def test_the_numbers_are_those_of_the_definition(root, outcome):
    """The masks are made here again, from the images and each arm's level."""
    regions = {"dark": frozenset({0}), "bright": frozenset({7})}
    found = {"ir": [], "vis": [], "max": []}
    for number in range(6):
        ir, vis, truth = (pixels(root / name, number) for name in ("ir", "vis", "masks"))
        both = np.maximum(ir, vis)
        for arm, image, level in (("ir", ir, 110), ("vis", vis, 110), ("max", both, 120)):
            found[arm].append((7 * (image >= level), truth))
    counts = {arm: count(masks, regions) for arm, masks in found.items()}
    arms, comparisons = judge_masks(counts, list(regions))
    results = outcome.results
    assert results["arms"]["ir"]["segmentation"]["bright"]["sensitivity"] == pytest.approx(
        146 / 156,
        abs=0.01,  # the levels from 110 of those from 100
    )
    assert {arm: part["segmentation"] for arm, part in results["arms"].items()} == arms
    assert results["segmentation"] == {
        "images": 6, "regions": {"dark": [0], "bright": [7]}, "comparisons": comparisons,
    }  # fmt: skip
    assert "6 images are few: 95% intervals are too narrow" in results["warnings"]
    assert (results["comparisons"], results["arms"]["ir"]["detection"]) == ({}, None)


def test_the_files_score_the_same_by_the_command(root, outcome, tmp_path):
    assert np.array_equal(
        pixels(outcome.folder / "masks" / "ir", 0), 7 * (pixels(root / "ir", 0) >= 110)
    )
    for folder, name in ((outcome.folder / "masks", "arms"), (root, "labels")):
        for path in folder.rglob("a/*.png"):
            arm = path.parts[-3] if name == "arms" else ""
            if arm or "masks" in path.parts:
                (tmp_path / name / arm).mkdir(parents=True, exist_ok=True)
                (tmp_path / name / arm / path.name).write_bytes(path.read_bytes())
    scored = command.score(
        tmp_path / "arms",
        tmp_path / "labels",
        regions=command.parse_regions("dark=0,bright=7"),
        on_progress=silent,
    )
    for arm, part in scored["arms"].items():
        assert part == outcome.results["arms"][arm]["segmentation"]


def test_the_table_and_the_protocol(outcome):
    rows = read_csv(outcome.folder / "results.csv")
    assert [(row["arm"], row["region"]) for row in rows[:4]] == [
        ("ir", "dark"), ("ir", "bright"), ("ir", "mean"), ("vis", "dark"),
    ]  # fmt: skip
    part = outcome.results["arms"]["vis"]["segmentation"]["dark"]
    for name in STATISTICS:
        values = [float(rows[3][f"{name}{end}"]) for end in ("", "_low", "_high")]
        assert values == pytest.approx([part[name], *part["ci95"][name]])
    protocol = outcome.results["protocol"]
    assert protocol["arms"]["max"]["segmenter"] == {
        "network": "threshold", "weights_sha256": "120",
    }  # fmt: skip
    assert protocol["masks"]["regions"] == {"dark": [0], "bright": [7]}
    assert "segment max" in read_json(outcome.folder / "timing.json")["parts"]


def test_what_is_shown(outcome, capsys):
    run_command.print_report(outcome)
    text = capsys.readouterr().out
    assert "Scores of masks by region" in text
    assert "Fusion hurt. max is behind the better single modality, ir, by" in text
    assert "mean Dice" in text
    show.print_report(outcome.folder)
    text = capsys.readouterr().out
    assert "Differences of the means over the regions" in text
    assert "no scores" not in text
    page = (outcome.folder / "report.html").read_text()
    assert '<h2 id="masks">Masks</h2>' in page
    assert "Fusion hurt." in page


@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_resumed_run_ends_as_an_unbroken_one(root, outcome, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        execute(settings(root), stop_after(2))
    changed = settings(root, run={"name": "m", "resume": True})
    changed["arms"]["max"]["segmenter"]["level"] = 130
    with pytest.raises(ConfigError, match=r"begun with another arms\.max\.segmenter\.level"):
        execute(changed)
    resumed = execute(settings(root, run={"name": "m", "resume": True}))
    for name in ("results.json", "results.csv", "masks/max/a/5.png"):
        assert (resumed.folder / name).read_bytes() == (outcome.folder / name).read_bytes(), name


def test_phantoms_bring_their_masks_and_weights_their_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    seen = phantoms.draw(3, 1, (32, 40))
    checkpoint.save(
        tmp_path / "w.safetensors",
        UNet(Architecture(names=dict(phantoms.NAMES), width=4, levels=1)),
        metadata={"trained_on": pair_id(seen.flair, to_rgb(seen.t2))},
    )
    more = {
        "source": {"kind": "phantoms", "slices": 2, "size": [32, 40], "seed": 3},
        "segmenter": {"kind": "unet", "weights": "w.safetensors"},
        "arms": {"t2": {"kind": "vis_only"}},
    }
    evaluation = {"task": "segmentation", "regions": "brats"}
    results = execute(settings(tmp_path, **more, evaluation=evaluation)).results
    assert results["leaked"] == {"t2": ["000001"]}
    scores = results["arms"]["t2"]["segmentation"]
    assert list(scores) == [*REGIONS["brats"], "mean"]
    truth = [phantoms.draw(3, number, (32, 40)).labels for number in range(2)]
    assert scores["WT"]["images"] == sum(bool(labels.any()) for labels in truth)
    evaluation = {"task": "segmentation", "regions": {"any": [1, 2, 4]}, "ignore": 2}
    results = execute(settings(tmp_path, **more, evaluation=evaluation)).results
    part = results["arms"]["t2"]["segmentation"]["any"]
    found = [np.asarray(Image.open(p)) for p in sorted((tmp_path / "runs/m/masks/t2").iterdir())]
    right = sum(
        int(((f > 0) & np.isin(t, (1, 4))).sum()) for f, t in zip(found, truth, strict=True)
    )
    wanted = sum(int(np.isin(t, (1, 4)).sum()) for t in truth)
    assert part["sensitivity"] == pytest.approx(right / wanted)


def test_a_generated_drive_brings_its_masks(tmp_path):
    """People are hot: a run's people are the pixels that are bright in infrared."""
    drive = {"frames": 3, "time": "night", "size": [128, 160], "seed": 5}
    names = {0: "background", 1: "car", 2: "person"}
    more = {
        "source": {"kind": "scenes", **drive},
        "segmenter": {"kind": OWN, "level": 150, "label": 2, "names": names},
        "arms": {"ir": {"kind": "ir_only"}},
        "evaluation": {"task": "segmentation"},
    }
    results = execute(settings(tmp_path, **more, run={"dir": str(tmp_path / "m")})).results
    source = scenes.build(scenes.Config.model_validate(drive))
    with source:
        masks = [(pair.ir.image >= 150, source.masks(pair.key) == 2) for pair in source]
    right, found, wanted = (
        sum(int(part.sum()) for part in parts)
        for parts in zip(*((f & t, f, t) for f, t in masks), strict=True)
    )
    part = results["arms"]["ir"]["segmentation"]["person"]
    assert part["sensitivity"] == pytest.approx(right / wanted)
    assert part["iou"] == pytest.approx(right / (found + wanted - right))
    assert right > 0


def test_masks_may_be_nifti(root, outcome, tmp_path):
    for path in (root / "masks" / "a").iterdir():
        (tmp_path / "nifti" / "a").mkdir(parents=True, exist_ok=True)
        slice_ = nibabel.Nifti1Image(np.asarray(Image.open(path))[..., None], np.eye(4))
        nibabel.save(slice_, tmp_path / "nifti" / "a" / f"{path.stem}.nii.gz")
    evaluation = {"task": "segmentation", "masks": str(tmp_path / "nifti")}
    given = settings(root, evaluation=evaluation, run={"dir": str(tmp_path / "m")})
    assert execute(given).results["arms"] == outcome.results["arms"]


def test_stacked_images_are_scored(root, tmp_path):
    """Their first channel is the infrared image's, so the scores are those of its arm."""
    arms = {
        "ir": {"kind": "ir_only"},
        "both": {"kind": "stacked", "segmenter": {"channels": 6}},
    }
    results = execute(settings(root, arms=arms, run={"dir": str(tmp_path / "m")})).results
    assert results["arms"]["both"]["segmentation"] == results["arms"]["ir"]["segmentation"]
    assert results["arms"]["both"]["segmentation"]["bright"]["iou"] > 0.5


def test_boxes_are_scored_as_before(root, tmp_path, monkeypatch):
    """Nothing of masks is in the results of a run without segmenters."""
    monkeypatch.chdir(tmp_path)
    plain = settings(root, segmenter=None, evaluation={})
    del plain["arms"]["max"]["segmenter"]
    outcome = execute(plain)
    assert "segmentation" not in outcome.results
    assert set(outcome.results["arms"]["ir"]) == {"detection", "quality"}
    assert "masks" not in outcome.results["protocol"]
    assert not (outcome.folder / "masks").exists()

"""What the pages say to type works: commands, configurations, Python."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import irvis
from pipeline import cli
from pipeline.config import config
from tests.docs.pages import PAGES, ROOT, blocks, commands
from tests.helpers import toys
from training import ablation_config, segmenter_config
from training import config as training_config
from training.finetune import config as finetune_config

API, TUTORIAL, OWN_FUSER = (
    ROOT / "docs" / f"{name}.md" for name in ("api", "tutorial", "own_fuser")
)


def load_finetuning(path, overrides):
    settings = config.read_settings(path, overrides)
    masks = settings.get("task") == "segmentation"
    return (segmenter_config if masks else finetune_config).check(settings)


# by command, what reads its configuration
LOADERS = {
    "run": config.load,
    "demo": config.load,
    "train": training_config.load,
    "ablate": ablation_config.load,
    "finetune": load_finetuning,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_command_is_one_and_its_settings_exist(page, here):
    for path in (*(ROOT / "examples").glob("own_*.py"), ROOT / "configs"):
        (here / path.name).symlink_to(path)
    (here / "irvis.yaml").write_text(blocks(TUTORIAL, "yaml")[0])
    for arguments in commands(page):
        parsed = cli._parse(arguments)
        if arguments[0] in LOADERS and "CONFIG" not in arguments:  # which stands for any
            LOADERS[arguments[0]](Path(getattr(parsed, "config", "demo")), parsed.overrides)


def test_commands_are_found():
    assert sum(len(commands(page)) for page in PAGES) > 80


def test_the_tutorials_configuration_is_what_init_writes(here):
    root = toys.write_pairs(here / "drive", 2)
    assert cli.main(["init", "drive"]) == 0
    assert (root / "labels").is_dir()
    written, shown = (
        yaml.safe_load(text)
        for text in ((here / "irvis.yaml").read_text(), blocks(TUTORIAL, "yaml")[0])
    )
    assert written == shown


def test_a_network_of_ones_own_has_its_weights_in_the_results(here):
    (source,) = (block for block in blocks(OWN_FUSER, "python") if "Module" in block)
    (here / "my_network.py").write_text(source)
    torch.save({"gate.weight": torch.zeros(1, 4, 3, 3), "gate.bias": torch.zeros(1)}, here / "w.pt")
    ir, vis = np.full((4, 6), 50, np.uint8), np.full((4, 6, 3), 100, np.uint8)
    fused = irvis.fuser("my_network", weights="w.pt")(ir, vis)
    assert (fused == 75).all()  # a gate of one half gives the mean
    root = toys.write_pairs(here / "pairs", 2)
    arms = {"mine": {"kind": "my_network", "weights": "w.pt"}, "ir": {"kind": "ir_only"}}
    run = irvis.run(toys.settings(root, arms=arms))
    stated = run.results["protocol"]["arms"]["mine"]
    assert len(stated["weights_sha256"]) == 64


@pytest.fixture
def prepared(here):
    """What the examples of the API page take to be there, small and with the demo's detector."""
    root = toys.write_pairs(here, 4, size=(64, 96))
    shipped = (ROOT / "configs" / "folders.yaml").read_text()
    (here / "folders.yaml").write_text(shipped.replace("yolov5s.pt", "demo"))
    (here / "predictions").mkdir()
    for path in (here / "labels").iterdir():
        (here / "predictions" / path.name).write_text(path.read_text().strip() + " 0.9\n")
    for name in ("ir", "vis"):
        with av.open(f"{name}.mp4", "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            rng = np.random.default_rng(len(name))
            for _ in range(3):
                image = rng.integers(256, size=(64, 96, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
    return root


@pytest.mark.slow
def test_the_examples_of_the_api_page_run(prepared):
    ir = np.asarray(Image.open(prepared / "ir" / "000.png"))
    vis = np.asarray(Image.open(prepared / "vi" / "000.png"))
    names = {"ir": ir, "vis": vis}
    folder_run, *rest = blocks(API, "python")
    run_it, _, compare = folder_run.partition("irvis.compare")
    exec(run_it, names)
    for name in ("a", "b"):
        shutil.copytree("runs/folders", f"runs/{name}")
    exec(f"irvis.compare{compare}", names)
    for block in rest:
        exec(block.replace('"yolov5s.pt"', '"demo"'), names)
    assert names["fused"].shape == (64, 96, 3)
    assert names["run"].table.loc["ir", "labels"] == 4

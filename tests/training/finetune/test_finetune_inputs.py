"""Which pairs and settings a fine-tuning takes, and what it says of others."""

import shutil

import pytest

from common.errors import ConfigError, DataError
from pipeline.config.yaml_file import SHIPPED
from tests.helpers import layouts
from tests.helpers.finetunings import make, quiet
from training.finetune import config, experiment
from training.pairs import decoded_sources


def test_a_test_pair_is_not_trained_on(here):
    for kind in ("ir", "vi", "labels"):
        for path in (here / "test" / kind).iterdir():
            shutil.copy(path, here / "train" / kind)
    with pytest.raises(DataError, match=r"data\.sources\.pairs: contains 004 of source, which is"):
        experiment.finetune(make(), quiet)
    assert not (here / "runs").exists()


@pytest.mark.parametrize("layout", ["llvip", "m3fd"])
def test_a_data_set_can_be_trained_on(here, layout):
    getattr(layouts, layout)(here / "set")
    source = {"kind": "dataset", "layout": layout, "root": "set", "split": "train"}
    given = make()
    data = {**given.settings["data"], "sources": {"set": {"kind": "labelled", "source": source}}}
    given = make(data=data)
    for _ in range(2):  # decoded, and from the cache
        pairs = decoded_sources(given.sources, given.file.data.cache)["set"].labelled()
        assert pairs.keys == (("010001",) if layout == "llvip" else ("00000", "00002"))
        # people, and of M3FD's classes those that COCO has too
        assert pairs.truth[0].class_id.tolist() == ([0] if layout == "llvip" else [0, 3])
        assert pairs.truth[0].xyxy[0, :2].tolist() == [3, 4]


def test_a_data_set_without_labels_cannot_be_trained_on(here):
    source = {"kind": "image_folder", "ir": "train/ir", "vis": "train/vi"}
    data = {**make().settings["data"], "sources": {"a": {"kind": "labelled", "source": source}}}
    given = make(data=data)
    with pytest.raises(ConfigError, match=r"data\.sources\.a\.source: must be labelled images"):
        experiment.finetune(given, quiet)


def test_pairs_without_labels_are_left_out(here):
    (here / "train" / "labels" / "001.txt").unlink()
    given = make()
    pairs = decoded_sources(given.sources, given.file.data.cache)["pairs"]
    assert (len(pairs), pairs.labelled().keys) == (4, ("000", "002", "003"))


def test_a_class_that_the_detector_lacks_is_said(here):
    (here / "train" / "labels" / "001.txt").write_text("16 .5 .5 .2 .2\n")
    with pytest.raises(ConfigError, match=r"has the class dog, which demo\.safetensors doesn't"):
        experiment.finetune(make(), quiet)


@pytest.mark.parametrize("name", ["finetune", "finetune_llvip"])
def test_shipped_configurations_are_right_and_say_how_to_run_them(name):
    path = SHIPPED / f"{name}.yaml"
    given = config.load(path)
    assert given.trained == ["ir", "vis", "average", "fused", "stacked", "joint"]
    assert given.merging == ["late"]
    assert path.read_text().startswith(f"# irvis finetune configs/{name}.yaml")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"detector": None}, "detector: there is none to train; set detector.weights"),
        ({"joint": {"arm": "fuse"}}, "joint.arm: there is no arm fuse; "),
        ({"seed": 3}, "unknown key seed; did you mean 'seeds'? "),
        ({"joint": {"epoch": 3}}, "unknown key joint.epoch; did you mean 'epochs'"),
        (
            {"arms": {"ir": {"kind": "ir_only"}, "ir-1": {"kind": "ir_only"}}},
            "arms.ir-1: an arm after training is called so; rename it",
        ),
        (
            {"arms": {"ir": {"kind": "ir_only", "detector": {"iou": 0.5}}}},
            "arms.ir.detector: all arms begin with the same; remove it",
        ),
    ],
)
def test_wrong_settings(here, changes, text):
    with pytest.raises(ConfigError) as error:
        make(**changes)
    assert str(error.value).startswith(text)


def test_a_fuser_without_a_network_cannot_learn(here):
    given = make(joint={"arm": "ir"})
    with pytest.raises(ConfigError, match=r"joint\.arm: ir has no network that learns"):
        experiment.finetune(given, quiet)
    assert not (here / "runs").exists()  # said before anything was trained

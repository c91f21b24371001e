"""Which pairs and settings a fine-tuning takes, and what it says of others."""

import shutil

import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.config.yaml_file import SHIPPED
from tests.helpers import layouts
from tests.helpers.finetunings import make, quiet
from tests.helpers.runs import read_json
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


def test_the_command_for_llvip_in_small(here):
    layouts.llvip(here / "set")
    for path in (here / "set").glob("*/test/*.jpg"):  # otherwise that of the training
        Image.open(path).point(lambda grey: grey + 40).save(path)
    given = config.load(
        SHIPPED / "finetune_llvip.yaml",
        [
            "source.root=set", "data.sources.llvip.source.root=set", "detector.weights=demo",
            "detector.image_size=64", "data.crop=64", "seeds=1", "joint=null", "arms.fused=null",
            "schedule.epochs=1", "schedule.batch=1", "schedule.warmup=0", "compute.device=cpu",
        ],
    )  # fmt: skip
    outcome = experiment.finetune(given, quiet)
    assert list(outcome.summary["arms"]) == ["ir", "vis", "average", "stacked", "late"]
    assert (outcome.summary["pairs"], outcome.summary["seeds"]) == (2, 1)
    results = read_json(outcome.folder / "scored" / "results.json")
    assert list(results["arms"]["ir-1"]["detection"]["yolo"]["per_class"]) == ["person"]
    assert results["arms"]["ir-1"]["detection"]["yolo"]["labels"] == 2


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


def test_pairs_that_a_data_sets_labels_do_not_speak_of_are_left_out(here):
    layouts.llvip(here / "set")
    for name in ("010002", "010003"):
        for camera in ("infrared", "visible"):
            folder = here / "set" / camera / "train"
            shutil.copy(folder / "010001.jpg", folder / f"{name}.jpg")
    layouts.voc(here / "set" / "Annotations" / "010003.xml")  # nobody on it
    source = {"kind": "dataset", "layout": "llvip", "root": "set", "split": "train"}
    data = {**make().settings["data"], "sources": {"s": {"kind": "labelled", "source": source}}}
    given = make(data=data)
    pairs = decoded_sources(given.sources, given.file.data.cache)["s"]
    assert pairs.labelled().keys == ("010001", "010003")
    numbers = [None if truth is None else len(truth) for truth in pairs.truth]
    assert numbers == [1, None, 0]


@pytest.mark.parametrize("kind", ["files", "labelled"])
def test_moved_boxes_are_noticed(here, kind):
    """With the same number of bytes, and the same classes."""
    source = {"kind": "msrs", "root": "train"}
    data = {**make().settings["data"]}
    if kind == "labelled":
        data["sources"] = {"pairs": {"kind": "labelled", "source": source}}

    def truth():
        given = make(data=data)
        pairs = decoded_sources(given.sources, given.file.data.cache)["pairs"].labelled()
        inputs = experiment._inputs(given, {"pairs": pairs})
        return pairs.truth[0].xyxy[0].tolist(), inputs["data"]

    before = truth()
    path = here / "train" / "labels" / "000.txt"
    line = path.read_text().split("\n")[0].split()
    moved = [line[0], f"{float(line[1]) / 2:.4f}", *line[2:]]
    path.write_text(" ".join(moved) + "\n")
    after = truth()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_labels_without_an_object_are_refused(here):
    for path in (here / "train" / "labels").iterdir():
        path.write_text("")
    with pytest.raises(DataError, match=r"data\.sources\.pairs: its labels have no object"):
        experiment.finetune(make(), quiet)


def test_test_pairs_need_labels_with_objects(here):
    for path in (here / "test" / "labels").iterdir():
        path.write_text("")
    with pytest.raises(DataError, match="source: the labels of the test pairs have no object that"):
        experiment.finetune(make(), quiet)
    for path in (here / "test" / "labels").iterdir():
        path.write_text("2 .5 .5 .2 .2\n")
    with pytest.raises(DataError, match="no object that is scored"):
        experiment.finetune(make(evaluation={"classes": ["person"]}), quiet)
    source = {"kind": "image_folder", "ir": "test/ir", "vis": "test/vi"}
    with pytest.raises(DataError, match="source: the test pairs have no labels"):
        experiment.finetune(make(source=source), quiet)
    assert not (here / "runs").exists()


def test_a_frozen_arm_that_merges_a_stacked_one_is_left_out(here):
    arms = {"ir": {"kind": "ir_only"}, "stacked": {"kind": "stacked"}}
    late = {"kind": "late", "arms": ["ir", "stacked"]}
    given = make(arms={**arms, "late": late, "both": {**late, "arms": ["ir", "vis"]},
                       "vis": {"kind": "vis_only"}})  # fmt: skip
    scored = experiment._scored_arms(given, here)
    assert [name for name in scored if "-" not in name] == ["ir", "both", "vis"]
    assert scored["late-1"]["arms"] == ["ir-1", "stacked-1"]


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
        (
            {"data": {"sources": {"a": {"kind": "files", "ir": "a", "vis": "b", "weight": 2}}}},
            "data.sources.a.weight: is of `irvis train`; here all pairs are drawn equally often",
        ),
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

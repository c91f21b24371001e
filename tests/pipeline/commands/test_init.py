"""`irvis init`: the configuration that it writes is for what it was shown, and runs."""

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from PIL import Image

from pipeline import cli
from pipeline.config import config
from pipeline.sources._layouts import LAYOUTS
from tests.helpers import bags, layouts, toys, videos
from tests.helpers.runs import execute


def written(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("names", [("ir", "vi", "labels"), ("Thermal", "RGB", "Annotations")])
def test_a_folder_that_holds_both_cameras_and_labels(here, capsys, names):
    root = toys.write_pairs(here / "pairs")
    for old, new in zip(("ir", "vi", "labels"), names, strict=True):
        (root / old).rename(root / new)
    assert cli.main(["init", "pairs"]) == 0
    out = capsys.readouterr().out
    assert "6 pairs; the first: infrared 64x48, visible 64x48" in out
    assert "labels: 6 person" in out
    assert "next: irvis run irvis.yaml" in out
    made = written(here / "irvis.yaml")
    assert made["source"] == {
        "kind": "image_folder",
        **{key: f"pairs/{name}" for key, name in zip(("ir", "vis", "labels"), names, strict=True)},
    }
    assert made["evaluation"]["preset"] == "paper-msrs"
    config.check(made)
    made["detector"] = {"kind": "tests.helpers.toys"}
    made["arms"] = {name: made["arms"][name] for name in ("ir", "vis", "average")}
    made["sinks"] = {"results": made["sinks"]["results"]}
    assert execute(made).summary.objects == 6


def test_two_folders_without_labels_are_not_scored(here):
    root = toys.write_pairs(here / "pairs", labels=False)
    assert cli.main(["init", str(root / "ir"), str(root / "vi"), "-o", "my first.yaml"]) == 0
    made = written(here / "my first.yaml")
    assert "labels" not in made["source"]
    assert made["evaluation"]["preset"] == "detect"
    assert made["run"]["name"] == "my-first"
    config.check(made)


def test_two_recordings(here, capsys):
    videos.write_video(here / "ir.mkv", range(0, 600, 100), 10, grey=True)
    videos.write_video(here / "vis.mkv", range(0, 600, 100), 10)
    assert cli.main(["init", "ir.mkv", "vis.mkv"]) == 0
    assert (
        "recordings at 10 frames per second; the first: infrared 64x48" in capsys.readouterr().out
    )
    made = written(here / "irvis.yaml")
    assert made["source"] == {"kind": "video", "ir": "ir.mkv", "vis": "vis.mkv"}
    assert "side_by_side" in made["sinks"]
    config.check(made)


def test_infrared_of_16_bit_gets_the_range_of_its_values(here):
    root = toys.write_pairs(here / "pairs", count=1)
    values = np.linspace(1000, 2000, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(values).save(root / "ir" / "000.png")
    assert cli.main(["init", "pairs"]) == 0
    low, high = written(here / "irvis.yaml")["source"]["ir_range"]
    assert [low, high] == pytest.approx([1010, 1990], abs=1)


def test_unequal_sizes_need_a_calibration(here, capsys):
    root = toys.write_pairs(here / "pairs", count=1)
    Image.new("L", (32, 24)).save(root / "ir" / "000.png")
    assert cli.main(["init", "pairs"]) == 0
    assert "the sizes differ: make a calibration" in capsys.readouterr().out
    assert written(here / "irvis.yaml")["registration"] == {"calibration": "calibration.json"}


def test_names_that_yaml_would_misread_are_quoted(here):
    root = toys.write_pairs(here / "a: #b")
    assert cli.main(["init", "a: #b"]) == 0
    assert written(here / "irvis.yaml")["source"]["ir"] == f"{root.name}/ir"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["empty"], "0 infrared inputs"),
        (["pairs", "a", "b"], "give one folder"),
        (["pairs/ir", "pairs/gone"], "no such file or folder"),
        (["pairs", "-o", "old.yaml"], "old.yaml exists; name a new file"),
        (["pairs/ir", "pairs/ir"], "the same"),
        (["broken"], "broken/vi"),
    ],
)
def test_what_can_t_be_read_is_refused_and_nothing_is_written(here, capsys, arguments, what):
    toys.write_pairs(here / "pairs", count=1)
    root = toys.write_pairs(here / "broken", count=1)
    (root / "vi" / "000.png").write_bytes(b"no image")
    (here / "empty").mkdir()
    (here / "old.yaml").write_text("kept")
    assert cli.main(["init", *arguments]) == 2
    assert what in capsys.readouterr().err
    assert not (here / "irvis.yaml").exists()
    assert (here / "old.yaml").read_text() == "kept"


DATA_SETS = {
    "yolo": lambda root: layouts.yolo_rgbt(root, "images/{camera}/{split}"),
    "llvip": layouts.llvip,
    "m3fd": layouts.m3fd,
    "flir_aligned": layouts.flir_aligned,
    "flir_v2": layouts.flir_v2,
    "dronevehicle": layouts.dronevehicle,
    "kaist": layouts.kaist,
    "vtuav": layouts.vtuav,
    "mfnet": layouts.mfnet,
    "msrs": lambda root: layouts.split_folders(root, "ir", "vi"),
}


def test_each_layout_is_tested():
    assert set(DATA_SETS) == set(LAYOUTS)


@pytest.mark.parametrize("layout", DATA_SETS)
def test_a_data_set_is_recognised(here, capsys, layout):
    DATA_SETS[layout](here / "set")
    assert cli.main(["init", "set"]) == 0
    assert f"{LAYOUTS[layout].title}\n" in capsys.readouterr().out
    made = written(here / "irvis.yaml")
    assert made["source"] == {"kind": "dataset", "layout": layout, "root": "set"}
    assert made["evaluation"]["preset"] == (
        "detect" if layout in ("mfnet", "msrs") else "paper-msrs"
    )
    config.check(made)


def test_the_configuration_of_a_data_set_counts_all_its_classes(here):
    layouts.m3fd(here / "set")
    assert cli.main(["init", "set"]) == 0
    made = written(here / "irvis.yaml")
    assert made["evaluation"]["classes"] == ["person", "motorcycle"]
    made["detector"] = {"kind": "tests.helpers.toys"}
    made["evaluation"]["classes"] = ["person"]
    made["arms"] = {name: made["arms"][name] for name in ("ir", "vis")}
    made["sinks"] = {"results": made["sinks"]["results"]}
    assert execute(made).summary.objects == 1


def test_a_data_set_with_16_bit_infrared_gets_its_range(here):
    root = layouts.llvip(here / "set")
    values = np.linspace(1000, 2000, 48 * 64).reshape(48, 64).astype(np.uint16)
    for name in ("190001", "190002"):
        (root / "infrared" / "test" / f"{name}.jpg").unlink()
        Image.fromarray(values).save(root / "infrared" / "test" / f"{name}.png")
    assert cli.main(["init", "set"]) == 0
    low, high = written(here / "irvis.yaml")["source"]["ir_range"]
    assert [low, high] == pytest.approx([1010, 1990], abs=1)


def test_half_a_data_set_is_said_in_one_line(here, capsys):
    layouts.dronevehicle(here / "set")
    (here / "set" / "val" / "valimg").rename(here / "elsewhere")
    assert cli.main(["init", "set"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "looks like DroneVehicle, but has no val/valimg; unpack it too" in said


def test_a_data_yaml(here):
    layouts.yolo_rgbt(here / "set", "images/{camera}/{split}")
    assert cli.main(["init", "set/data.yaml"]) == 0
    made = written(here / "irvis.yaml")
    assert made["source"] == {"kind": "dataset", "layout": "yolo", "root": "set/data.yaml"}
    assert made["evaluation"]["classes"] == ["person", "car"]


@pytest.mark.parametrize("kind", ["a.bag", "a.mcap", "folder"])
def test_a_bag(here, capsys, kind):
    write = {"a.bag": bags.write_ros1, "a.mcap": bags.write_mcap, "folder": bags.write_ros2}[kind]
    write(here / kind, bags.drive(4, 1 if kind == "a.bag" else 2))
    assert cli.main(["init", kind]) == 0
    assert (
        "recordings at 25 frames per second; 4 pairs; the first: infrared 64x48, visible 64x48"
        in capsys.readouterr().out
    )
    made = written(here / "irvis.yaml")
    assert made["source"] == {"kind": "bag", "bag": kind, "ir": bags.IR, "vis": bags.VIS}
    del made["detector"], made["evaluation"]
    made["arms"] = {"average": {"kind": "average"}}
    made["sinks"] = {"fusion": {"kind": "mcap"}}
    outcome = execute(made)
    with (outcome.folder / "fusion.mcap").open("rb") as file:
        played = [message.log_time for _, _, message in make_reader(file).iter_messages()]
    assert played == [bags.START + i * bags.STEP for i in range(4)]


def test_a_bag_whose_stamps_were_never_set(here, caplog):
    messages = bags.drive(4)
    for _, _, message in messages:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    bags.write_mcap(here / "a.mcap", messages)
    assert cli.main(["init", "a.mcap"]) == 0
    assert written(here / "irvis.yaml")["source"]["times"] == "log"


def test_a_bag_whose_topics_must_be_named(here, capsys):
    third = ("/third", bags.START, bags.raw(bags.START, bags.vis_image(0), "bgr8"))
    bags.write_mcap(here / "a.mcap", [*bags.drive(1), third])
    assert cli.main(["init", "a.mcap"]) == 2

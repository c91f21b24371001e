from pathlib import Path

import pytest
import yaml

from common.errors import ConfigError
from pipeline.config import components, config, yaml_file
from tests.helpers import toys


@pytest.fixture
def settings(tmp_path):
    return toys.settings(tmp_path)


def test_overrides_add_change_and_remove(tmp_path, settings):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(settings))
    loaded = config.load(
        path,
        [
            "arms.lap.kind=laplacian", "arms.lap.levels=3", "arms.late=null", "arms.ir=null",
            "detector=null", "compute.batch=7", "run.name=other",
        ],
    )  # fmt: skip
    assert list(loaded.arms) == ["fused", "vis", "lap"]
    assert loaded.arms["lap"].config.levels == 3
    assert loaded.detector is None
    assert loaded.compute.batch == 7
    assert loaded.run.name == "other"


def test_preset_sets_the_detector_and_the_file_overrides_it(settings):
    settings["detector"] = {"kind": "yolov5", "weights": "x.pt", "conf": 0.1}
    detector = config.check(settings).detector.config
    assert (detector.pad, detector.iou, detector.multi_label) == (0.5, 0.6, True)
    assert (detector.resize, detector.conf, detector.classes) == ("val", 0.1, (0, 2))
    settings["evaluation"] = {"preset": "detect", "classes": [0]}
    detector = config.check(settings).detector.config
    assert (detector.pad, detector.resize, detector.classes) == (0, "detect", (0,))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("arms.fused.kind=avrage", r"arms\.fused\.kind: unknown 'avrage'; did you mean 'average'"),
        ("arms.fused.weights=x", r"unknown key arms\.fused\.weights"),
        ("source.kind=mrss", r"source\.kind: unknown 'mrss'; did you mean 'msrs'"),
        ("source.rot=x", r"unknown key source\.rot; did you mean 'root'"),
        ("compute.bach=2", r"unknown key compute\.bach; did you mean 'batch'"),
        ("compute.batch=two", r"compute\.batch: .*integer.*'two'"),
        ("compute.batch=0", r"compute\.batch: .*greater than or equal to 1"),
        ("compute.device=tpu", r"compute\.device"),
        ("run.name=../x", r"run\.name"),
        ("run.name=x.partial", r"run\.name: must not end with \.partial"),
        ("run.dir=/", r"run\.dir: must name a folder"),
        ("run.dir=s3://a/b", r"run\.dir: is an address, .* mount its bucket .*, not 's3://a/b'"),
        ("run.dir=.", r"run\.dir: must name a folder"),
        (f"run.dir={'x' * 500}", r"run\.dir: can be no folder"),
        ("run.name=2024-13-45", "is not a YAML value"),
        ("sinks.predictions.kind=images", r"sinks\.predictions: a sink can't be called so"),
        ("sinks.more.kind=results", "there can be one of kind results"),
        ("arms.late.arms=[ir,ir]", r"arms\.late\.arms: must not name an arm twice"),
        ("evaluation.classes=[]", r"evaluation\.classes"),
        ("detector.classes=[0]", r"detector\.classes: leaves out 2, which is scored"),
        ("run.on_bad_pair=maybe", r"run\.on_bad_pair.*'fail' or 'skip'"),
        ("evaluation.preset=paper", r"evaluation\.preset: 'paper' is unknown; .*paper-msrs"),
        ("sources.kind=msrs", r"unknown key sources; did you mean 'source'"),
        ("arms.late.arms=[ir,viz]", r"arms\.late\.arms: there is no arm 'viz'; did you mean 'vis'"),
        ("arms.late.arms=[ir,late]", r"arms\.late\.arms: 'late' merges detections itself"),
        ("sinks.p.kind=picture", r"sinks\.p\.kind: unknown 'picture'"),
        ("arms.a/b.kind=average", r"arms called\.name.*'a/b'"),
        ("arms.fused.kind=no.such.module", "cannot import 'no.such.module'"),
        ("arms.fused.kind=os.path", "module os.path has no 'Config'"),
        ("arms.fused=average", r"arms\.fused"),
        ("arms.fused.kind.x=1", "kind is a plain value"),
        ("batch", "'batch' is not an override"),
        ("a=[1", "is not a YAML value"),
        ("perturb.ir_nose=1", r"unknown key perturb\.ir_nose; did you mean 'ir_noise'"),
        ("perturb.shift=[4]", r"perturb\.shift"),
        ("perturb.shift=[4,.nan]", r"perturb\.shift\.1: .*finite"),
        ("perturb.ir_noise=-1", r"perturb\.ir_noise: .*greater than or equal to 0"),
        ("perturb.vis_gamma=0", r"perturb\.vis_gamma"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path, settings, override, message):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(ConfigError, match=message) as error:
        config.load(path, [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not YAML"), ("- 1", "sections"), ("run: {}", "source is miss")]
)
def test_a_file_that_is_no_configuration(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        config.load(path)
    with pytest.raises(ConfigError, match="no configuration file"):
        config.load(tmp_path / "none.yaml")


def test_a_name_is_a_file_here_then_in_configs_then_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (Path("demo"), Path("demo.yaml")):
        assert yaml_file.find(name) == yaml_file.SHIPPED / "demo.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").touch()
    assert yaml_file.find(Path("demo")) == Path("configs/demo.yaml")
    (tmp_path / "demo.yaml").touch()
    assert yaml_file.find(Path("demo")) == Path("demo.yaml")
    (tmp_path / "demo").touch()
    assert yaml_file.find(Path("demo")) == Path("demo")


@pytest.mark.parametrize("path", ["nothing", "nothing.yaml", "other/demo", "other/demo.yaml"])
def test_a_missing_file_is_not_replaced_by_another_one(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    expected = f"no configuration file {path}; give a file, or a name .shipped: .*, bag, demo, "
    with pytest.raises(ConfigError, match=expected):
        yaml_file.find(Path(path))


def test_yaml_cannot_run_code(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("run: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError, match="not YAML"):
        config.load(path)


@pytest.mark.parametrize(
    "name",
    [
        *("bag", "demo", "folders", "msrs", "video", "yolo_rgbt", "llvip", "m3fd", "flir_aligned"),
        *("flir_v2", "dronevehicle", "kaist", "vtuav", "mfnet"),
    ],
)
def test_shipped_configurations_are_right_and_say_how_to_run_them(name):
    path = config.DEFAULT.parent / f"{name}.yaml"
    assert list(config.load(path).arms)
    first = path.read_text().splitlines()[0]
    assert f"python run_pipeline.py configs/{name}.yaml" in first or "make demo" in first


def test_no_arms_is_a_mistake(settings):
    settings["arms"] = {"ir": None}
    with pytest.raises(ConfigError, match="arms: there are none"):
        config.check(settings)


def test_kinds_are_the_modules_of_the_folders():
    assert {"fusionmamba", "average", "folder", "late", "ir_only"} <= set(components.kinds("arms"))
    assert {"bag", "msrs", "image_folder", "frame_folder", "video", "live", "scenes"} <= set(
        components.kinds("source")
    )
    assert components.kinds("detector") == ["yolov5"]
    assert components.kinds("sinks") == [
        "images", "jsonl", "mcap", "mlflow", "mot", "parquet", "report", "results", "tensorboard",
        "video",
    ]  # fmt: skip


def test_another_kind_brings_its_own_settings(tmp_path, settings):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(settings))
    loaded = config.load(path, ["source.kind=scenes", "source.frames=3"])
    assert loaded.source.config.frames == 3


def test_a_key_that_stands_twice_is_a_mistake(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("run: {name: a}\nrun: {name: b}\n")
    with pytest.raises(ConfigError, match="'run' occurs twice"):
        config.load(path)


def test_perturb_does_nothing_unless_it_is_set(settings):
    assert config.check(settings).perturb.changes == {}
    settings["perturb"] = {"shift": [0, 0], "ir_noise": 0, "vis_gamma": 1}
    assert config.check(settings).perturb.changes == {}
    settings["perturb"] = {"shift": [4, -0.5], "ir_noise": 0, "vis_blur": 2}
    checked = config.check(settings)
    assert checked.perturb.changes == {"shift": [4, -0.5], "vis_blur": 2}
    again = config.check(yaml.safe_load(yaml.safe_dump(checked.dump())))
    assert again.perturb == checked.perturb


def test_ready_made_images_cannot_be_perturbed(settings):
    settings["arms"]["theirs"] = {"kind": "folder", "root": "fused"}
    settings["perturb"] = {"ir_noise": 0}
    assert "theirs" in config.check(settings).arms
    settings["perturb"] = {"ir_noise": 3}
    with pytest.raises(ConfigError, match=r"perturb\.ir_noise: can't change arms\.theirs"):
        config.check(settings)


def test_a_kind_is_set_before_the_settings_that_belong_to_it():
    overrides = ["source.ir_range=[100, 200]", "source.kind=frame_folder", "source.ir=a"]
    settings = config.read_settings(config.DEFAULT, overrides)
    assert settings["source"] == {"kind": "frame_folder", "ir_range": [100, 200], "ir": "a"}


M3FD = {0: "People", 1: "Car", 2: "Bus", 3: "Lamp", 4: "Motorcycle", 5: "Truck"}


@pytest.mark.parametrize(
    ("names", "counted", "modified"),
    [
        ({0: "person", 1: "bicycle", 2: "car"}, (0, 2), False),
        (M3FD, (0, 1), False),
        ({0: "person", 1: "bike", 2: "car"}, (0, 2), False),
        ({0: "car", 1: "person"}, (1, 0), False),
        ({0: "person"}, (0,), True),
        ({0: "lamp", 1: "dog"}, (0, 1), True),  # none of them: all count
    ],
)
def test_a_presets_classes_are_names(settings, names, counted, modified):
    checked = config.check({**settings, "evaluation": {"preset": "paper-msrs"}}).for_classes(names)
    assert checked.classes == checked.detector.config.classes == counted
    assert ("classes" in checked.modified) == modified
    assert "classes" not in checked.dump()["detector"]


def test_classes_that_count_may_be_given_by_name(settings):
    settings["evaluation"] = {"classes": ["people", 5]}
    assert config.check(settings).for_classes(M3FD).classes == (0, 5)
    settings["evaluation"] = {"classes": ["lama", "car", 9]}
    with pytest.raises(ConfigError, match="the detector has no class lama and no 9; it has 0 Peo"):
        config.check(settings).for_classes(M3FD)

"""The contract that every component follows, over all modules that are there."""

import importlib

import pytest
import torch
from pydantic import BaseModel, ValidationError

from common.component import ArmConfig
from common.errors import ConfigError
from pipeline.arms import _fuser
from pipeline.config import components, described
from pipeline.config.components import FOLDERS, kinds
from pipeline.frames import PairBatch

ALL = [(part, kind) for part in FOLDERS for kind in kinds(part)]
FUSERS = [kind for kind in kinds("arms") if kind not in ("folder", "late", "stacked")]


def module_of(part, kind):
    found = [f"{f}.{kind}" for f in FOLDERS[part] if kind in components._modules(f)]
    assert len(found) == 1, f"{kind} is in two folders"
    return importlib.import_module(found[0])


def test_a_helper_beside_the_kinds_is_no_kind():
    assert importlib.import_module("pipeline.sources._recordings")
    assert "_recordings" not in kinds("source")
    with pytest.raises(ConfigError, match="unknown '_recordings'"):
        components.load("source", {"kind": "_recordings"}, "source")


@pytest.mark.parametrize(("part", "kind"), ALL)
def test_has_a_frozen_strict_config_and_build(part, kind):
    module = module_of(part, kind)
    assert module.__doc__
    assert issubclass(module.Config, BaseModel)
    assert module.Config.model_config["frozen"]
    assert module.Config.model_config["extra"] == "forbid"
    assert module.Config.__doc__
    assert callable(module.build)
    for name, field in module.Config.model_fields.items():
        assert field.description, f"{kind}.{name} has no description"


@pytest.mark.parametrize(("part", "kind"), ALL)
def test_refuses_unknown_settings(part, kind):
    with pytest.raises(ValidationError):
        module_of(part, kind).Config(no_such_setting=1)


@pytest.mark.parametrize("kind", [kind for kind in FUSERS if kind != "fusionmamba_released"])
@pytest.mark.parametrize("size", [(32, 48), (37, 51)])
def test_every_fuser_keeps_shape_range_order_and_gradient(kind, size):
    module = module_of("arms", kind)
    small = {
        "fusionmamba": {"width": 8, "depths": (1, 1, 1, 1)},
        "mambadfuse": {"width": 8, "blocks": (1, 1, 1, 1)},
    }
    torch.manual_seed(5)  # with which no untrained network gives black, which has no gradient
    fuser = module.build(module.Config(**small.get(kind, {})))
    torch.manual_seed(0)
    ir, vis = torch.rand(2, 1, *size), torch.rand(2, 3, *size)
    fused = fuser(ir=ir, vis=vis)
    assert fused.shape == (2, 3, *size)
    assert fused.dtype == torch.float32
    assert 0 <= fused.min() <= fused.max() <= 1
    alone = fuser(ir=ir[1:], vis=vis[1:])
    assert torch.allclose(alone, fused[1:], atol=1e-5)
    seen = vis if kind == "vis_only" else ir
    seen.requires_grad_()
    fuser(ir=ir, vis=vis).sum().backward()
    assert seen.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["average", "maximum", "ir_only", "vis_only"])
def test_large_images_are_fused_in_bands_to_the_bit(kind, monkeypatch):
    module = module_of("arms", kind)
    config = module.Config()
    assert config.pointwise
    torch.manual_seed(0)
    ir, vis = (torch.randint(256, (2, n, 37, 51), dtype=torch.uint8) for n in (1, 3))
    arm = _fuser.FuserArm(
        module.build(config), device=torch.device("cpu"), dtype=torch.float32, config=config
    )
    at_once = arm(PairBatch(("a", "b"), ir, vis))
    for rows in (1, 5, 36):
        monkeypatch.setattr(_fuser, "BAND", rows * 2 * 51)
        assert torch.equal(arm(PairBatch(("a", "b"), ir, vis)), at_once)
    monkeypatch.setattr(_fuser, "BAND", 1)
    assert torch.equal(arm(PairBatch(("a", "b"), ir, vis)), at_once)


def test_a_fuser_of_whole_images_takes_few_large_ones_at_a_time(monkeypatch):
    taken = []

    def fuser(*, ir, vis):
        taken.append(tuple(vis.shape))
        return (ir + vis) / 2

    torch.manual_seed(0)
    ir, vis = (torch.randint(256, (5, n, 37, 51), dtype=torch.uint8) for n in (1, 3))
    arm = _fuser.FuserArm(fuser, device=torch.device("cpu"), dtype=torch.float32)
    batch = PairBatch(("a", "b", "c", "d", "e"), ir, vis)
    at_once = arm(batch)
    monkeypatch.setattr(_fuser, "WHOLE", 2 * 37 * 51)
    assert torch.equal(arm(batch), at_once)
    assert taken == [(count, 3, 37, 51) for count in (5, 2, 2, 1)]
    monkeypatch.setattr(_fuser, "WHOLE", 1)
    assert torch.equal(arm(batch), at_once)
    assert taken[4:] == [(1, 3, 37, 51)] * 5


@pytest.mark.parametrize("size", [(520, 51), (511, 64), (385, 3)])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_bands_of_a_pyramid_see_far_enough_to_be_the_whole_to_the_bit(size, levels, monkeypatch):
    module = module_of("arms", "laplacian")
    config = module.Config(levels=levels)
    monkeypatch.setattr(_fuser, "MARGINS", 1)  # so that bands meet in many places
    torch.manual_seed(0)
    ir, vis = (torch.randint(256, (2, n, *size), dtype=torch.uint8) for n in (1, 3))
    fused = {}
    for margin in (config.margin, None):
        settings = config if margin else ArmConfig()
        fuser = module.build(config)
        arm = _fuser.FuserArm(
            fuser, device=torch.device("cpu"), dtype=torch.float32, config=settings
        )
        monkeypatch.setattr(_fuser, "BAND", 1)
        fused[margin] = arm(PairBatch(("a", "b"), ir, vis))
    assert torch.equal(fused[config.margin], fused[None])


def test_an_installed_package_adds_a_kind(tmp_path, monkeypatch):
    """Its entry point is found as pip leaves it."""
    about = tmp_path / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[irvis.detector]\nbright = tests.helpers.toys\nyolov5 = elsewhere\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert kinds("detector") == ["bright", "yolov5"]
    loaded = components.load("detector", {"kind": "bright", "conf": 0.5}, "detector")
    assert loaded.module.__name__ == "tests.helpers.toys"
    assert loaded.dump() == {"kind": "bright", "conf": 0.5}
    built_in = components.module_of("detector", "yolov5")
    assert built_in.__name__ == "detection.detectors.yolov5"


@pytest.mark.parametrize("path", ["x" * 300, "y/" * 3000])
def test_a_path_that_no_system_takes_is_refused(path):
    with pytest.raises(
        ConfigError, match=r"source\.vis: '.*' can't be opened \(File name too long"
    ):
        components.load("source", {"kind": "image_folder", "ir": "a", "vis": path}, "source")


def test_an_address_where_a_path_is_wanted_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = r"'s3://season/msrs' is an address, but .* mount its bucket \(docs/cluster\.md\)"
    settings = {"kind": "msrs", "root": "s3://season/msrs"}
    with pytest.raises(ConfigError, match=rf"^source\.root: {told}"):
        components.load("source", settings, "source")
    (tmp_path / "s3:" / "season" / "msrs").mkdir(parents=True)  # then it is no address
    components.load("source", settings, "source")


def test_a_kind_that_is_too_long_for_a_file_is_unknown():
    with pytest.raises(ConfigError, match=r"arms\.a\.kind: unknown 'x"):
        components.load("arms", {"kind": "x" * 5000}, "arms.a")


@pytest.mark.parametrize("kind", FUSERS)
@pytest.mark.parametrize("own", ["detector", "segmenter"])
def test_only_an_arm_of_a_run_has_a_detector_of_its_own(kind, own):
    """A training or `irvis fuse`, which would not use it, refuses it."""
    needed = {"weights": "x.pth"} if kind == "fusionmamba_released" else {}
    settings = {"kind": kind, **needed, own: {"weights": "y.pt"}}
    with pytest.raises(ConfigError, match=rf"unknown key fuser\.{own}; choose from"):
        components.load("arms", settings, "fuser")
    arm = components.load_arm(settings, "arms.a")
    assert getattr(arm.own, own) == {"weights": "y.pt"}
    assert arm.dump() == settings
    with pytest.raises(ConfigError, match=r"arms\.a\.detcteor; did you mean 'detector'"):
        components.load_arm({"kind": kind, **needed, "detcteor": {}}, "arms.a")


def test_the_settings_of_every_arm_are_listed():
    names = [setting.name for setting in described.settings("arms", "average")]
    assert names == ["detector", "segmenter"]


def test_a_kind_with_a_field_that_every_arm_has_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_arm.py").write_text(
        "from common.component import ArmConfig\n"
        "class Config(ArmConfig):\n    detector: str = ''\n"
        "def build(config):\n    return None\n"
    )
    with pytest.raises(ConfigError, match=r"arms\.a\.kind: .* own_arm has a field detector"):
        components.load_arm({"kind": "own_arm"}, "arms.a")

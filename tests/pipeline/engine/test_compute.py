import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common.device import choose_dtype
from common.memory import keep_freed_memory
from detection.boxes import Detections
from fusion.fusers.fusionmamba import Config, build
from pipeline.arms._fuser import FuserArm
from pipeline.arms.late import Config as LateConfig
from pipeline.arms.late import LateArm
from pipeline.engine import compute as module
from pipeline.engine.compute import Compute, luminance
from pipeline.frames import Frame, FramePair, Item, PairBatch
from pipeline.images import to_grey
from tests.helpers import toys

CPU = torch.device("cpu")


def batch(height=33, width=47):
    generator = torch.Generator().manual_seed(0)

    def noise(channels):
        shape = (2, channels, height, width)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

    return PairBatch(keys=("a", "b"), ir=noise(1), vis=noise(3), ready={})


@pytest.fixture(scope="module")
def fuser():
    torch.manual_seed(0)
    built = build(Config(width=16, depths=(1, 1, 1, 1)))
    torch.nn.init.normal_(built.network.head.weight, std=0.05)
    return built


def test_bfloat16_is_near_float32_and_repeats(fuser):
    full = FuserArm(copy.deepcopy(fuser), device=CPU, dtype=torch.float32)(batch())
    arm = FuserArm(copy.deepcopy(fuser), device=CPU, dtype=torch.bfloat16)
    half = arm(batch())
    assert torch.equal(arm(batch()), half)
    difference = (full.float() - half.float()).abs()
    assert 0 < difference.mean() <= 1  # of 255
    assert difference.max() <= 16


def test_what_the_scan_decays_with_stays_float32(fuser):
    held = copy.deepcopy(fuser)
    FuserArm(held, device=CPU, dtype=torch.bfloat16)
    dtypes = {key.rpartition(".")[2]: p.dtype for key, p in held.named_parameters()}
    for name in ("A_log", "D", "dt_bias", "dt_weight"):
        assert dtypes[name] == torch.float32, name
    assert held.network.head.weight.dtype == torch.bfloat16
    assert held.network.encoder[0][0].norm_in.weight.dtype == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_auto_dtype_is_what_the_processor_computes_in(monkeypatch, native):
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    assert choose_dtype("auto", CPU) == (torch.bfloat16 if native else torch.float32)
    assert choose_dtype("float32", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16


def test_memory_is_kept_where_it_can_be():
    assert keep_freed_memory() in (True, False)
    assert keep_freed_memory() is keep_freed_memory()


def test_luminance_is_opencvs_to_the_bit():
    levels = torch.arange(256, dtype=torch.uint8)
    colours = torch.cartesian_prod(levels[::5], levels[::3], levels).T.reshape(3, 52, -1)
    grey = luminance(colours[None])  # [1, 1, H, W]
    expected = to_grey(np.ascontiguousarray(colours.permute(1, 2, 0).numpy()))
    assert np.array_equal(grey[0, 0].numpy(), expected)


@pytest.mark.parametrize("batches", [1, 3])
def test_the_first_batch_is_no_part_of_the_time_a_pair(monkeypatch, batches):
    """Where there is another one. A call takes 9 s, the first one 90 s more."""
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def slow(*, ir, vis):
        now[0] += 9 if now[0] else 99
        return vis

    arms = {"slow": FuserArm(slow, device=CPU, dtype=torch.float32)}
    arms["late"] = LateArm(LateConfig(arms=("slow", "slow2")))
    arms["slow2"] = FuserArm(lambda *, ir, vis: vis, device=CPU, dtype=torch.float32)
    compute = Compute(arms, dict.fromkeys(arms, toys.BrightBox()), device=CPU, batch=2)
    frame = Frame(np.zeros((8, 8), np.uint8), None, 0)
    item = Item(FramePair("a", frame, frame), None, {})
    for number in range(batches):
        compute([item] * (1 if number == 2 else 2), 2 * number)
    wanted = {1: 99 / 2, 3: (9 + 9) / 3}[batches]
    assert compute.ms_per_pair() == {
        "slow": {"fuse": pytest.approx(1e3 * wanted), "detect": 0},
        "late": {"merge": 0},
        "slow2": {"fuse": 0, "detect": 0},
    }
    assert compute.clock.busy["fuse slow"] == 90 + 9 * batches  # what was really done


def test_an_image_that_two_arms_have_is_made_and_measured_once():
    made = []

    def fuse(*, ir, vis):
        made.append(len(vis))
        return vis

    arm = FuserArm(fuse, device=CPU, dtype=torch.float32)
    arms = {"a": arm, "other": FuserArm(fuse, device=CPU, dtype=torch.float32), "b": arm}
    detectors = {"a": toys.BrightBox(), "b": lambda images: [Detections.empty()] * len(images)}
    compute = Compute(arms, detectors, device=CPU, batch=1, quality=True)
    image = np.full((16, 16), 250, np.uint8)
    frame = Frame(image, None, 0)
    (result,) = compute([Item(FramePair("k", frame, frame), None, {})], 0)
    assert made == [1, 1]
    assert np.array_equal(result.image("b"), result.image("a"))
    assert [len(result.detections[name]) for name in ("a", "b")] == [1, 0]
    assert result.quality["b"] == result.quality["a"]
    times = compute.ms_per_pair()
    assert times["b"]["fuse"] == times["a"]["fuse"] > 0
    assert {"fuse b", "quality b"} & set(compute.clock.busy) == set()


@pytest.mark.gpu
def test_an_upload_waits_for_no_computation():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    device = torch.device("cuda")
    compute = Compute({}, {}, device=device, batch=2)
    image = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    frame = Frame(image, None, 0)
    item = Item(FramePair("a", frame, frame), None, {})
    torch.cuda._sleep(2_000_000_000)  # about a second, on the stream that computes
    busy = torch.cuda.Event()
    busy.record()
    uploaded = compute.upload([item])
    assert not busy.query()
    assert torch.equal(uploaded.ir[1, 0].cpu(), torch.from_numpy(image))

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from common.errors import ConfigError, DataError
from fusion.fusers import fusionmamba
from fusion.network import checkpoint
from fusion.network.fusionmamba import Architecture, FusionMamba
from pipeline.images import pair_id, read_image
from tests.helpers.recipes import MAMBA, killed_at, make, rows, trainer
from tests.helpers.runs import silent
from training import config
from training.loop import train
from training.records import COLUMNS


@pytest.mark.parametrize(
    "compute",
    [
        {"device": "cpu", "dtype": "float32"},
        {"device": "cpu", "dtype": "bfloat16"},
        pytest.param({"device": "cuda", "dtype": "bfloat16"}, marks=pytest.mark.gpu),
    ],
    ids=lambda compute: "-".join(compute.values()),
)
def test_a_killed_run_goes_on_to_the_same_numbers(here, compute):
    if compute["device"] == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    # on CUDA only the reference adds up in one order
    scan = "reference" if compute["device"] == "cuda" else "auto"
    more = {"compute": {**compute, "batch": 2}, "network": {**MAMBA, "scan": scan}}
    whole = train(make(**more), silent)
    for again in (False, True):  # killed after a checkpoint, and again before the next one
        with pytest.raises(KeyboardInterrupt):
            train(make(**more, run__resume=again), killed_at(3))
    (here / "runs" / "t-2.partial" / "checkpoint.partial").write_bytes(b"half")
    resumed = train(make(**more, run__resume=True), silent)
    assert resumed.folder.name == "t-2"
    assert resumed.sha256 == whole.sha256
    assert rows(resumed.folder) == rows(whole.folder)
    assert len(rows(whole.folder)) == 5


def test_a_checkpoint_holds_everything(here):
    checked = make()
    first, second = trainer(checked), trainer(checked)
    for _ in range(3):
        first.advance()
    first.save(here / "checkpoint.pt")
    second.restore(here / "checkpoint.pt")
    for _ in range(2):
        assert torch.equal(first.advance(), second.advance())
    for one, two in ((first.network, second.network), (first.average, second.average)):
        for key, value in one.state_dict().items():
            assert torch.equal(value, two.state_dict()[key]), key
    assert (second.step, first.step) == (5, 5)


def test_nothing_is_left_of_a_run_that_did_nothing(here):
    with pytest.raises(KeyboardInterrupt):
        train(make(), killed_at(1))
    assert list((here / "runs").iterdir()) == []


def test_what_a_resumed_run_must_keep(here):
    with pytest.raises(KeyboardInterrupt):
        train(make(), killed_at(2))
    with pytest.raises(ConfigError, match=r"was begun with another schedule\.learning_rate"):
        train(make(run__resume=True, schedule__learning_rate=1e-3), silent)
    for kind in ("ir", "vis"):
        (here / "pairs" / kind / "5.png").unlink()
    with pytest.raises(ConfigError, match=r"run\.resume: the pairs of data\.sources, or the"):
        train(make(run__resume=True), silent)
    assert (here / "runs" / "t.partial" / "checkpoint.pt").is_file()


def test_the_result_is_a_fuser_that_says_what_it_was_trained_on(here):
    outcome = train(make(network=MAMBA), silent)
    stored = checkpoint.read(outcome.weights)
    kept = {key: value.dtype for key, value in stored.tensors.items()}
    assert {kept[key] for key in kept if key.endswith(("A_log", ".D", "dt_bias"))} == {
        torch.float32
    }
    assert {kept[key] for key in kept if not key.endswith(("A_log", ".D", "dt_bias"))} == {
        torch.float16
    }
    pairs = [[read_image(here / "pairs" / k / f"{i}.png") for k in ("ir", "vis")] for i in range(6)]
    assert stored.metadata["trained_on"].split() == sorted(pair_id(*pair) for pair in pairs)
    assert json.loads(stored.metadata["data"]) == {"pairs": 6}
    assert json.loads(stored.metadata["recipe"])["schedule"]["steps"] == 5
    assert stored.architecture(FusionMamba.NAME, Architecture).width == 8
    fuser = fusionmamba.build(fusionmamba.Config(weights=str(outcome.weights)))
    with torch.inference_mode():
        fused = fuser(ir=torch.full((1, 1, 32, 32), 0.2), vis=torch.full((1, 3, 32, 32), 0.6))
    assert fused.shape == (1, 3, 32, 32)
    assert not torch.allclose(fused, torch.full((), 0.4), atol=1e-3)  # no longer the mean
    assert sorted(path.name for path in outcome.folder.iterdir()) == [
        "config.yaml", "log.csv", "tensorboard", "weights.safetensors",
    ]  # fmt: skip


def test_a_warm_start_begins_with_the_weights_and_owns_up_to_their_pairs(here):
    first = train(make(), silent)
    source = {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vis", "exclude_last": 4}
    begun = {"kind": "gate_unet", "weights": str(first.weights)}
    checked = make(network=begun, data__sources={"few": source})
    begun = trainer(checked).network.state_dict()
    for key, value in checkpoint.read(first.weights).tensors.items():
        assert torch.equal(begun[key], value.float()), key
    second = checkpoint.read(train(checked, silent).weights)
    before = checkpoint.read(first.weights)
    assert json.loads(second.metadata["data"]) == {"few": 2}
    assert second.metadata["trained_on"] == before.metadata["trained_on"]
    assert second.metadata["begun_from"] == first.sha256


def test_other_first_weights_under_the_same_name_are_no_resume(here):
    """The result would name weights that it was not begun from."""
    weights = here / "first.safetensors"
    begun = {"network": {"weights": str(weights)}}

    def draw(seed):
        torch.manual_seed(seed)
        checkpoint.save(weights, FusionMamba(Architecture(**MAMBA)))

    draw(1)
    with pytest.raises(KeyboardInterrupt):
        train(make(**begun), killed_at(3))
    draw(2)
    with pytest.raises(ConfigError, match="the weights it began from or imitates, have changed"):
        train(make(**begun, run__resume=True), silent)


def test_the_loss_falls(here):
    schedule = {"steps": 16, "warmup": 2}
    learning = trainer(make(schedule={**schedule, "learning_rate": 8e-3}))
    idle = trainer(make(schedule={**schedule, "learning_rate": 1e-12}))  # sees the same crops
    totals = np.array([[t.advance()[0].item() for t in (learning, idle)] for _ in range(16)])
    assert totals[0, 0] == totals[0, 1]
    assert (totals[-8:, 0] < totals[-8:, 1]).all()
    assert totals[-8:, 0].mean() < 0.9 * totals[-8:, 1].mean()


def test_the_gradient_is_clipped_and_its_norm_logged(here):
    training = trainer(make(schedule__clip=1.0))
    norm = training.advance()[COLUMNS.index("gradient")].item()
    gradients = [p.grad for p in training.network.parameters() if p.grad is not None]
    assert norm > 1
    assert torch.cat([g.flatten() for g in gradients]).norm() == pytest.approx(1.0, abs=1e-3)


def test_the_average_follows(here):
    training = trainer(make(schedule__ema=0.5))
    before = [p.detach().clone() for p in training.network.parameters()]
    for decay in (0.1, 2 / 11):  # (1 + step) / (10 + step), while that is below 0.5
        means = [p.detach().clone() for p in training.average.parameters()]
        training.advance()
        for old, mean, new in zip(
            means, training.average.parameters(), training.network.parameters(), strict=True
        ):
            assert torch.allclose(mean, decay * old + (1 - decay) * new, atol=1e-6)
    assert not torch.equal(before[-1], training.network.head.bias)
    assert training.average.head.bias.requires_grad is False


def test_the_rate_warms_up_and_falls():
    schedule = config.ScheduleConfig(steps=1000, warmup=100, learning_rate=2e-4)
    rates = [schedule.rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(2e-6)
    assert rates[100] == pytest.approx(2e-4)
    assert rates[550] == pytest.approx(2e-4 * (0.01 + 0.99 / 2))
    assert rates[-1] == pytest.approx(2e-6, rel=0.01)
    assert np.argmax(rates) in (99, 100)


@pytest.mark.parametrize("network", [{"kind": "gate_unet"}, {**MAMBA, "head": "gate"}])
def test_networks_with_a_gate_learn_and_are_kept(here, network):
    outcome = train(make(network=network), silent)
    kind = network.get("kind", "fusionmamba")
    module = config.NETWORKS[kind]
    fuser = module.build(module.Config(weights=str(outcome.weights)))
    with torch.inference_mode():
        fused = fuser(ir=torch.full((1, 1, 40, 50), 0.2), vis=torch.full((1, 3, 40, 50), 0.6))
    assert fused.shape == (1, 3, 40, 50)
    assert not torch.allclose(fused, torch.full((), 0.4), atol=1e-4)  # no longer the mean


def test_sheets(here):
    sheet = {"ir": "pairs/ir", "vis": "pairs/vis", "keys": ["1", "4"], "every": 4}
    outcome = train(make(sheet=sheet), silent)
    assert sorted(path.name for path in (outcome.folder / "sheets").iterdir()) == [
        "000004.png", "000005.png",
    ]  # fmt: skip
    picture = read_image(outcome.folder / "sheets" / "000005.png")
    assert picture.shape == (2 * 224, 3 * 320, 3)  # 56 x 80 pixels, four times as large
    vis = read_image(here / "pairs" / "vis" / "1.png")
    assert picture[112, 320 + 160] == pytest.approx(vis[28, 40], abs=30)
    with pytest.raises(DataError, match=r"sheet\.keys: '9' is not in pairs/ir"):
        train(make(sheet={**sheet, "keys": ["9"]}), silent)


def test_tensorboard_gets_the_numbers_where_it_is_installed(here, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    outcome = train(make(schedule={"steps": 2, "warmup": 1}), silent)
    assert written[0] == ("runs/t.partial/tensorboard", 0)
    assert written[-1] == "closed"
    names = [*COLUMNS, "rate"]
    assert [entry[0] for entry in written[1:-1]] == [*names, *names]
    logged = rows(outcome.folder)[1]
    name, total, step = written[1 + len(names)]
    assert (name, step) == ("total", 2)
    assert float(logged["total"]) == pytest.approx(total, rel=1e-5)

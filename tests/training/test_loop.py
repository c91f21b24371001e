import csv
import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError, DataError
from fusion.color import rgb_to_ycbcr, ycbcr_to_rgb
from fusion.fusers import fusionmamba
from fusion.network import checkpoint
from pipeline.images import pair_id, read_image
from training import config
from training.data import open_sources
from training.loop import Trainer, train
from training.records import COLUMNS

NETWORK = {"width": 8, "depths": [1, 1, 1, 1]}


@pytest.fixture(autouse=True)
def _one_thread():
    """So small a network gains nothing from a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Six pairs of blocks and noise, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind, channels in (("ir", 1), ("vis", 3)):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        for number in range(6):
            coarse = rng.integers(20, 236, size=(7, 10, channels))
            image = np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 5, (56, 80, channels))
            picture = np.clip(image, 0, 255).astype(np.uint8).squeeze()
            Image.fromarray(picture).save(tmp_path / "pairs" / kind / f"{number}.png")
    return tmp_path


def make(**changes):
    """A short recipe; ``schedule__steps=3`` changes one of its keys."""
    settings = {
        "run": {"name": "t", "save_every": 2},
        "network": dict(NETWORK),
        "data": {
            "cache": "cache",
            "crop": 32,
            "sources": {"pairs": {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vis"}},
        },
        "schedule": {"steps": 5, "warmup": 2, "learning_rate": 2e-3},
        "compute": {"device": "cpu", "batch": 2, "dtype": "float32"},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            settings[section][name] = value
        else:
            settings[section] = value
    return config.check(settings)


def quiet(done, total):
    pass


def killed_at(step):
    def on_progress(done, total):
        if done == step:
            raise KeyboardInterrupt

    return on_progress


def rows(folder):
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def trainer(checked, **more):
    return Trainer(checked, open_sources(checked), torch.device("cpu"), **more)


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
    more = {"compute": {**compute, "batch": 2}, "network": {**NETWORK, "scan": scan}}
    whole = train(make(**more), quiet)
    for again in (False, True):  # killed after a checkpoint, and again before the next one
        with pytest.raises(KeyboardInterrupt):
            train(make(**more, run__resume=again), killed_at(3))
    (here / "runs" / "t-2.partial" / "checkpoint.partial").write_bytes(b"half")
    resumed = train(make(**more, run__resume=True), quiet)
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
        train(make(run__resume=True, schedule__learning_rate=1e-3), quiet)
    for kind in ("ir", "vis"):
        (here / "pairs" / kind / "5.png").unlink()
    with pytest.raises(ConfigError, match=r"run\.resume: the pairs of data\.sources have changed"):
        train(make(run__resume=True), quiet)
    assert (here / "runs" / "t.partial" / "checkpoint.pt").is_file()


def test_the_result_is_a_fuser_that_says_what_it_was_trained_on(here):
    outcome = train(make(), quiet)
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
    assert stored.architecture().width == 8
    fuser = fusionmamba.build(fusionmamba.Config(weights=str(outcome.weights)))
    with torch.inference_mode():
        fused = fuser(ir=torch.full((1, 1, 32, 32), 0.2), vis=torch.full((1, 3, 32, 32), 0.6))
    assert fused.shape == (1, 3, 32, 32)
    assert not torch.allclose(fused, torch.full((), 0.4), atol=1e-3)  # no longer the mean
    assert sorted(path.name for path in outcome.folder.iterdir()) == [
        "config.yaml", "log.csv", "tensorboard", "weights.safetensors",
    ]  # fmt: skip


def test_a_warm_start_begins_with_the_weights_and_owns_up_to_their_pairs(here):
    first = train(make(), quiet)
    source = {"kind": "files", "ir": "pairs/ir", "vis": "pairs/vis", "exclude_last": 4}
    checked = make(network={"weights": str(first.weights)}, data__sources={"few": source})
    begun = trainer(checked).network.state_dict()
    for key, value in checkpoint.read(first.weights).tensors.items():
        assert torch.equal(begun[key], value.float()), key
    second = checkpoint.read(train(checked, quiet).weights)
    before = checkpoint.read(first.weights)
    assert json.loads(second.metadata["data"]) == {"few": 2}
    assert second.metadata["trained_on"] == before.metadata["trained_on"]
    assert second.metadata["begun_from"] == first.sha256


def test_a_zero_head_begins_at_the_mean_with_features_that_were_learned(here):
    first = train(make(), quiet)
    checked = make(network={"weights": str(first.weights)}, schedule__zero_head=True)
    network = trainer(checked).network.eval()
    ir, vis = torch.rand(2, 1, 1, 32, 64).unbind(0)
    assert torch.equal(network(ir=ir, vis=vis), (ir + vis) / 2)
    learned = checkpoint.read(first.weights).tensors["embed_ir.conv.weight"].float()
    assert torch.equal(network.embed_ir.conv.weight, learned)


def test_the_loss_falls(here):
    schedule = {"steps": 40, "warmup": 5}
    learning = trainer(make(schedule={**schedule, "learning_rate": 4e-3}))
    idle = trainer(make(schedule={**schedule, "learning_rate": 1e-12}))  # sees the same crops
    totals = np.array([[t.advance()[0].item() for t in (learning, idle)] for _ in range(40)])
    assert totals[0, 0] == totals[0, 1]
    assert (totals[-8:, 0] < totals[-8:, 1]).all()
    assert totals[-8:, 0].mean() < 0.9 * totals[-8:, 1].mean()


def test_the_total_is_the_weighted_sum(here):
    seen = []

    def detector(fused, batch):
        seen.append((fused, batch))
        return fused.mean()

    training = trainer(make(detector={"weight": 7.0}), detector=detector)
    values = dict(zip(COLUMNS, training.advance().tolist(), strict=True))
    (fused, batch), terms = seen[0], [values[k] for k in ("intensity", "texture", "structure")]
    assert values["total"] == pytest.approx(np.dot((100, 10, 1), terms) + 7 * values["detector"])
    assert values["detector"] == pytest.approx(fused.mean().item())
    # untrained, the network gives the mean of what it sees, and the chroma stays
    y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)
    expected = ycbcr_to_rgb((batch.seen.float() / 255 + y) / 2, cbcr)
    assert torch.allclose(fused, expected, atol=1e-6)


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


def test_a_loss_that_is_not_finite_ends_the_run(here, monkeypatch):
    def detector(fused, batch):
        return fused.sum() * float("nan")

    monkeypatch.setattr("training.loop.DetectorLoss", lambda config, device: detector)
    with pytest.raises(DataError, match=r"the loss is nan at step 1; lower") as caught:
        train(make(detector={}), quiet)
    assert "\n" not in str(caught.value)


def test_sheets(here):
    sheet = {"ir": "pairs/ir", "vis": "pairs/vis", "keys": ["1", "4"], "every": 4}
    outcome = train(make(sheet=sheet), quiet)
    assert sorted(path.name for path in (outcome.folder / "sheets").iterdir()) == [
        "000004.png", "000005.png",
    ]  # fmt: skip
    picture = read_image(outcome.folder / "sheets" / "000005.png")
    assert picture.shape == (2 * 224, 3 * 320, 3)  # 56 x 80 pixels, four times as large
    vis = read_image(here / "pairs" / "vis" / "1.png")
    assert picture[112, 320 + 160] == pytest.approx(vis[28, 40], abs=30)
    with pytest.raises(DataError, match=r"sheet\.keys: '9' is not in pairs/ir"):
        train(make(sheet={**sheet, "keys": ["9"]}), quiet)


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
    outcome = train(make(schedule={"steps": 2, "warmup": 1}), quiet)
    assert written[0] == ("runs/t.partial/tensorboard", 0)
    assert written[-1] == "closed"
    assert [entry[0] for entry in written[1:8]] == [*COLUMNS, "rate"]
    logged = rows(outcome.folder)[1]
    assert float(logged["total"]) == pytest.approx(written[8][1], rel=1e-5)
    assert written[8][2] == 2

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from common.errors import WeightsError
from fusion.fusers.fusionmamba_released import Config, build
from fusion.network.released import ReleasedFusionMamba, stored_key
from tests.fusion.fusers.pairs import pair


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file whose network adds −1.2 or so to twice the sum, so that it goes out of [0, 1]."""
    torch.manual_seed(0)
    network = ReleasedFusionMamba(8, (1, 1, 1, 1))
    nn.init.normal_(network.head.weight, std=0.05)
    nn.init.constant_(network.head.bias, -1.2)
    path = tmp_path_factory.mktemp("weights") / "released.pth"
    torch.save({stored_key(k): v for k, v in network.state_dict().items()}, path)
    return str(path)


def grey(inputs):
    return inputs | {"vis": inputs["vis"][:, :1].repeat(1, 3, 1, 1)}


def test_is_the_clamped_output_of_the_network(weights):
    fuser, inputs = build(Config(weights=weights, scan="reference")), grey(pair())
    assert not fuser.training
    with torch.inference_mode():
        raw = fuser.network(ir=inputs["ir"], vis=inputs["vis"][:, :1])
        fused = fuser(**inputs)
    assert raw.min() < 0
    assert raw.max() > 1
    assert torch.equal(fused, raw.clamp(0, 1).expand(-1, 3, -1, -1))


def test_is_not_stretched(weights):
    inputs = {k: torch.full_like(v, 0.45) for k, v in grey(pair()).items()}
    with torch.inference_mode():
        fused = build(Config(weights=weights, scan="reference"))(**inputs)
    assert 0.1 < fused.min() <= fused.max() < 0.9  # 4 * 0.45 − 1.2, and what the network adds


def test_colour(weights):
    with torch.inference_mode():
        fused = build(Config(weights=weights, scan="reference"))(**pair())
    assert fused.shape == (2, 3, 9, 12)
    assert 0 <= fused.min() <= fused.max() <= 1
    assert (fused[:, 0] - fused[:, 1]).abs().max() > 0.1


def test_differentiable_to_both_inputs(weights):
    inputs = {k: (0.4 + 0.1 * v).requires_grad_() for k, v in pair().items()}
    build(Config(weights=weights, scan="reference"))(**inputs).square().sum().backward()
    assert inputs["ir"].grad.abs().max() > 0
    assert inputs["vis"].grad.abs().max() > 0


def test_moves_with_its_network(weights):
    fuser = build(Config(weights=weights)).double()
    with torch.inference_mode():
        assert fuser(**{k: v.double() for k, v in pair().items()}).dtype == torch.float64


@pytest.mark.parametrize("name", ["ir", "vis"])
@pytest.mark.parametrize("value", [float("nan"), -0.01, 1.01])
def test_values_out_of_range(weights, name, value):
    inputs = pair()
    inputs[name][1, 0, 3, 4] = value
    with pytest.raises(ValueError, match=rf"{name} has NaN or values outside \[0, 1\]"):
        build(Config(weights=weights, scan="reference"))(**inputs)


def test_missing_weights():
    with pytest.raises(WeightsError, match=r"no weights at nosuch"):
        build(Config(weights="nosuch"))


@pytest.mark.parametrize("wrong", [{}, {"weights": None}, {"scan": "fast"}, {"size": "base"}])
def test_wrong_configuration(wrong, weights):
    with pytest.raises(ValidationError):
        Config(**({"weights": weights} if "weights" not in wrong and wrong else {}), **wrong)

import pytest
import torch
from pydantic import ValidationError

from common.errors import WeightsError
from fusion.color import rgb_to_ycbcr
from fusion.fusers.mambadfuse import Config, build
from tests.fusion.fusers.pairs import pair
from tests.fusion.network.mambadfuse import drawn


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file whose network gives images of [0, 1] that go beyond it on both sides."""
    network, inputs = drawn(), pair()
    with torch.no_grad():
        raw = network(ir=inputs["ir"], vis=inputs["vis"][:, :1])
        network.conv_last3.weight.div_(3 * raw.std())
        network.conv_last3.bias.add_(0.5 - raw.mean())
        network.conv_last3.bias.sub_(0.5).div_(3 * raw.std()).add_(0.5)
    path = tmp_path_factory.mktemp("weights") / "10000_E.pth"
    torch.save(network.state_dict(), path)
    return str(path)


def test_grey_is_the_clamped_output_of_the_network(weights):
    fuser, inputs = build(Config(weights=weights)), pair()
    grey = inputs["vis"][:, :1]
    with torch.inference_mode():
        raw = fuser.network(ir=inputs["ir"], vis=grey)
        fused = fuser(ir=inputs["ir"], vis=grey.expand(-1, 3, -1, -1))
    assert raw.min() < 0
    assert raw.max() > 1
    assert torch.equal(fused, raw.clamp(0, 1).expand(-1, 3, -1, -1))


def test_colour_is_that_of_the_visible_image(weights):
    fuser, inputs = build(Config(weights=weights)), pair()
    # so pale that no luminance leaves the cube of colours
    inputs["vis"] = 0.5 + 0.01 * (inputs["vis"] - 0.5)
    y, cbcr = rgb_to_ycbcr(inputs["vis"])
    with torch.inference_mode():
        luminance = fuser.network(ir=inputs["ir"], vis=y)
        fused_y, fused_cbcr = rgb_to_ycbcr(fuser(**inputs))
    inside = ((luminance > 0.02) & (luminance < 0.98)).expand(-1, 2, -1, -1)
    assert inside.float().mean() > 0.3
    assert torch.allclose(fused_cbcr[inside], cbcr[inside], atol=1e-6)
    assert torch.allclose(fused_y[inside[:, :1]], luminance[inside[:, :1]], atol=1e-6)


def test_untrained_says_so(caplog):
    assert build(Config(width=8, blocks=(1, 1, 1, 1)))(**pair()).shape == (2, 3, 9, 12)
    assert "mambadfuse without weights is untrained" in caplog.text


def test_missing_weights():
    with pytest.raises(WeightsError, match=r"no weights at .*nosuch\.pth"):
        build(Config(weights="nosuch.pth"))


@pytest.mark.parametrize("wrong", [{"width": 3}, {"blocks": (8, 2, 5)}, {"blocks": (8, 0, 5, 8)}])
def test_wrong_configuration(wrong):
    with pytest.raises(ValidationError):
        Config(**wrong)

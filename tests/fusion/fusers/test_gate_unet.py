import pytest
import torch
from safetensors.torch import save_file

from common.errors import WeightsError
from fusion.color import rgb_to_ycbcr
from fusion.fusers import fusionmamba, gate_unet
from fusion.network import checkpoint
from fusion.network.gate_unet import Architecture, GateUNet


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = GateUNet(Architecture(widths=(8, 16)))
    torch.nn.init.normal_(network.head.weight, std=0.5)
    checkpoint.save(tmp_path / "a.safetensors", network, half=True)
    return tmp_path / "a.safetensors"


def test_weights_say_what_network_they_are_of(weights):
    fuser = gate_unet.build(gate_unet.Config(weights=str(weights)))
    assert fuser.network.architecture.widths == (8, 16)
    ir, vis = torch.rand(1, 1, 40, 50), torch.rand(1, 3, 40, 50) * 0.5 + 0.25
    with torch.no_grad():
        fused = fuser(ir=ir, vis=vis)
        luminance = fuser.network(ir=ir, vis=rgb_to_ycbcr(vis)[0])
    assert not torch.allclose(luminance, (ir + rgb_to_ycbcr(vis)[0]) / 2, atol=1e-3)
    inside = (fused > 0).all(dim=1) & (fused < 1).all(dim=1)
    assert torch.allclose(rgb_to_ycbcr(fused)[0][:, 0][inside], luminance[:, 0][inside], atol=1e-5)


def test_weights_of_another_network(weights, tmp_path):
    with pytest.raises(WeightsError, match="weights of gate_unet, not of fusionmamba"):
        fusionmamba.build(fusionmamba.Config(weights=str(weights)))
    save_file({"a": torch.ones(1)}, tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match=r"metadata does not name its network"):
        gate_unet.build(gate_unet.Config(weights=str(tmp_path / "b.safetensors")))

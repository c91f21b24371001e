import pytest
import torch

from common.errors import WeightsError
from fusion.network import checkpoint
from fusion.network.gate_unet import Architecture, GateUNet
from tools import average_weights


@pytest.fixture
def files(tmp_path):
    """Two networks whose weights are all 1 and all 3."""
    for value in (1.0, 3.0):
        network = GateUNet(Architecture(widths=(8, 8)))
        network.load_state_dict(
            {key: torch.full_like(old, value) for key, old in network.state_dict().items()}
        )
        metadata = {"trained_on": "ab cd", "recipe": f"{value}"}
        checkpoint.save(tmp_path / f"{value:.0f}.safetensors", network, metadata=metadata)
    return tmp_path / "1.safetensors", tmp_path / "3.safetensors"


def test_by_hand(files, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    average_weights.main(out, {files[0]: 0.25, files[1]: 0.75})
    stored = checkpoint.read(out)
    assert {float(value) for tensor in stored.tensors.values() for value in tensor.unique()} == {
        2.5
    }
    assert stored.metadata["averaged"] == "0.25 1.safetensors, 0.75 3.safetensors"
    assert (stored.metadata["trained_on"], stored.metadata["recipe"]) == ("ab cd", "3.0")
    assert "sha256" in capsys.readouterr().out


def test_what_is_no_average(files, tmp_path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(WeightsError, match=r"add up to 0\.5"):
        average_weights.main(out, {files[0]: 0.25, files[1]: 0.25})
    other = tmp_path / "other.safetensors"
    checkpoint.save(other, GateUNet(Architecture(widths=(8, 16))))
    with pytest.raises(WeightsError, match="not this network's weights"):
        average_weights.main(out, {files[0]: 0.5, other: 0.5})
    assert not out.exists()

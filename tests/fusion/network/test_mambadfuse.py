"""MambaDFuse against its definition written out, and its reading of files."""

import pytest
import torch
from safetensors.torch import save_file

from common.errors import WeightsError
from fusion.fusers.mambadfuse import Config, build
from fusion.network import checkpoint, mambadfuse
from fusion.network.mambadfuse import Architecture, MambaDFuse
from fusion.padding import crop, pad_mirrored
from tests.fusion.network.mambadfuse import BLOCKS, drawn, written_out
from tests.fusion.network.random_inputs import pair
from tests.helpers.pickled import Code


@pytest.fixture(scope="module")
def network():
    return drawn()


@pytest.mark.parametrize("width", [8, 10, 20])  # a quarter of 10 is rounded down; rank 2 at 20
def test_is_its_definition(width):
    network, inputs = drawn(width), pair(6, 7)
    exact = {name: image.double() for name, image in inputs.items()}
    expected = written_out(network.state_dict(), BLOCKS, **exact)
    for enabled in (False, True):  # the kernels for inference, and those with gradients
        with torch.set_grad_enabled(enabled):
            found = network.fuse(**inputs).double()
        assert (found - expected).norm() <= 1e-5 * (expected - expected.mean()).norm()


def test_pieces_make_no_difference(network, monkeypatch):
    inputs = pair(9, 11)
    with torch.inference_mode():
        whole = network(**inputs)
        monkeypatch.setattr(mambadfuse, "PIECE", 37)
        assert (network(**inputs) - whole).norm() <= 1e-6 * whole.norm()
    assert torch.equal(network(**inputs), network(**inputs))  # with gradients: no pieces


def test_padding_is_scanned_and_cropped(network):
    inputs = pair(8, 13, batch=2)
    padded = {name: pad_mirrored(image, 8) for name, image in inputs.items()}
    assert padded["ir"].shape == (2, 1, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(network(**inputs), crop(network.fuse(**padded), 8, 13), atol=1e-6)
        alone = network(**{name: image[1:] for name, image in inputs.items()})
        assert torch.equal(network(**inputs)[1:], alone)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (17, 31)])
def test_any_size(network, height, width):
    with torch.inference_mode():
        fused = network(**pair(height, width))
    assert fused.shape == (1, 1, height, width)
    assert fused.isfinite().all()


@pytest.mark.parametrize("wrong", [(1, 1, 8, 9), (1, 3, 8, 8), (2, 1, 8, 8), (1, 8, 8), (1,)])
def test_wrong_shapes(network, wrong):
    with pytest.raises(ValueError, match=r"must both be \[B, 1, H, W\]"):
        network(**(pair(8, 8) | {"ir": torch.rand(wrong)}))


def test_training_has_no_padding(network):
    inputs = pair(8, 13, batch=2)
    network.train()
    try:
        assert torch.equal(network(**inputs), network.fuse(**inputs))
    finally:
        network.eval()


def test_every_weight_has_a_gradient(network):
    network.zero_grad()
    network(**pair(6, 7)).square().sum().backward()
    assert [key for key, p in network.named_parameters() if not p.grad.abs().max() > 0] == []


def test_size_and_first_steps_of_the_authors():
    network = MambaDFuse(Architecture())
    assert sum(p.numel() for p in network.parameters()) == 1_347_271
    assert len(network.state_dict()) == 484
    mamba = network.M3_block5.multi_modal_mamba_block
    steps = torch.nn.functional.softplus(mamba.dt_proj.bias)
    assert 1e-3 <= steps.min() <= steps.max() <= 0.1
    assert torch.nn.functional.softplus(mamba.dt_proj_b.bias).min() > 0.4
    assert torch.equal(mamba.A_b_log.exp()[7].round(), torch.arange(1.0, 17))


def test_bfloat16_is_near(network):
    inputs = pair(16, 16)
    with torch.inference_mode():
        exact = network(**inputs)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(**inputs).float()
    assert (found - exact).norm() <= 0.1 * (exact - exact.mean()).norm()  # 8 bits in 14 layers


# --- reading files


def save(tensors, path, wrap=None):
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({wrap: tensors} if wrap else tensors, path)
    return str(path)


@pytest.mark.parametrize(
    ("name", "wrap"),
    [("a.pth", None), ("a.pth", "params"), ("a.pt", None), ("a.safetensors", None)],
)
def test_round_trip(network, tmp_path, name, wrap):
    loaded = build(Config(weights=save(network.state_dict(), tmp_path / name, wrap))).network
    assert loaded.architecture == network.architecture
    assert not loaded.training
    expected = network.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())


def test_what_is_written_here_is_read_again(network, tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", network, half=True)
    stored = checkpoint.read(tmp_path / "a.safetensors")
    whole = [key for key, value in stored.tensors.items() if value.dtype == torch.float32]
    kinds = {key.partition("mamba_block.")[2] for key in whole if key.startswith("M3_block1")}
    steps = {"dt_proj.bias", "dt_proj_b.bias", "dt_proj_c.bias"}
    assert kinds == {"A_log", "A_b_log", "D", "D_b", "D_c"} | steps
    loaded = build(Config(weights=str(tmp_path / "a.safetensors"))).network
    assert torch.equal(loaded.M3_block1.norm2.body.bias, network.M3_block1.norm2.body.bias.half())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("feature_re.0.encoder.D", None, r"missing: feature_re\.0\.encoder\.D$"),
        ("tail.bias", torch.ones(1), r"not in the network: tail\.bias$"),
        ("conv_last3.bias", torch.ones(2), r"conv_last3\.bias \[2\] instead of \[1\]$"),
        ("patch_embed.norm.weight", None, "no weights of a MambaDFuse: .* 0 channels"),
        ("patch_embed.norm.weight", torch.tensor(8.0), "no weights of a MambaDFuse"),
        ("patch_embed.norm.weight", torch.ones(1025), "no weights of a MambaDFuse: .* 1025"),
    ],
)
def test_wrong_keys_are_named(network, tmp_path, key, value, message):
    tensors = {k: v for k, v in {**network.state_dict(), key: value}.items() if v is not None}
    with pytest.raises(WeightsError, match=message) as caught:
        build(Config(weights=save(tensors, tmp_path / "a.pth")))
    assert str(tmp_path / "a.pth") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blocks_of_a_kind_must_be_there(network, tmp_path):
    tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("M3_block")}
    with pytest.raises(WeightsError, match=r"there are \(2, 2, 0, 1\) blocks"):
        build(Config(weights=save(tensors, tmp_path / "a.pth")))


def test_settings_that_contradict_the_file(network, tmp_path):
    weights = save(network.state_dict(), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"with width 8, but the configuration asks for 12"):
        build(Config(weights=weights, width=12))
    build(Config(weights=weights, width=8, blocks=BLOCKS))


@pytest.mark.parametrize("wrap", [None, "params"])
def test_code_is_never_run(network, tmp_path, wrap):
    tensors = network.state_dict() | {"conv_last3.bias": Code(str(tmp_path / "trace"))}
    with pytest.raises(WeightsError, match="code, which is never run"):
        build(Config(weights=save(tensors, tmp_path / "a.pth", wrap)))
    assert not (tmp_path / "trace").exists()

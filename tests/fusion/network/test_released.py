"""The released network as a whole: loading, and how its parts are put together."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from common.errors import WeightsError
from fusion.network.released import ReleasedFusionMamba, from_checkpoint, stored_key
from tests.fusion.network.random_inputs import pair
from tests.fusion.network.released import DEPTHS, SCAN, drawn, stored
from tests.helpers.pickled import Code


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return drawn(ReleasedFusionMamba(8, DEPTHS, scan=SCAN))


def calls(network, inputs, *names):
    """Inputs and output of submodules in one pass, by name."""
    seen = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda module, given, out, name=name: seen.__setitem__(name, (*given, out))
        )
        for name in names
    ]
    with torch.inference_mode():
        network(**inputs)
    for hook in hooks:
        hook.remove()
    return seen


# --- loading


def save(tensors, path, wrap=None):
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({wrap: tensors, "epoch": 3} if wrap else tensors, path)
    return path


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_round_trip(network, tmp_path, name, prefix):
    tensors = {prefix + k: v for k, v in stored(network).items()}
    loaded = from_checkpoint(save(tensors, tmp_path / name))
    assert (loaded.width, loaded.depths) == (8, DEPTHS)
    assert not loaded.training
    given, expected = loaded.state_dict(), network.state_dict()
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[key], expected[key]) for key in expected)


def test_loaded_network_gives_the_same_image(network, tmp_path):
    loaded = from_checkpoint(save(stored(network), tmp_path / "a.pth"), scan=SCAN)
    with torch.inference_mode():
        assert torch.equal(loaded(**pair()), network(**pair()))


@pytest.mark.parametrize("wrap", ["model", "state_dict", "net"])
def test_wrapped_state_dict(network, tmp_path, wrap):
    loaded = from_checkpoint(save(stored(network), tmp_path / "a.pth", wrap))
    assert torch.equal(loaded.head.weight, network.head.weight)


@pytest.mark.parametrize(("width", "hidden"), [(4, 1), (12, 1), (20, 2)])
def test_any_multiple_of_four_is_a_width(tmp_path, width, hidden):
    """C // 8 channels in the gates of the first level, at least one, as in the authors' code."""
    other = drawn(ReleasedFusionMamba(width, DEPTHS, scan=SCAN))
    assert other.encoder[0][0].gate.global_reduce.out_features == hidden
    loaded = from_checkpoint(str(save(stored(other), tmp_path / "a.pth")), scan=SCAN)
    assert loaded.width == width
    with torch.no_grad():
        assert torch.equal(loaded(**pair()), other(**pair()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_other_dtypes_become_float32(network, tmp_path, dtype):
    tensors = {k: v.to(dtype) for k, v in stored(network).items()}
    loaded = from_checkpoint(save(tensors, tmp_path / "a.pth"))
    assert torch.equal(loaded.head.weight, network.head.weight.to(dtype).float())
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_unused_entries_may_lack(network, tmp_path):
    tensors = {stored_key(k): v for k, v in network.state_dict().items()}
    from_checkpoint(save(tensors, tmp_path / "a.pth"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("layers.2.blocks.0.op.Ds", None, r"missing: layers\.2\.blocks\.0\.op\.Ds$"),
        ("layers.1.blocks.1.op.Ds", None, r"missing: layers\.1\.blocks\.1\.op\.Ds$"),
        ("patch_embed1.proj.weight", None, r"patch_embed1\.proj\.weight is missing"),
        ("tail.bias", torch.ones(1), r"not in the network: tail\.bias$"),
        ("layers.0.downsample.norm.bias", torch.ones(3), r"norm\.bias \[3\] instead of \[32\]$"),
        (
            "patch_embed1.proj.weight",
            torch.ones(10, 1, 4, 4),
            "first dimension is no multiple of 4",
        ),
        ("patch_embed1.proj.weight", torch.tensor(8.0), "first dimension is no multiple of 4"),
        # 40 TB, were it built before it is compared
        ("patch_embed1.proj.weight", torch.ones(80_000, 1), r"of another shape: patch_embed1"),
    ],
)
def test_wrong_keys_are_named(network, tmp_path, key, value, message):
    tensors = {k: v for k, v in {**stored(network), key: value}.items() if v is not None}
    with pytest.raises(WeightsError, match=message) as caught:
        from_checkpoint(save(tensors, tmp_path / "a.pth"))
    assert str(tmp_path / "a.pth") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_level_is_named(network, tmp_path):
    tensors = {k: v for k, v in stored(network).items() if not k.startswith("layers.2.blocks.")}
    with pytest.raises(WeightsError, match=r"missing: layers\.2\.blocks\.0\."):
        from_checkpoint(save(tensors, tmp_path / "a.pth"))


def test_no_file(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights at .*gone\.pth"):
        from_checkpoint(tmp_path / "gone.pth")


@pytest.mark.parametrize("wrap", [None, "model"])
def test_code_is_never_run(network, tmp_path, wrap):
    trace = tmp_path / "trace"
    tensors = stored(network) | {"final_conv.bias": Code(str(trace))}
    with pytest.raises(WeightsError, match="code, which is never run"):
        from_checkpoint(save(tensors, tmp_path / "a.pth", wrap))
    assert not trace.exists()


# --- how the parts are put together


def test_visible_is_modality_1(network):
    inputs = pair()
    seen = calls(network, inputs, "embed_vis", "embed_ir", "encoder.0")
    assert torch.equal(seen["embed_vis"][0], inputs["vis"])
    assert torch.equal(seen["embed_ir"][0], inputs["ir"])
    both = torch.cat((seen["embed_vis"][1], seen["embed_ir"][1]))
    assert torch.equal(seen["encoder.0"][0], both)
    assert stored_key("embed_vis.conv.weight") == "patch_embed1.proj.weight"
    assert stored_key("embed_ir.conv.weight") == "patch_embed2.proj.weight"


def test_skips_are_what_enters_a_level(network):
    names = [f"{part}.{i}" for part in ("encoder", "fusion") for i in (1, 2, 3)]
    seen = calls(network, pair(), *names)
    for i in (1, 2, 3):
        entering, _ = seen[f"encoder.{i}"]
        assert torch.equal(torch.cat(seen[f"fusion.{i}"][:2]), entering)


def test_decoder_adds_then_goes_up(network):
    names = [f"{part}.{i}" for part in ("decoder", "fusion", "expand") for i in (1, 2, 3)]
    seen = calls(network, pair(), "encoder.3", "decoder.0", *names)
    f1, f2 = seen["encoder.3"][-1].chunk(2)
    assert torch.equal(seen["decoder.0"][0], f1 + f2)
    for step in (1, 2, 3):
        before = seen[f"decoder.{step - 1}"][-1]
        assert torch.equal(seen[f"expand.{step}"][0], before + seen[f"fusion.{4 - step}"][-1])
        assert torch.equal(seen[f"decoder.{step}"][0], seen[f"expand.{step}"][-1])


def test_both_modalities_are_one_batch(network):
    seen = calls(network, pair(batch=3), "encoder.0")
    assert seen["encoder.0"][0].shape == (6, 8, 8, 8)


def test_merged_neighbours_go_down_first():
    network = ReleasedFusionMamba(8, DEPTHS)
    merge = network.merge[0]
    merge.norm = nn.Identity()
    x = torch.arange(4.0).view(1, 2, 2, 1).expand(1, 2, 2, 8)  # pixel (row, column) is 2 row + col
    with torch.no_grad():
        merge.linear.weight.copy_(torch.eye(32)[::2])
        order = merge(x)[0, 0, 0, ::4]
    assert order.tolist() == [0, 2, 1, 3]


def test_output_is_head_plus_twice_the_sum():
    network = ReleasedFusionMamba(8, (1, 1, 1, 1), scan=SCAN).eval()
    nn.init.zeros_(network.head.weight)
    nn.init.constant_(network.head.bias, 0.25)
    inputs = pair(33, 7)
    with torch.inference_mode():
        assert torch.equal(network(**inputs), 0.25 + 2 * (inputs["vis"] + inputs["ir"]))


@pytest.mark.parametrize("size", [(33, 50), (64, 40)])
def test_other_sizes_are_reflected_and_cropped(network, size):
    height, width = size
    inputs = pair(*size)
    right, below = -width % 32, -height % 32
    padded = {k: functional.pad(v, (0, right, 0, below), "reflect") for k, v in inputs.items()}
    with torch.inference_mode():
        expected = network(**padded)[..., :height, :width]
        assert torch.allclose(network(**inputs), expected, atol=1e-5)


def test_smallest_image(network):
    with torch.inference_mode():
        assert network(**pair(1, 1, batch=2)).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (1, 32, 32), (1, 1, 32, 31)])
def test_wrong_shapes(network, shape):
    with pytest.raises(ValueError, match=r"must both be \[B, 1, H, W\]"):
        network(ir=torch.rand(1, 1, 32, 32), vis=torch.rand(shape))


def test_gradients_reach_inputs_and_all_weights(tmp_path, network):
    loaded = from_checkpoint(save(stored(network), tmp_path / "a.pth"), scan=SCAN)
    # wide enough for two tokens in the deepest sub-grids: A says nothing about the first one
    inputs = {k: v.requires_grad_() for k, v in pair(32, 128).items()}
    change = loaded(**inputs) - 2 * (inputs["vis"] + inputs["ir"])
    change.square().sum().backward()
    assert all(v.grad.abs().max() > 0 for v in inputs.values())
    without = [k for k, p in loaded.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []

import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from common.errors import WeightsError
from fusion.network.released import ReleasedFusionMamba, from_checkpoint, stored_key
from fusion.network.released_blocks import Block, CrossBlock, CrossMixer, DescriptiveConv, Gate

DEPTHS = (1, 2, 1, 1)
SCAN = "reference"  # on so few tokens the fastest; only the authors' network takes the default


def drawn(module):
    """All weights random, as nothing at its start value would show where it goes."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return drawn(ReleasedFusionMamba(8, DEPTHS, scan=SCAN))


def stored(network):
    """What a file of the released code holds of this network, with what is in it for nothing."""
    tensors = {stored_key(k): v.clone() for k, v in network.state_dict().items()}
    for key in [key for key in tensors if key.endswith(".learnable_mask")]:
        channels = len(tensors[key])
        tensors[key.replace("learnable_mask", "base_mask")] = torch.ones(channels, channels, 3, 3)
    for key in [key for key in tensors if key.startswith("Cross_block.1.")]:
        tensors[key.replace("block.1", "block.0")] = torch.zeros(1)
    for level in range(4):
        key = f"Cross_block.{level}.Cross_layer.Diff_enhance.lastconv.weight"
        tensors[key] = torch.ones(4, 8, 1, 1)
    return tensors


def pair(height=32, width=32, batch=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    ir, vis = torch.rand(2, batch, 1, height, width, generator=generator)
    return {"ir": ir, "vis": vis}


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


# --- the authors' network


@pytest.fixture(scope="module")
def fixture(shared):
    return load_file(shared / "fixtures" / "fusionmamba_released_code_small.safetensors")


@pytest.fixture(scope="module")
def authors(fixture, tmp_path_factory):
    weights = {
        k.removeprefix("weights/"): v for k, v in fixture.items() if k.startswith("weights/")
    }
    path = tmp_path_factory.mktemp("authors") / "weights.pth"
    torch.save(weights, path)
    return from_checkpoint(path)


@pytest.mark.parametrize("size", ["64x64", "96x128"])
def test_gives_the_image_of_the_released_code(fixture, authors, size):
    ir, vis, out = (fixture[f"case/{size}/{name}"] for name in ("ir", "vis", "out"))
    with torch.inference_mode():
        change = authors(ir=ir, vis=vis) - 2 * (vis + ir)
    expected = out - 2 * (vis + ir)
    assert (change - expected).norm() <= 1e-5 * expected.norm()


def test_reads_the_size_of_the_released_code(authors):
    assert (authors.width, authors.depths) == (8, (1, 1, 2, 1))


def test_keys_are_those_of_the_released_code(fixture, authors):
    keys = {k.removeprefix("weights/") for k in fixture if k.startswith("weights/")}
    ours = {stored_key(key) for key in authors.state_dict()}
    assert ours < keys
    unused = ("Cross_block.0.", ".lastconv.", ".base_mask")
    assert all(any(part in key for part in unused) for key in keys - ours)


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


class Code:
    """Would make a folder if it were unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("wrap", [None, "model"])
def test_code_is_never_run(network, tmp_path, wrap):
    trace = tmp_path / "trace"
    tensors = stored(network) | {"final_conv.bias": Code(str(trace))}
    with pytest.raises(WeightsError, match="code, which is never run"):
        from_checkpoint(save(tensors, tmp_path / "a.pth", wrap))
    assert not trace.exists()


# --- the parts, by hand


def test_descriptive_kernel_by_hand():
    conv = DescriptiveConv(1).eval()
    with torch.no_grad():
        conv.weight.copy_(torch.arange(1.0, 10).view(1, 1, 3, 3))  # sum 45, middle 5
        conv.learnable_mask.fill_(2.0)
        conv.learnable_theta.fill_(0.1)
        kernel = conv.kernel()[0, 0]
        expected = torch.tensor([[1.0, 2, 3], [4, 5 * (1 - 0.1 * 2 * 45), 6], [7, 8, 9]])
        assert torch.allclose(kernel, expected)
        # a single bright pixel brings the kernel out, turned round, and the fold does the same
        x = torch.zeros(1, 3, 3, 1)
        x[0, 1, 1, 0] = 1
        assert torch.allclose(conv(x)[0, ..., 0], expected.flip(0, 1))


def test_descriptive_mask_is_by_output_then_input():
    conv = DescriptiveConv(2)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.learnable_mask.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        conv.learnable_theta.fill_(1.0)
        middle = conv.kernel()[:, :, 1, 1]
    assert torch.equal(middle, torch.tensor([[-8.0, -17.0], [-26.0, -35.0]]))  # 1 − 9 m


def test_fold_follows_the_weights():
    conv, x = drawn(DescriptiveConv(3)), torch.randn(1, 4, 5, 3)
    with torch.no_grad():
        conv(x)
        conv.learnable_theta.add_(0.3)
        plain = functional.conv2d(x.permute(0, 3, 1, 2), conv.kernel(), padding=1)
        assert torch.equal(conv(x), plain.permute(0, 2, 3, 1))


def test_gate_pools_after_the_norm():
    gate = drawn(Gate(8))
    v = torch.randn(2, 3, 4, 8)
    hidden = functional.gelu(gate.global_reduce(gate.norm(v).flatten(1, 2).mean(1)))  # [2, 1]
    expected = v * torch.sigmoid(gate.channel_select(hidden))[:, None, None]
    with torch.no_grad():
        assert torch.allclose(gate(v), expected, atol=1e-6)


def test_block_by_hand():
    block = drawn(Block(8, SCAN))
    f = torch.randn(2, 4, 6, 8)
    with torch.no_grad():
        s = block.essm(block.norm(f))  # no f is added
        c = block.local(s + block.channel(s))
        g = f + block.gate(s) + block.gate(c)
        first, _, last = block.mlp
        expected = g + last(functional.gelu(first(block.norm2(g))))
        assert torch.equal(block(f), expected)


@pytest.fixture(scope="module")
def mixer():
    return drawn(CrossMixer(8, SCAN))


def test_both_gates_are_of_modality_1(mixer, monkeypatch):
    """The slip of the released code: SiLU(z1) and SiLU(SiLU(z1)), not SiLU(z1) and SiLU(z2)."""
    monkeypatch.setattr(mixer.es2d, "forward", lambda x: x)
    d1, d2 = torch.randn(2, 1, 4, 4, 8)
    with torch.no_grad():
        x1, z1 = mixer.in_proj1(d1).split(16, dim=-1)
        x2, _ = mixer.in_proj2(d2).split(16, dim=-1)
        c1, c2 = (functional.silu(mixer.conv(x)) for x in (x1, x2))
        s = mixer.norm(c1 * c2 + c1 + c2)
        silu = functional.silu
        expected = mixer.linear_out(s * silu(z1) + s * silu(silu(z1)))
        assert torch.allclose(mixer(d1, d2), expected, atol=1e-6)


def test_gate_of_modality_2_is_unused(mixer):
    mixer.zero_grad()
    mixer(*torch.randn(2, 1, 4, 4, 8)).square().sum().backward()
    used, unused = mixer.in_proj2.weight.grad.chunk(2)
    assert used.abs().max() > 0
    assert unused.abs().max() == 0


def test_cross_block_by_hand(monkeypatch):
    block = drawn(CrossBlock(8, SCAN))
    monkeypatch.setattr(block.mixer, "forward", lambda d1, d2: 2 * d1 - 3 * d2)
    f1, f2 = torch.randn(2, 2, 4, 4, 8)
    with torch.no_grad():
        gap = (f1 - f2).mean(dim=(1, 2), keepdim=True)
        d1 = block.texture1(f1) + f1 + gap.sigmoid() * (f1 + f2)
        d2 = block.texture2(f2) + f2 + (-gap).sigmoid() * (f1 + f2)
        y = 2 * block.ln_1(d1) - 3 * block.ln_2(d2)
        assert torch.allclose(block(f1, f2), f1 + f2 + y + block.channel(y), atol=1e-5)


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


def entries(width, depths):
    """Parameters of the network, and entries of a file of it with what is in it for nothing."""
    with torch.device("meta"):
        network = ReleasedFusionMamba(width, depths)
        level_0 = CrossBlock(width, SCAN)
    used = sum(p.numel() for p in network.parameters())
    described = [
        m for m in (*network.modules(), *level_0.modules()) if isinstance(m, DescriptiveConv)
    ]
    unused = [
        sum(p.numel() for p in level_0.parameters()),
        sum(conv.weight.numel() for conv in described),  # the base masks
        sum((width << level) // 2 * ((width << level) + 1) for level in range(4)),  # lastconv
    ]
    return used, used + sum(unused)


def test_entries_of_the_authors_size():
    used, stored = entries(96, (2, 2, 9, 2))
    assert used == 163_819_456
    assert round(stored / 1e6) == 225


def test_entries_of_the_authors_code(fixture):
    stored = sum(v.numel() for k, v in fixture.items() if k.startswith("weights/"))
    assert entries(8, (1, 1, 2, 1))[1] == stored

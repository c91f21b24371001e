import pytest
import torch
from safetensors.torch import save_file

from common.errors import WeightsError
from fusion.network import checkpoint
from fusion.network.fusionmamba import Architecture, FusionMamba
from tests.helpers.pickled import Code


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return FusionMamba(Architecture(width=8, depths=(1, 1, 1, 1), eca=False))


def fresh(network):
    return FusionMamba(network.architecture)


def changed(network, path, **changes):
    """The network's weights in a file, with keys replaced or (None) left out."""
    tensors = {k: v.clone() for k, v in network.state_dict().items()} | changes
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    return checkpoint.read(path)


def test_round_trip(network, tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", network)
    stored = checkpoint.read(tmp_path / "a.safetensors")
    assert stored.architecture(FusionMamba.NAME, Architecture) == network.architecture
    other = fresh(network)
    checkpoint.load(other, stored)
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_half_but_for_what_the_scan_takes(network, tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", network, half=True)
    stored = checkpoint.read(tmp_path / "a.safetensors")
    other = fresh(network)
    checkpoint.load(other, stored)
    for key, value in network.state_dict().items():
        scan = key.split(".")[-1] in ("A_log", "D", "dt_bias")
        assert stored.tensors[key].dtype == (torch.float32 if scan else torch.float16), key
        loaded = other.state_dict()[key]
        assert loaded.dtype == torch.float32
        assert torch.equal(loaded, value if scan else value.half().float()), key


def test_what_weights_were_trained_on(network, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"of": torch.zeros(1)}, path, {"network": "any", "trained_on": "b a b"})
    assert checkpoint.trained_on(path) == {"a", "b"}
    checkpoint.save(path, network)
    torch.save(network.state_dict(), tmp_path / "a.pt")
    assert checkpoint.trained_on(path) == checkpoint.trained_on(tmp_path / "a.pt") == frozenset()
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"a\.safetensors: no readable safetensors file"):
        checkpoint.trained_on(path)


def test_metadata_and_the_same_bytes_every_time(network, tmp_path):
    about = {f"key{n}": f"straße {n}" for n in range(9)}
    for name in "ab":
        checkpoint.save(tmp_path / name, network, metadata=about)
        about = dict(reversed(about.items()))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    stored = checkpoint.read(tmp_path / "a")
    assert {key: stored.metadata[key] for key in about} == about
    assert stored.architecture(FusionMamba.NAME, Architecture) == network.architecture
    assert torch.equal(stored.tensors["embed_ir.conv.weight"], network.embed_ir.conv.weight)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_pickled_state_dict(network, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    torch.save(network.state_dict(), path)
    stored = checkpoint.read(path)
    assert stored.architecture(FusionMamba.NAME, Architecture) is None
    other = fresh(network)
    checkpoint.load(other, stored)
    assert torch.equal(other.embed_ir.conv.weight, network.embed_ir.conv.weight)


def test_wrapped_state_dict(tmp_path):
    weights = {"module.a": torch.ones(1), "module.b": torch.ones(2)}
    torch.save({"epoch": 3, "state_dict": weights}, tmp_path / "a.pth")
    save_file(weights, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert checkpoint.read(tmp_path / name).tensors.keys() == {"a", "b"}


def test_prefix_of_some_keys_stays(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(2)}, tmp_path / "a.pth")
    assert checkpoint.read(tmp_path / "a.pth").tensors.keys() == {"module.a", "b"}


def test_find_names_what_there_is(tmp_path):
    for name in ("tiny", "base"):
        (tmp_path / f"{name}.safetensors").touch()
    assert checkpoint.find("tiny", tmp_path) == tmp_path / "tiny.safetensors"
    assert checkpoint.find(str(tmp_path / "base.safetensors")) == tmp_path / "base.safetensors"
    with pytest.raises(WeightsError, match=r"available: base, tiny"):
        checkpoint.find("huge", tmp_path)
    with pytest.raises(WeightsError, match=r"no weights at .*gone\.pth"):
        checkpoint.find(str(tmp_path / "gone.pth"), tmp_path)


def test_find_where_none_ship(tmp_path):
    with pytest.raises(WeightsError, match=r"available: none"):
        checkpoint.find("tiny", tmp_path)


def test_wrong_keys_are_named(network, tmp_path):
    stored = changed(
        network,
        tmp_path / "a.safetensors",
        **{"head.bias": None, "tail.bias": torch.ones(1), "head.weight": torch.ones(1, 3)},
    )
    with pytest.raises(WeightsError) as caught:
        checkpoint.load(fresh(network), stored)
    text = str(caught.value)
    assert "missing: head.bias;" in text
    assert "not in the network: tail.bias;" in text
    assert "of another shape: head.weight [1, 3] instead of [1, 2]" in text
    assert "\n" not in text


def test_many_missing_keys_are_counted(network, tmp_path):
    save_file({"head.bias": torch.ones(1)}, tmp_path / "a.safetensors")
    stored = checkpoint.read(tmp_path / "a.safetensors")
    missing = len(network.state_dict()) - 1
    with pytest.raises(WeightsError, match=rf"missing: (\S+, ){{2}}\S+ and {missing - 3} more"):
        checkpoint.load(fresh(network), stored)


def test_nothing_is_loaded_where_a_key_is_wrong(network, tmp_path):
    stored = changed(network, tmp_path / "a.safetensors", **{"tail.bias": torch.ones(1)})
    other = fresh(network)
    before = other.embed_ir.conv.weight.clone()
    with pytest.raises(WeightsError):
        checkpoint.load(other, stored)
    assert torch.equal(other.embed_ir.conv.weight, before)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.pt"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x02}q\x00X", b"\xff" * 64])
def test_damaged_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"no readable") as caught:
        checkpoint.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_truncated_file(network, tmp_path, name):
    path = tmp_path / name
    if name == "a.pth":
        torch.save(network.state_dict(), path)
    else:
        checkpoint.save(path, network)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match=r"no readable"):
        checkpoint.read(path)


def test_code_is_never_run(tmp_path):
    path, trace = tmp_path / "a.pth", tmp_path / "trace"
    torch.save({"head.bias": Code(str(trace))}, path)
    with pytest.raises(WeightsError, match="code, which is never run"):
        checkpoint.read(path)
    assert not trace.exists()


def test_something_else_than_a_state_dict(tmp_path):
    path = tmp_path / "a.pth"
    for content in ([torch.ones(1)], {"epoch": 3}):
        torch.save(content, path)
        with pytest.raises(WeightsError, match="something else than a state dict"):
            checkpoint.read(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"network": "released"}, "weights of released, not of fusionmamba"),
        ({"architecture": "{"}, "its metadata 'architecture' is wrong"),
        ({"architecture": '{"width": 8}'}, "wrong at 'depths'"),
        ({"architecture": '{"width": 8, "depths": [1, 1, 1, 1], "code": 1}'}, "wrong at 'code'"),
    ],
)
def test_wrong_metadata(tmp_path, metadata, message):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", metadata=metadata)
    with pytest.raises(WeightsError, match=message) as caught:
        checkpoint.read(tmp_path / "a.safetensors").architecture(FusionMamba.NAME, Architecture)
    assert "\n" not in str(caught.value)

import pytest
import torch

from fusion.scan import problem
from tests.fusion.scan.cases import disagreements, draw, run


@pytest.mark.gpu
@pytest.mark.skipif(problem("mamba_ssm") is not None, reason=f"mamba_ssm: {problem('mamba_ssm')}")
@pytest.mark.parametrize("optional", [(), ("D", "delta_bias")])
@pytest.mark.parametrize("groups", [1, 4])
def test_agrees_with_float64(groups, optional):
    values = draw(batch=2, groups=groups, per_group=5, tokens=300, optional=optional)
    expected = run(values, "reference", torch.float64, delta_softplus=True)
    found = run(values, "mamba_ssm", torch.float32, "cuda", delta_softplus=True)
    assert disagreements(found, expected) == {}

"""MambaDFuse's loss against its definition by plain convolutions, and its recipe."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from fusion.fusers import mambadfuse
from tests.helpers.recipes import make, trainer
from tests.helpers.runs import silent
from training import config
from training.loop import train
from training.losses import PRESETS, Terms
from training.mambadfuse_loss import TERMS, balanced, by_gradient

RECIPE = Path(config.__file__).parents[1] / "configs" / "train_mambadfuse.yaml"
SMALL = {"kind": "mambadfuse", "width": 8, "blocks": [1, 1, 1, 1]}


def images(seed=0):
    generator = torch.Generator().manual_seed(seed)
    fused, ir, vis = torch.rand(3, 2, 1, 13, 17, generator=generator, dtype=torch.float64)
    return {"fused": 2 * fused - 0.5, "ir": ir, "vis": vis**3}


def edges(image):
    x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)[None, None]
    return sum(functional.conv2d(image, k, padding=1).abs() for k in (x, x.transpose(2, 3)))


def similarity(first, second):
    at = torch.arange(-5.0, 6, dtype=torch.float64)
    line = torch.exp(-(at**2) / (2 * 1.5**2))
    window = torch.outer(line, line)[None, None] / line.sum() ** 2

    def blur(image):
        return functional.conv2d(image, window, padding=5)

    m1, m2 = blur(first), blur(second)
    v1, v2 = blur(first**2) - m1**2, blur(second**2) - m2**2
    product = blur(first * second) - m1 * m2
    c1, c2 = 1e-4, 9e-4
    top = (2 * m1 * m2 + c1) * (2 * product + c2)
    return (top / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2))).mean()


@pytest.mark.parametrize("preset", TERMS)
def test_is_its_definition(preset):
    given = images()
    fused, ir, vis = given.values()
    of_ir, of_vis = edges(ir).mean(), edges(vis).mean()
    a = of_ir / (of_ir + of_vis) if preset == "mambadfuse-ir-vis" else 0.5
    expected = [
        (fused - torch.maximum(ir, vis)).abs().mean(),
        (edges(fused) - torch.maximum(edges(ir), edges(vis))).abs().mean(),
        1 - (a * similarity(ir, fused) + (1 - a) * similarity(vis, fused)),
    ]
    found = TERMS[preset](**given)
    assert [t.item() for t in found] == pytest.approx([float(t) for t in expected], rel=1e-9)


def test_images_without_gradients_count_alike():
    flat = torch.zeros(1, 1, 13, 17)  # a constant other than 0 has an edge at the border
    fused = images()["fused"][:1].float()
    given = {"fused": fused, "ir": flat, "vis": flat}
    assert by_gradient(**given) == balanced(**given)


def test_weights():
    terms = Terms(*torch.tensor([0.5, 0.25, 0.125]))
    assert PRESETS["mambadfuse-ir-vis"].total(terms) == 10 + 5 + 1.25
    assert PRESETS["mambadfuse-medical"].total(terms) == 10 + 25 + 6.25


def test_the_recipe_is_the_authors():
    recipe = config.load(RECIPE)
    assert recipe.network == mambadfuse.Config()
    rates = {recipe.schedule.rate_at(step) for step in (0, 1, 5000, 9999)}
    assert rates == {2e-5}
    assert (recipe.schedule.steps, recipe.schedule.ema, recipe.schedule.decay) == (10_000, 0.999, 0)
    assert (recipe.compute.batch, recipe.data.crop) == (12, 128)
    augment = recipe.data.augment
    assert (augment.turned, augment.zoomed) == (True, 1)
    assert augment.shifted == augment.darkened == augment.centred == 0


def test_it_learns_and_is_kept(here):
    changes = {"schedule__steps": 25, "schedule__learning_rate": 0.01, "schedule__ema": 0.5}
    checked = make(network=SMALL, loss={"paper": "mambadfuse-ir-vis"}, **changes)
    first = trainer(checked).advance()[0].item()
    outcome = train(checked, silent)
    training = trainer(make(network={**SMALL, "weights": str(outcome.weights)}, loss=checked.loss))
    assert training.advance()[0].item() < 0.8 * first
    fuser = mambadfuse.build(mambadfuse.Config(weights=str(outcome.weights)))
    with torch.inference_mode():
        fused = fuser(ir=torch.full((1, 1, 20, 24), 0.2), vis=torch.full((1, 3, 20, 24), 0.6))
    assert fused.shape == (1, 3, 20, 24)
    assert (fused.mean() - 0.6).abs() < 0.3  # the larger one

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy.ndimage import gaussian_filter

from common.errors import ConfigError
from eval.labels import Labels
from pipeline.config import config
from pipeline.config.sections import PerturbConfig
from pipeline.engine import runner
from pipeline.frames import Frame, FramePair, Item
from pipeline.geometry.perturb import Perturb
from tests.helpers import toys
from tests.helpers.runs import execute

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 56), dtype=np.uint8)
SQUARE = RNG.integers(0, 256, (41, 41), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (40, 56, 3), dtype=np.uint8)


def item(ir=GREY, vis=COLOUR, key="000"):
    return Item(FramePair(key, Frame(ir, 7, 3), Frame(vis, 8, 4)), Labels.empty(), {})


def perturb(ir=GREY, vis=COLOUR, key="000", **wanted):
    """The infrared and the visible image after the perturbation."""
    whole = Perturb(PerturbConfig(**wanted))(item(ir, vis, key)).pair.whole()
    return whole.ir.image, whole.vis.image


def test_a_shift_moves_infrared_pixels_and_repeats_the_border():
    ir, vis = perturb(shift=(3, -2))
    assert np.array_equal(ir[:-2, 3:], GREY[2:, :-3])
    assert np.array_equal(ir[:-2, :3], GREY[2:, :1].repeat(3, axis=1))
    assert np.array_equal(ir[-2:, 3:], GREY[-1:, :-3].repeat(2, axis=0))
    assert vis is COLOUR


def test_a_shift_by_half_a_pixel_is_the_mean_of_two():
    ramp = np.arange(0, 200, 20, dtype=np.uint8)[None].repeat(4, axis=0)
    assert perturb(ramp, shift=(0.5, 0))[0][2].tolist() == [0, *range(10, 180, 20)]
    assert perturb(ramp, shift=(-0.25, 0))[0][2].tolist() == [*range(5, 185, 20), 180]


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, 3)])
@pytest.mark.parametrize("image", [SQUARE, SQUARE[1:, 1:], COLOUR[:, :40]])
def test_quarter_turns_are_exact(image, degrees, quarters):
    assert np.array_equal(perturb(image, rotation=degrees)[0], np.rot90(image, quarters))


def test_the_image_is_turned_first_and_then_shifted():
    turned = np.rot90(SQUARE)
    ir, _ = perturb(SQUARE, rotation=90, shift=(5, 0))
    assert np.array_equal(ir[:, 5:], turned[:, :-5])


def test_noise_has_the_strength_asked_for():
    flat = np.full((400, 500), 128, np.uint8)
    noise = perturb(flat, ir_noise=10)[0].astype(float) - 128
    # over 200,000 pixels: five standard errors, and 1/12 is the variance of the rounding
    assert abs(noise.mean()) < 5 * 10 / np.sqrt(noise.size)
    expected = np.sqrt(10**2 + 1 / 12)
    assert noise.std() == pytest.approx(expected, abs=5 * expected / np.sqrt(2 * noise.size))
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


def test_noise_belongs_to_the_key():
    first, second = perturb(key="a", ir_noise=20)[0], perturb(key="b", ir_noise=20)[0]
    assert not np.array_equal(first, second)
    assert np.array_equal(first, perturb(key="a", ir_noise=20)[0])
    flat = np.full((40, 56), 128, np.uint8)
    weak, strong = (perturb(flat, ir_noise=s)[0].astype(float) - 128 for s in (10, 20))
    assert np.abs(strong - 2 * weak).max() <= 1.5  # one pattern at every strength


def test_noise_is_the_same_in_any_process():
    """Python salts its hashes anew in each process; these numbers are those of another one."""
    flat = np.full((4, 6), 128, np.uint8)
    assert perturb(flat, key="straße", ir_noise=20)[0].tolist() == [
        [150, 149, 121, 141, 140, 138],
        [132, 125, 120, 102, 161, 126],
        [135, 119, 121, 118, 130, 122],
        [137, 145, 116, 126, 147, 121],
    ]


def test_noise_of_a_colour_file_stays_grey():
    flat = np.full((40, 56, 3), 128, np.uint8)
    noisy = perturb(flat, ir_noise=20)[0]
    assert np.array_equal(noisy[:, :, 0], noisy[:, :, 2])
    assert np.array_equal(noisy[:, :, 0], perturb(flat[:, :, 0], ir_noise=20)[0])


def to_linear(level):
    """IEC 61966-2-1, of one level."""
    value = level / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize(("stops", "factor"), [(1, 2), (-2, 0.25)])
def test_a_stop_doubles_the_linear_light(stops, factor):
    levels = np.arange(256, dtype=np.uint8)[None]
    changed = perturb(levels, levels, vis_exposure=stops)[1][0]
    for old, new in enumerate(changed):
        wanted = min(1, factor * to_linear(old))
        # the nearest level: no neighbour's light is nearer by more than half a step
        low, high = to_linear(max(0, new - 0.501)), to_linear(new + 0.501)
        assert low <= wanted <= high
    assert changed[[0, 255]].tolist() == [0, 255 if stops > 0 else 137]


def test_gamma_is_a_power_of_the_level():
    levels = np.array([[0, 64, 128, 255]], np.uint8)
    # 255 * (64 / 255) ** 2 = 16.06, 255 * (128 / 255) ** 2 = 64.25
    assert perturb(levels, levels, vis_gamma=2)[1].tolist() == [[0, 16, 64, 255]]
    assert perturb(levels, levels, vis_gamma=0.5)[1].tolist() == [[0, 128, 181, 255]]


@pytest.mark.parametrize("sigma", [0.5, 1, 2.5, 8])
def test_blur_is_scipys(sigma):
    ir, vis = perturb(ir_blur=sigma, vis_blur=sigma)
    assert np.abs(ir - gaussian_filter(GREY.astype(float), sigma, mode="nearest")).max() < 0.51
    wanted = gaussian_filter(COLOUR.astype(float), (sigma, sigma, 0), mode="nearest")
    assert np.abs(vis - wanted).max() < 0.51


def test_optics_come_before_the_sensor():
    both, _ = perturb(ir_blur=3, ir_noise=20)
    blurred = gaussian_filter(GREY.astype(float), 3, mode="nearest")
    assert (both - blurred).std() == pytest.approx(20, abs=1)  # noise that was blurred has less
    _, vis = perturb(vis_blur=3, vis_gamma=3)
    soft = perturb(vis_blur=3)[1]
    assert np.array_equal(vis, perturb(vis=soft, vis_gamma=3)[1])


def test_what_is_not_touched_is_not_copied():
    given = item()
    assert Perturb(PerturbConfig())(given) is given
    changed = Perturb(PerturbConfig(ir_noise=5))(given)
    assert changed.pair.vis is not None
    assert changed.pair.vis.image is COLOUR
    assert (changed.pair.ir.timestamp_ns, changed.pair.ir.index) == (7, 3)
    assert changed.labels is given.labels


IMAGES = arrays.arrays(
    np.uint8,
    st.one_of(
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
    ),
)
PERTURBATIONS = st.fixed_dictionaries(
    {},
    optional={
        "shift": st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
        "rotation": st.floats(-180, 180),
        "ir_noise": st.floats(0, 255),
        "ir_blur": st.floats(0, 20),
        "vis_exposure": st.floats(-10, 10),
        "vis_gamma": st.floats(0.1, 10),
        "vis_blur": st.floats(0, 20),
    },
)


@settings(deadline=None)
@given(image=IMAGES, wanted=PERTURBATIONS)
def test_form_stays_and_the_input_too(image, wanted):
    before = image.copy()
    for changed in perturb(image, image, **wanted):
        assert (changed.dtype, changed.shape) == (np.uint8, image.shape)
    assert np.array_equal(image, before)


@settings(deadline=None)
@given(level=st.integers(0, 255), wanted=PERTURBATIONS)
def test_a_flat_image_has_no_geometry_and_no_blur(level, wanted):
    flat = np.full((5, 8), level, np.uint8)
    moved = {name: wanted[name] for name in ("shift", "rotation", "ir_blur") if name in wanted}
    assert np.array_equal(perturb(flat, **moved)[0], flat)


def run(pairs, **more):
    return execute(toys.settings(pairs, **more))


def arms(folder):
    return json.loads((folder / "results.json").read_text())["arms"]


FAULTS = {"shift": [4, 0], "ir_noise": 12, "vis_exposure": -0.5}


def test_a_run_shows_every_arm_the_same_faulty_pair(pairs):
    sinks = {"results": {"kind": "results"}, "seen": {"kind": "images"}}
    outcome = run(pairs, perturb=FAULTS, sinks=sinks)
    ir = np.asarray(Image.open(pairs / "ir" / "001.png"))
    vis = np.asarray(Image.open(pairs / "vi" / "001.png"))
    ir, vis = perturb(ir, vis, "001", **FAULTS)
    seen = {
        arm: np.asarray(Image.open(outcome.folder / "seen" / arm / "001.png"))
        for arm in ("ir", "vis")
    }
    assert np.array_equal(seen["ir"][:, :, 0], ir)
    assert np.array_equal(seen["vis"], vis)
    assert outcome.results["protocol"]["perturb"] == {**FAULTS, "shift": [4.0, 0.0]}


def test_a_shift_costs_the_infrared_arm_too(pairs):
    """Labels stay: a box 12 wide that is off by 2 has an IoU of 10 / 14."""
    clean, moved = run(pairs), run(pairs, perturb={"shift": [2, 0]})
    scores = [o.results["arms"]["ir"]["detection"]["yolo"]["map50_95"] for o in (clean, moved)]
    assert scores[0] == pytest.approx(0.995)
    assert scores[1] == pytest.approx(0.995 * 5 / 10)  # found at .50, .55, .60, .65 and .70
    assert clean.results["protocol"]["perturb"] is None


def test_the_batch_changes_nothing(pairs):
    one = run(pairs, perturb=FAULTS, compute={"batch": 1})
    four = run(pairs, perturb=FAULTS, compute={"batch": 4})
    for name in ("predictions/fused.json", "results.csv"):
        assert (one.folder / name).read_bytes() == (four.folder / name).read_bytes()
    assert arms(one.folder) == arms(four.folder)


def test_resume_refuses_another_perturbation(pairs):
    def stop(done, total):
        raise KeyboardInterrupt

    begun = config.check(toys.settings(pairs, perturb=FAULTS))
    with pytest.raises(KeyboardInterrupt):
        runner.run(begun, stop)
    more = {**FAULTS, "ir_noise": 13}
    with pytest.raises(ConfigError, match=r"another perturb\.ir_noise"):
        run(pairs, perturb=more, run={"name": "toy", "resume": True})
    assert run(pairs, perturb=FAULTS, run={"name": "toy", "resume": True}).results is not None

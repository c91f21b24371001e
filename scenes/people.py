"""A walking person as polygons: a skeleton with a gait, and clothes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.drawing import RGB, Point, Rod, Shape, draw_limbs, ellipse, tint, upright

SKIN_C = 33.0  # temperature of a face in mild air
_STRIDE_M = 1.45  # two steps of an adult

Points = NDArray[np.float64]
Plan = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Person:
    """The appearance and gait of a person; metres, colours 0 to 255, temperatures in Celsius.

    Attributes:
        height: Body height.
        girth: Relative width, 1 for an average build.
        skin, hair, top, legs, shoes: Colours.
        skin_c: Temperature of the skin.
        top_c, legs_c: Surface temperatures of the clothes.
        coat: Whether the top reaches the knees.
        pack: Colour of a backpack, None without one.
        phase: Phase of the gait, in radians.
    """

    height: float
    girth: float
    skin: RGB
    hair: RGB
    top: RGB
    legs: RGB
    shoes: RGB
    skin_c: float
    top_c: float
    legs_c: float
    coat: bool
    pack: RGB | None
    phase: float


class _Body:
    """Converts points of the body (forward, up, right) to world coordinates."""

    def __init__(self, place: Plan, heading: Plan) -> None:
        self.place = place
        self.heading = heading
        self.lift = 0.0

    def at(self, forward: float, up: float, right: float) -> Point:
        dx, dz = self.heading
        x = self.place[0] + forward * dx + right * dz
        z = self.place[1] + forward * dz - right * dx
        return x, up + self.lift, z


def person_shapes(person: Person, place: Plan, heading: Plan, walked: float) -> list[Shape]:
    """Draw a walking person.

    Args:
        person: The person.
        place: World x and z of the feet, in metres.
        heading: Unit vector, x and z, that the person faces.
        walked: Distance walked so far in metres, which determines the step.

    Returns:
        Polygons in painting order; the lower foot touches the ground.
    """
    body = _Body(place, heading)
    swing = person.phase + 2 * np.pi * walked / (_STRIDE_M * person.height / 1.75)
    steps = ((swing, 1), (swing + np.pi, -1))
    joints = [_leg_joints(person, angle) for angle, _ in steps]
    body.lift = 0.035 * person.height - min(ankle for _, _, (_, ankle), _ in joints)
    rods = [rod for each, (_, side) in zip(joints, steps, strict=True)
            for rod in _leg_rods(body, person, each, side)]  # fmt: skip
    rods += [rod for angle, side in steps for rod in _arm_rods(body, person, angle + np.pi, side)]
    h = person.height
    rods.append((body.at(0.0, 0.8 * h, 0.0), body.at(0.0, 0.87 * h, 0.0), (0.035 * h, 0.033 * h)))
    limbs = draw_limbs(rods)
    legs = [_leg(person, limbs[:3]), _leg(person, limbs[3:6])]
    arms = [_arm(person, rods[i][1], limbs[i : i + 2]) for i in (6, 8)]
    # the farther limb of each pair is painted first
    legs.sort(key=lambda shapes: -shapes[0].points[:, 2].mean())
    arms.sort(key=lambda shapes: -shapes[0].points[:, 2].mean())
    back = _backpack(body, person)
    facing_away = heading[1] > 0.3
    middle = [Shape(limbs[10], tint(person.skin, 0.85), person.skin_c), *_torso(body, person)]
    trunk = middle + back if facing_away else back + middle
    return arms[0] + legs[0] + legs[1] + trunk + _head(body, person) + arms[1]


def _moved(start: Plan, length: float, right: float, up: float) -> Plan:
    return start[0] + length * right, start[1] + length * up


def _leg_joints(person: Person, swing: float) -> tuple[Plan, Plan, Plan, Plan]:
    """Hip, knee, ankle and toe, each forward and up."""
    h = person.height
    thigh = 0.46 * np.sin(swing) + 0.06
    shin = thigh - 0.12 - 0.75 * max(0.0, np.cos(swing))
    hip = (0.0, 0.5 * h)
    knee = _moved(hip, 0.24 * h, np.sin(thigh), -np.cos(thigh))
    ankle = _moved(knee, 0.235 * h, np.sin(shin), -np.cos(shin))
    toe = _moved(ankle, 0.085 * h, np.cos(shin * 0.6), np.sin(shin * 0.6) - 0.15)
    return hip, knee, ankle, toe


def _leg_rods(body: _Body, person: Person, joints: Sequence[Plan], side: int) -> list[Rod]:
    """Foot, shin and thigh."""
    h = person.height
    g = h * person.girth
    right = 0.052 * h * person.girth * side
    hip, knee, ankle, toe = (body.at(*joint, right) for joint in joints)
    return [
        (ankle, toe, (0.026 * h, 0.02 * h)),
        (knee, ankle, (0.036 * g, 0.025 * g)),
        (hip, knee, (0.056 * g, 0.038 * g)),
    ]


def _leg(person: Person, limbs: Points) -> list[Shape]:
    foot, shin, thigh = limbs
    shoe_c = 0.7 * person.legs_c + 0.3 * person.top_c - 2.0
    return [
        Shape(foot, person.shoes, shoe_c),
        Shape(shin, tint(person.legs, 0.86), person.legs_c - 1.0),
        Shape(thigh, person.legs, person.legs_c),
    ]


def _arm_rods(body: _Body, person: Person, swing: float, side: int) -> list[Rod]:
    """Lower and upper arm; the first ends at the wrist."""
    h = person.height
    g = h * person.girth
    upper = 0.42 * np.sin(swing)
    lower = upper + 0.3 + 0.15 * np.sin(swing)
    shoulder = (0.0, 0.79 * h)
    elbow = _moved(shoulder, 0.17 * h, np.sin(upper), -np.cos(upper))
    wrist = _moved(elbow, 0.15 * h, np.sin(lower), -np.cos(lower))
    right = 0.114 * g * side
    a = body.at(*shoulder, right)
    b = body.at(*elbow, right + 0.02 * side)
    c = body.at(*wrist, right + 0.015 * side)
    return [(b, c, (0.027 * g, 0.022 * g)), (a, b, (0.034 * g, 0.028 * g))]


def _arm(person: Person, wrist: Point, limbs: Points) -> list[Shape]:
    h = person.height
    sleeve = tint(person.top, 0.84)
    hand = ellipse(0.023 * h, 0.03 * h, 8)
    x, y, z = wrist
    return [
        Shape(upright(hand, x, y - 0.02 * h, z), person.skin, person.skin_c - 2.5),
        Shape(limbs[0], sleeve, person.top_c - 0.5),
        Shape(limbs[1], sleeve, person.top_c),
    ]


def _torso(body: _Body, person: Person) -> list[Shape]:
    h = person.height
    dx, dz = body.heading
    # from the side, the trunk is about two thirds as wide as from the front
    half = h * person.girth * (0.078 * abs(dx) + 0.106 * abs(dz)) / max(abs(dx) + abs(dz), 1e-6)
    x, y, z = body.at(0.0, 0.0, 0.0)
    hem = 0.3 if person.coat else 0.465
    flare = 1.05 if person.coat else 0.86
    right_edge = [(0.38, 0.845), (0.82, 0.83), (1.0, 0.79), (0.9, 0.66), (0.8, 0.58)]
    right_edge += [(0.9, 0.5), (flare, hem)]
    outline = [(a * half, b * h) for a, b in right_edge]
    outline += [(-a, b) for a, b in reversed(outline)]
    # a brighter side and a warmer chest, for structure in both modalities
    lit = [(a * 0.55 - 0.3 * half, b * 0.94 + 0.035 * h) for a, b in outline]
    shapes = [
        Shape(upright(outline, x, y, z), person.top, person.top_c),
        Shape(upright(lit, x, y, z), tint(person.top, 1.13), person.top_c + 1.2),
    ]
    if not person.coat:
        belt = [(-0.85 * half, 0.465 * h), (0.85 * half, 0.465 * h)]
        belt += [(0.85 * half, 0.49 * h), (-0.85 * half, 0.49 * h)]
        shapes.append(Shape(upright(belt, x, y, z), tint(person.legs, 0.6), person.top_c - 1.0))
    return shapes


def _backpack(body: _Body, person: Person) -> list[Shape]:
    if person.pack is None:
        return []
    h = person.height
    dx, dz = body.heading
    x, y, z = body.at(-0.11 * h, 0.0, 0.0)
    half = h * (0.055 * abs(dx) + 0.09 * abs(dz))
    outline = [(-half, 0.58 * h), (half, 0.58 * h), (half, 0.77 * h), (0.6 * half, 0.81 * h)]
    outline += [(-0.6 * half, 0.81 * h), (-half, 0.77 * h)]
    pocket = [(a * 0.7, 0.58 * h + (b - 0.58 * h) * 0.45) for a, b in outline]
    cold = person.top_c - 4.0
    return [
        Shape(upright(outline, x, y, z), person.pack, cold),
        Shape(upright(pocket, x, y, z), tint(person.pack, 0.8), cold - 0.5),
    ]


def _head(body: _Body, person: Person) -> list[Shape]:
    h = person.height
    dx, dz = body.heading
    x, y, z = body.at(0.012 * h, 0.93 * h, 0.0)
    hair_shift = -0.018 * h * dx
    skull = ellipse(0.053 * h, 0.068 * h)
    hair = Shape(
        upright(skull * 1.06, x + hair_shift, y + 0.012 * h, z), person.hair, person.skin_c - 3.0
    )
    if dz > 0.3:  # from behind: hair, and a warm nape
        nape = upright(skull * (0.7, 0.5), x, y - 0.035 * h, z)
        return [Shape(nape, tint(person.skin, 0.9), person.skin_c), hair]
    face = upright(skull * (0.86, 0.84), x + 0.02 * h * dx, y - 0.014 * h, z)
    eyes = upright(skull * (0.55, 0.12), x + 0.026 * h * dx, y + 0.004 * h, z)
    return [
        hair,
        Shape(face, person.skin, person.skin_c + 1.0),
        Shape(eyes, tint(person.skin, 0.62), person.skin_c + 1.2),
    ]

"""Clips: a drive seen by a visible and an infrared camera, with ground truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from eval.labels import Labels
from scenes.actors import Actor, Props, draw_pose
from scenes.backdrop import Backdrop
from scenes.canvas import Canvas, Stage
from scenes.climate import Climate, Conditions, Moment, draw_climate
from scenes.drawing import SUPERSAMPLING, Camera, largest, temperature, three
from scenes.ego import Ego
from scenes.lighting import actor_light, beams, street_light
from scenes.sensors import InfraredSensor, VisibleSensor
from scenes.street import Street
from scenes.surfaces import SUMMER, Exposure, Map, sunlit
from scenes.traffic import Cast
from scenes.truth import Truth, find_truth

SMALLEST = 64  # least height and width, pixels
_MOST_ACTORS = 254  # the canvas numbers them in 8 bits
_TIMES = {
    "day": 0, "night": 1, "dusk": 2, "dusk_to_night": 3, "afternoon": 4, "afternoon_to_night": 5
}  # fmt: skip
_KEPT = 256  # frames drawn last whose ground truth is kept: a run asks for it a little later
_MSRS_LABELS: Mapping[int | None, int] = {0: 2, 2: 1}  # by COCO's class: person and car
_WINDOW_LIGHT = (255.0, 206.0, 140.0)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One frame of a clip.

    Attributes:
        ir: uint8 [H, W], made from ``ir16``.
        ir16: uint16 [H, W], absolute temperature in hundredths of a kelvin.
        vis: uint8 [H, W, 3], RGB.
        truth: Boxes, tracks, visibility and depth, in the visible image.
    """

    ir: NDArray[np.uint8]
    ir16: NDArray[np.uint16]
    vis: NDArray[np.uint8]
    truth: Truth

    @property
    def labels(self) -> Labels:
        """The boxes with COCO class ids (0 person, 2 car)."""
        return self.truth.labels


class Clip:
    """A drive along a street; each frame depends on the settings and its index only."""

    def __init__(
        self,
        seed: int,
        number: int,
        *,
        size: tuple[int, int],
        frame_rate: Fraction,
        night: bool = False,
        conditions: Conditions | None = None,
        ir_homography: NDArray[np.float64] | None = None,
        ir_delay: float = 0.0,
    ) -> None:
        """Lay out the street; stretches of it are painted when they come into view.

        Args:
            seed: Seed of the run, from 0.
            number: Number of the clip, from 0; each has a different street.
            size: Height and width in pixels, at least 64 each.
            frame_rate: Frames per second.
            night: Clear night instead of clear day, if ``conditions`` is None.
            conditions: Time of day, weather and traffic; they do not change the street, except
                that there are fewer lamps in summer.
            ir_homography: 3x3, from pixels of the visible image to those of the infrared one.
            ir_delay: Delay of the infrared camera's frames in seconds.

        Raises:
            ValueError: The size is too small.
        """
        if min(size) < SMALLEST:
            raise ValueError(f"a scene needs {SMALLEST} pixels per side, got {size[0]}x{size[1]}")
        self.size = size
        self.conditions = conditions or Conditions("night" if night else "day")
        street = (seed, number)
        self._seed = (*street, _TIMES[self.conditions.time])
        self.climate: Climate = draw_climate(
            np.random.default_rng([*self._seed, 1]), self.conditions
        )
        self.street = Street(street, few_lamps=self.climate.summer)
        self.ego = Ego(self.street, size)
        self._cast = Cast(self.street, self.ego, self.climate)
        canvas = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
        exposure = SUMMER if self.climate.summer else Exposure()
        self._backdrop = Backdrop(
            self.street, street, canvas, wet=self.climate.wet, exposure=exposure
        )
        self._props = Props(self.street)
        self._frame_rate = frame_rate
        self._truths: dict[int, Truth] = {}  # in the order of drawing
        self._homography, self._delay = ir_homography, ir_delay
        self._visible = VisibleSensor(np.random.default_rng([*self._seed, 2]), size, self.climate)
        self._infrared = InfraredSensor(np.random.default_rng([*self._seed, 3]), size, self.climate)

    def seconds(self, index: int) -> float:
        """Time of a visible frame."""
        return float(index / self._frame_rate)

    def actors(self, index: int) -> list[Actor]:
        """All actors at a visible frame, from far to near."""
        seconds = self.seconds(index)
        return self._actors(seconds, self.ego.camera(seconds), self.climate.at(seconds))

    def scene(self, index: int) -> Scene:
        """Render frame ``index``, from 0, with its ground truth."""
        canvas = self._compose(self.seconds(index))
        other = self._compose(self.seconds(index) + self._delay) if self._delay else canvas
        vis_rng, ir_rng = (np.random.default_rng([*self._seed, 4 + i, index]) for i in (0, 1))
        counts = self._infrared.measure(self._temperature(other), other.moment, ir_rng)
        truth = find_truth(canvas.actors, canvas.owner, canvas.camera)
        if len(self._truths) == _KEPT:
            del self._truths[next(iter(self._truths))]
        self._truths[index] = truth
        return Scene(
            ir=self._infrared.display(counts, other.moment),
            ir16=counts,
            vis=self._photograph(canvas, vis_rng),
            truth=truth,
        )

    def truth(self, index: int) -> Truth:
        """The ground truth of frame ``index``, without rendering its images."""
        drawn = self._truths.get(index)
        if drawn is not None:
            return drawn
        stage = self._stage(index)
        return find_truth(stage.actors, stage.owner, stage.camera)

    def labels(self, index: int) -> Labels:
        """The labels of frame ``index``, without rendering its images."""
        return self.truth(index).labels

    def mask(self, index: int) -> NDArray[np.int64]:
        """Track id at each canvas pixel, int64 [2 H, 2 W], 0 for none."""
        stage = self._stage(index)
        return np.array([0] + [actor.track for actor in stage.actors])[stage.owner]

    def classes(self, index: int) -> NDArray[np.uint8]:
        """MSRS's label of each pixel, uint8 [H, W]: 0 background, 1 car, 2 person."""
        stage = self._stage(index)
        labels = [_MSRS_LABELS.get(actor.class_id, 0) for actor in stage.actors]
        return np.array([0, *labels], np.uint8)[largest(stage.owner)]

    def _actors(self, seconds: float, camera: Camera, moment: Moment) -> list[Actor]:
        poses = list(self._cast.poses(seconds))
        light = sunlit(self.street, np.array([pose.place[0] for pose in poses]))
        drawn = (
            draw_pose(pose, camera, moment, self.street.sun, self.climate.sunlit(float(share)))
            for pose, share in zip(poses, light, strict=True)
        )
        actors = [actor for actor in drawn if actor is not None]
        actors += self._props.actors(camera, moment)
        return sorted(actors, key=lambda actor: -actor.place[1])[-_MOST_ACTORS:]

    def _stage(self, index: int) -> Stage:
        """What a frame shows, without colours."""
        seconds = self.seconds(index)
        camera, moment = self.ego.camera(seconds), self.climate.at(seconds)
        actors = self._actors(seconds, camera, moment)
        return Stage(self._backdrop.walls(camera), camera, actors)

    def _compose(self, seconds: float) -> Canvas:
        camera, moment = self.ego.camera(seconds), self.climate.at(seconds)
        actors = self._actors(seconds, camera, moment)
        walls = self._backdrop.walls(camera)
        view = self._backdrop.view(camera, moment, walls)
        return Canvas(view, walls, camera, moment, actors, self.ego.speed(seconds))

    def _photograph(self, canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
        moment, view = canvas.moment, canvas.view
        lit_by = beams(canvas.actors, canvas.camera, moment)
        light = street_light(view, canvas.camera, moment, lit_by)
        light *= three(canvas.shadows)
        table = np.zeros((1, 256, 3), np.float32)
        table[0, 1 : len(canvas.actors) + 1] = actor_light(
            canvas.actors, self.street, moment, lit_by
        )
        owned = canvas.small_owner
        cv2.copyTo(cv2.LUT(three(owned), table), owned, light)
        colours = cv2.resize(canvas.planes, self.size[::-1], interpolation=cv2.INTER_AREA)
        colours = cv2.cvtColor(colours, cv2.COLOR_RGBA2RGB)
        picture = cv2.multiply(colours, light, scale=moment.gain, dtype=cv2.CV_32F)
        # in clear weather the sky's colours already include haze
        depth = canvas.depth if self.conditions.weather != "clear" else _without_sky(canvas.depth)
        clear = np.exp(-np.float32(self.climate.fog) * depth)
        veil = [part + 13 * moment.lit for part in moment.horizon]
        image = np.asarray(picture, np.float32) * three(clear) + _tinted(1 - clear, veil)
        shine = None
        if moment.lit > 0:
            windows = view.light[:, :, 3] * np.float32(moment.lit / 255)
            shine = _tinted(windows, _WINDOW_LIGHT)
            cv2.copyTo(canvas.shine, owned, shine)
            shine *= three(clear)
            if self.climate.wet:
                shine += _mirrored(shine, canvas)
        return self._visible.expose(image, shine, canvas.flow(), moment, rng)

    def _temperature(self, canvas: Canvas) -> Map:
        """Apparent temperature over the air's in the infrared image, float32 [H, W]."""
        codes = canvas.planes[:, :, 3].astype(np.float32)
        codes = np.asarray(cv2.resize(codes, self.size[::-1], interpolation=cv2.INTER_AREA))
        kelvin = temperature(codes)
        warming = canvas.view.light[:, :, 0] * np.float32(canvas.moment.heavy_k / 255)
        kelvin += warming * (canvas.small_owner == 0)
        # the fog has the air's temperature; the sky's is already apparent
        kelvin *= np.exp(-np.float32(self.climate.fog_ir) * _without_sky(canvas.depth))
        if self._homography is None:
            return kelvin
        return warp(kelvin, self._homography)


def _without_sky(depth: Map) -> Map:
    """Depth, with 0 for the sky, whose colour and temperature need no attenuation."""
    return np.asarray(cv2.threshold(depth, 1e6, 0, cv2.THRESH_TOZERO_INV)[1], np.float32)


def _mirrored(shine: Map, canvas: Canvas) -> Map:
    """Reflections of lights in the wet road, smeared downwards because it is rough."""
    reach = canvas.depth.shape[0] // 5
    smeared = cv2.blur(shine, (3, reach), anchor=(1, reach - 1))
    ground = (canvas.small_owner == 0) & ~canvas.walls.mask[::SUPERSAMPLING, ::SUPERSAMPLING]
    ground[: round(canvas.camera.horizon / SUPERSAMPLING)] = False
    share = np.float32(1.6) * ground.astype(np.float32)
    mirrored: Map = np.asarray(smeared, np.float32) * three(share)
    return mirrored


def _tinted(plane: Map, colour: Sequence[float]) -> Map:
    """Multiply a plane by a colour, to three channels."""
    return np.asarray(cv2.merge([plane * np.float32(part) for part in colour]), np.float32)


def warp(image: Map, homography: NDArray[np.float64]) -> Map:
    """Warp an image by a 3x3 homography of pixel centres; border pixels are repeated."""
    size = (image.shape[1], image.shape[0])
    out = cv2.warpPerspective(
        image, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.float32)

"""Names of classes: COCO's by both of its numberings, and when two names mean one class."""

from collections import defaultdict
from collections.abc import Mapping
from unicodedata import normalize

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""
_LEFT_OUT = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # of 1 to 90: COCO labelled none of these

# By the ids that YOLO networks give them: 0 person, 2 car.
COCO_NAMES = dict(enumerate(" ".join(_NAMES.split()).split(", ")))
# By the ids of COCO's own files: 1 person, 3 car, 90 toothbrush.
COCO_91_NAMES = dict(
    zip((i for i in range(1, 91) if i not in _LEFT_OUT), COCO_NAMES.values(), strict=True)
)

# What data sets of streets (M3FD, FLIR, LLVIP, VOC, KITTI) call COCO's classes.
_OTHER_WORDS = {
    "person": ("persons", "people", "pedestrian", "pedestrians", "human"),
    "car": ("cars",),
    "bicycle": ("bike", "bicycles"),
    "motorcycle": ("motorbike", "motor", "motorcycles"),
    "bus": ("buses",),
    "truck": ("trucks", "truvk"),  # truvk, feright: as DroneVehicle writes them
    "freight car": ("feright car", "feright"),
    "airplane": ("aeroplane",),
    "traffic light": ("light",),
    "fire hydrant": ("hydrant",),
    "couch": ("sofa",),
    "tv": ("tvmonitor",),
}


def fold(name: str | int) -> str:
    """A name without what tools change in it: case, spaces, hyphens, underscores."""
    text = normalize("NFKC", str(name)).casefold()
    return "".join(text.replace("_", " ").replace("-", " ").split()) or text.strip()


_MEANING = {fold(other): fold(name) for name, others in _OTHER_WORDS.items() for other in others}


def meaning(name: str) -> str:
    """The folded name of the class: equal for "People", "pedestrian" and "person"."""
    return _MEANING.get(fold(name), fold(name))


class NameTable:
    """Finds the id of a class by a name as anybody writes it."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._exact: dict[str, int] = {}
        self._alike: dict[str, list[int]] = defaultdict(list)
        for class_id, name in names.items():
            self._exact.setdefault(fold(name), class_id)
            self._alike[meaning(name)].append(class_id)

    def find(self, name: str) -> int | None:
        """The class of this name, else the only one of this meaning, else None."""
        alike = self._alike.get(meaning(name), [])
        return self._exact.get(fold(name), alike[0] if len(alike) == 1 else None)

"""The data sets whose layout is known; docs/data.md says what each was checked against."""

from pipeline.sources._layout import Layout
from pipeline.sources._pairing_by_name import Names

_IR = "ir|infrared|thermal|th|tir|lwir|inf"
_VIS = "vi|vis|visible|rgb|color|colour"
_BOXES = "labels|label|annotations|annotation"
_LISTS = ("train.txt", "val.txt", "test.txt")

LAYOUTS = {  # in the order in which a folder is compared with them
    "yolo": Layout(
        title="YOLOv11-RGBT",
        marks=(
            ("*.yaml|*.yml", "images/visible", "images/infrared"),
            ("*.yaml|*.yml", "visible/images", "infrared/images"),
            ("{split}/visible/images", "{split}/infrared/images"),
            ("images/visible/{split}", "images/infrared/{split}"),
            ("visible/images/{split}", "infrared/images/{split}"),
        ),
        splits=("val", "test", "train"),
        form="yaml",
    ),
    "kaist": Layout(
        title="KAIST",
        marks=(("images/set*/V*/lwir",), ("set*/V*/lwir",)),
        splits=("test", "train"),
        ir=("images", ""),
        vis=("images", ""),
        names=Names(ir="*/lwir/*", vis="*/visible/*"),
        chosen={"train": ("set0[0-5]/*",), "test": ("set0[6-9]/*", "set1[01]/*")},
        every=20,
        reasonable=True,
        labels={
            "vis": ("annotations|annotations-*|annotations_*",),
            "ir": ("annotations_paired",),
        },
    ),
    "flir_aligned": Layout(
        title="FLIR aligned",
        marks=(("jpegimages", "align_{split}.txt"), ("jpegimages", "imagesets/main/align_*.txt")),
        splits=("validation", "train"),
        ir=("jpegimages",),
        vis=("jpegimages",),
        names=Names(ir="_PreviewData", vis="_RGB"),
        listed=("align_{split}.txt", "imagesets/main/align_{split}.txt"),
        labels={"ir": ("annotations",)},
        labels_on="ir",
    ),
    "flir_v2": Layout(
        title="FLIR ADAS v2",
        marks=(
            ("rgb_to_thermal_vid_map.json",),
            ("images_rgb_*|video_rgb_*", "images_thermal_*|video_thermal_*"),
        ),
        splits=("test", "val", "train"),
        ir=("video_thermal_{split}|images_thermal_{split}/data",),
        vis=("video_rgb_{split}|images_rgb_{split}/data",),
        pairs="rgb_to_thermal_vid_map.json",
        labels={
            "vis": ("video_rgb_{split}|images_rgb_{split}/coco.json",),
            "ir": ("video_thermal_{split}|images_thermal_{split}/coco.json",),
        },
    ),
    "dronevehicle": Layout(
        title="DroneVehicle",
        marks=(("{split}/{split}img", "{split}/{split}imgr"), ("{split}img", "{split}imgr")),
        splits=("test", "val", "train"),
        ir=("{split}/{split}imgr", "{split}imgr"),
        vis=("{split}/{split}img", "{split}img"),
        labels={
            "vis": ("{split}/{split}label", "{split}label"),
            "ir": ("{split}/{split}labelr", "{split}labelr"),
        },
        labels_on="ir",
        border=100,
        bordered=(712, 840),
    ),
    "vtuav": Layout(
        title="VTUAV",
        marks=(
            ("rgb", "ir", "rgb.txt|ir.txt"),
            ("*/rgb", "*/ir", "*/rgb.txt|ir.txt"),
            ("*/*/rgb", "*/*/ir", "*/*/rgb.txt|ir.txt"),
            ("*/*/*/rgb", "*/*/*/ir", "*/*/*/rgb.txt|ir.txt"),
        ),
        splits=(),
        form="sequences",
        every=10,
    ),
    "m3fd": Layout(
        title="M3FD",
        marks=(
            ("annotation", _IR, _VIS),
            ("meta/train.txt|val.txt|pred.txt", _IR, _VIS),
        ),
        splits=("val", "test", "train", "pred"),
        ir=(_IR,),
        vis=(_VIS,),
        listed=("meta/{split}.txt",),
        labels={"vis": ("annotation|annotations", "labels")},
        classes=("People", "Car", "Bus", "Lamp", "Motorcycle", "Truck"),
    ),
    "llvip": Layout(
        title="LLVIP",
        marks=(("infrared/{split}", "visible/{split}"),),
        splits=("test", "train"),
        ir=("infrared/{split}",),
        vis=("visible/{split}",),
        labels={"vis": ("annotations", "labels/{split}", "labels")},
    ),
    "mfnet": Layout(
        title="MFNet",
        marks=tuple(("images", "labels", name) for name in _LISTS),
        splits=("test", "val", "train"),
        ir=("images",),
        vis=("images",),
        listed=("{split}.txt",),
        four_channels=True,
    ),
    "msrs": Layout(
        title="MSRS or MFNet",
        marks=(
            (f"{{split}}/{_IR}", f"{{split}}/{_VIS}"),
            *((_IR, _VIS, name) for name in _LISTS),
        ),
        splits=("detection", "test", "val", "train"),
        ir=(f"{{split}}/{_IR}", _IR),
        vis=(f"{{split}}/{_VIS}", _VIS),
        listed=("{split}.txt",),
        labels={"vis": (f"{{split}}/{_BOXES}", _BOXES)},
    ),
}

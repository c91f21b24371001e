"""Generated drives as pictures and as recordings, and the configurations of runs on them."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import yaml

from pipeline.images import write_png
from pipeline.sources import scenes

SHARED = Path(os.environ.get("IRVIS_SHARED", "../shared"))
RATE = 10
SMALL, LARGE = (128, 160), (192, 256)  # height, width
ARMS = {"average": {"kind": "average"}, "ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"}}
DAYS = (  # name, settings of the drive, offset that the table tells of
    ("monday", {}, ""),
    ("tuesday", {"ir_delay_ms": 40.0}, "-40"),
    ("wednesday", {"dropped": 0.2}, ""),
)
SINKS = {"results": {"kind": "results"}, "report": {"kind": "report"}}
FILMED = {
    **SINKS,
    "film": {"kind": "video", "arms": ["ir", "vis", "average"]},
    "tracks": {"kind": "mot"},
    "lines": {"kind": "jsonl"},
}


def detector(size):
    """The one that ships with the project, at this size."""
    return {"kind": "yolov5", "weights": "demo", "image_size": max(size), "pad": 0.0}


def configuration(path, source, size, **more):
    """Write a configuration; returns its path."""
    settings = {"source": source, "arms": ARMS, "detector": detector(size), "sinks": SINKS, **more}
    path.write_text(yaml.safe_dump(settings))
    return path


def still_drive(folder, pairs, size=SMALL):
    """Write a generated drive in the layout of MSRS: pictures and labels."""
    for name in ("ir", "vi", "labels"):
        (folder / name).mkdir(parents=True)
    height, width = size
    with scenes.build(scenes.Config(frames=pairs, clip=60, size=size)) as source:
        for pair in source:
            write_png(folder / "ir" / f"{pair.key}.png", pair.ir.image)
            write_png(folder / "vi" / f"{pair.key}.png", pair.vis.image)
            found = source.labels(pair.key, size)
            lines = [
                f"{class_id} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
                f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}\n"
                for class_id, (x0, y0, x1, y1) in zip(found.class_id, found.xyxy, strict=True)
            ]
            (folder / "labels" / f"{pair.key}.txt").write_text("".join(lines))
    return folder


def recordings(folder, frames):
    """Write three recordings of two cameras and the table that lists them.

    The second one's infrared camera is late by 40 ms, the third one's cameras dropped frames.
    """
    rows = ["name,kind,ir,vis,offset_ms"]
    for number, (name, more, offset) in enumerate(DAYS):
        settings = scenes.Config(
            frames=frames, clip=frames, size=LARGE, seed=number, frame_rate=RATE, **more
        )
        with scenes.build(settings) as source:
            pairs = list(source)
        for camera in ("ir", "vis"):
            taken = [getattr(pair, camera, None) for pair in pairs]  # a bad pair has neither
            film(folder / f"{name}_{camera}.mkv", [frame for frame in taken if frame is not None])
        rows.append(f"{name},video,{name}_ir.mkv,{name}_vis.mkv,{offset}")
    table = folder / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def film(path, frames):
    """Write frames without loss, each at its own time."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = frames[0].size
        stream.pix_fmt = "gray" if frames[0].image.ndim == 2 else "bgr0"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for frame in frames:
            form = "gray" if frame.image.ndim == 2 else "rgb24"
            one = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.image), format=form)
            one.pts, one.time_base = frame.timestamp_ns // 1_000_000, Fraction(1, 1000)
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))


def msrs(network):
    """The configuration of the shared pairs, with this detector."""
    return (
        Path(__file__).parents[1] / "configs" / "msrs.yaml",
        f"source.root={SHARED / 'data/msrs/detection'}",
        f"detector.weights={SHARED / 'weights' / network}",
        "compute.engine.shard=4",
    )


def cases(folder, frames):
    """By name, the configuration of each run whose bytes are compared, with overrides."""
    drive = {"kind": "scenes", "frames": frames, "clip": frames // 2, "size": list(LARGE)}
    faulty = {**drive, "dropped": 0.05, "frozen": 0.05}
    table = {"kind": "collection", "table": str(recordings(folder, frames))}
    more = {"sinks": FILMED, "run": {"on_bad_pair": "skip"}}
    return {
        "msrs": msrs("yolov5n.pt"),
        "drive": (configuration(folder / "drive.yaml", faulty, LARGE, **more),),
        "collection": (configuration(folder / "season.yaml", table, LARGE, **more),),
    }


def long_cases(folder, pairs):
    """Likewise of runs whose seconds are compared."""
    source = {"kind": "msrs", "root": str(still_drive(folder / "pairs", pairs, LARGE))}
    arms = {**ARMS, "unet": {"kind": "gate_unet", "weights": "gate_unet"}}
    drive = configuration(folder / "drive.yaml", source, LARGE, arms=arms)
    return {"MSRS": msrs("yolov5s.pt"), "drive": (drive, "compute.engine.shard=16")}

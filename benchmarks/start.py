"""Time to start: `python benchmarks/start.py [--rounds 5] [--check]`.

Runs in turn, each in a process of its own: `import torch`; `irvis run` with the arms of
configs/video.yaml and the shipped detector on pairs of images (320x256) until the first is
written; and `irvis show`, `compare` and `report` of finished runs. Prints medians of the
processor's time and of the clock. With --check the exit code is 1 if the processor works for over
two seconds more than for `import torch` until the first pair, or for over 1.5 seconds to show,
compare or report.
"""

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import turns
from PIL import Image

from pipeline.sources import scenes

MORE_S, READING_S = 2.0, 1.5
PAIRS = 8
DETECTOR = {"kind": "yolov5", "weights": "demo", "image_size": 320, "pad": 0.0}
SINGLE = {"ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"}}
SINKS = {"results": {"kind": "results"}, "report": {"kind": "report"}}
TORCH, FIRST = "import torch", "run, to the first pair"
COMMAND = "import sys; from pipeline import cli; sys.exit(cli.main())"
FIRST_PAIR = Path(__file__).with_name("first_pair.py")


def save_pairs(folder):
    """Write pairs of a generated drive as images."""
    settings = scenes.Config(frames=PAIRS, clip=PAIRS, time="day", size=(256, 320))
    with scenes.build(settings) as source:
        for pair in source:
            for name in ("ir", "vis"):
                path = folder / name / f"{pair.key}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(getattr(pair, name).image).save(path)


def configurations(folder):
    """Write two configurations: of a run with labels, and of one on the images in a folder."""
    labelled = {
        "source": {"kind": "scenes", "frames": PAIRS, "clip": PAIRS, "time": "day"},
        "arms": {**SINGLE, "average": {"kind": "average"}},
        "detector": DETECTOR,
        "sinks": SINKS,
    }
    first = {
        "source": {"kind": "image_folder", "ir": str(folder / "ir"), "vis": str(folder / "vis")},
        "arms": {**SINGLE, "fused": {"kind": "fusionmamba", "weights": "tiny"}},
        "detector": DETECTOR,
        "evaluation": {"preset": "detect"},
        "compute": {"batch": 1},
        "sinks": {**SINKS, "side_by_side": {"kind": "video", "arms": ["ir", "vis", "fused"]}},
    }
    for name, settings in (("labelled", labelled), ("first", first)):
        (folder / f"{name}.yaml").write_text(json.dumps(settings), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a claim is missed")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_pairs(folder)
        configurations(folder)
        for name in ("a", "b"):
            made = ["-c", COMMAND, "run", "labelled.yaml", f"run.dir={name}"]
            turns.process(made, folder)
        work = {
            TORCH: ["-c", TORCH],
            FIRST: [FIRST_PAIR, "first.yaml"],
            "show": ["-c", COMMAND, "show", "a"],
            "compare": ["-c", COMMAND, "compare", "a", "b"],
            "report": ["-c", COMMAND, "report", "a"],
        }
        print(f"load {turns.load()}")
        times = turns.in_turns(
            parsed.rounds,
            {name: partial(turns.process, given, folder) for name, given in work.items()},
        )
    for name, spent in times.items():
        wall, cpu = (turns.median(spent, clock) for clock in ("wall", "cpu"))
        share = turns.ratio(spent, times[TORCH], "cpu")
        print(f"{name:23} {wall:5.2f} s, of the processor {cpu:5.2f} s, {share:.2f}x import torch")
    print(f"load {turns.load()}")
    kept = list(claims({name: turns.median(spent, "cpu") for name, spent in times.items()}))
    return int(parsed.check and not all(kept))


def claims(cpu):
    """Print each claim; whether it is kept."""
    more = cpu[FIRST] - cpu[TORCH]
    values = [("to the first pair, more than import torch", more, MORE_S)]
    values += [(name, cpu[name], READING_S) for name in ("show", "compare", "report")]
    for what, value, wanted in values:
        kept = value <= wanted
        print(f"{'kept  ' if kept else 'MISSED'} {what}: {value:.2f} s (wanted <= {wanted})")
        yield kept


if __name__ == "__main__":
    sys.exit(main())

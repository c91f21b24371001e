"""Speed claims of the fusion networks: `python benchmarks/fuser.py [--check]`.

Prints each claim as a ratio measured in one run; with --check the exit code is 1 if one is missed.
The weights of heads and the pair of images are random. The small networks are timed in bfloat16 if
the processor supports it, the detector in float32.
"""

import argparse
import copy
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

from common.device import choose_dtype
from detection.detectors import yolov5
from fusion.network.gate_unet import Architecture, GateUNet
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.commands import bench

CPU = torch.device("cpu")
SIDES = ((240, 320), (360, 480), (480, 640), (720, 960), (960, 1280))
RUNS = 7


def arm(fuser, dtype):
    return FuserArm(copy.deepcopy(fuser), device=CPU, dtype=dtype)


def detector():
    """YOLOv5s with the shared weights or untrained, and which of the two it is."""
    weights = Path(os.environ.get("IRVIS_SHARED", "../shared")) / "weights" / "yolov5s.pt"
    if weights.is_file():
        return yolov5.build(yolov5.Config(weights=str(weights)), device=CPU), "trained"
    network = yolov5.new_network("yolov5s.yaml", {i: str(i) for i in range(80)}).eval()

    def run(images):
        with torch.inference_mode():
            return network(images.float() / 255)

    return run, "untrained"


def median(run, runs=RUNS):
    return statistics.median(bench.seconds(run, CPU, runs=runs))


def base():
    """Claims on base: against the sequential scan, and its dense part against the peak."""
    batch = bench.pair(*bench.FRAME, CPU)
    full, half = arm(bench.new_fuser("base"), torch.float32), None
    fused = full(batch)
    fast = median(lambda: full(batch))
    cost = bench.measure(bench.new_fuser("base"), bench.FRAME, torch.float32, CPU, runs=1)
    peak = bench.matrix_peak(CPU, torch.float32)
    half = arm(bench.new_fuser("base"), torch.bfloat16)
    difference = (half(batch).float() - fused.float()).abs().mean().item()
    faster = median(lambda: half(batch))
    sequential = arm(bench.new_fuser("base", "reference"), torch.float32)
    slow = min(bench.seconds(lambda: sequential(batch), CPU, runs=1))
    dense = cost.gflops["dense"] / cost.busy["dense"]
    print(f"base: sequential {slow:.2f} s, float32 {fast:.2f} s, bfloat16 {faster:.2f} s")
    print(f"base float32: dense part {dense:.0f} GFLOP/s, matrix peak {peak:.0f} GFLOP/s")
    return (
        ("base float32 over the sequential scan", slow / fast, ">=", 4.5),
        ("base bfloat16 over the sequential scan", slow / faster, ">=", 8),
        ("base bfloat16 to float32, mean difference in 1/255", difference, "<=", 1),
        ("dense part of base over the float32 matrix peak", dense / peak, ">=", 0.5),
    )


def small():
    """Claims on tiny and gate_unet: against YOLOv5s on the same frame, and time over pixels."""
    detect, which = detector()
    dtype = choose_dtype("auto", CPU)
    name = str(dtype).removeprefix("torch.")
    tiny = arm(bench.new_fuser("tiny"), dtype)
    unet = arm(NetworkFuser(GateUNet(Architecture())).eval(), dtype)
    batch = bench.pair(*bench.FRAME, CPU)
    runs = (lambda: tiny(batch), lambda: unet(batch), lambda: detect(batch.vis))
    rounds = [[median(run) for run in runs] for _ in range(3)]
    ours, control, theirs = np.min(rounds, axis=0)
    print(
        f"{name}: tiny {ours * 1e3:.0f} ms, gate_unet {control * 1e3:.0f} ms; "
        f"{which} YOLOv5s {theirs * 1e3:.0f} ms"
    )
    times = []
    for side in SIDES:
        sized = bench.pair(*side, CPU)
        times.append(min(bench.seconds(lambda b=sized: tiny(b), CPU, runs=RUNS)))
    pixels = [height * width for height, width in SIDES]
    exponent = np.polyfit(np.log(pixels), np.log(times), 1)[0]
    print(f"tiny {name} by pixels: " + ", ".join(f"{t * 1e3:.0f} ms" for t in times))
    return (
        (f"tiny {name} over YOLOv5s, times", ours / theirs, "<=", 1.5),
        (f"gate_unet {name} over YOLOv5s, times", control / theirs, "<=", 1.5),
        ("exponent of the time in pixels", exponent, "<=", 1.1),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a claim is missed")
    check = parser.parse_args().check
    print(bench.machine(CPU))
    missed = 0
    for name, value, relation, wanted in (*small(), *base()):
        kept = value >= wanted if relation == ">=" else value <= wanted
        missed += not kept
        print(f"{'kept  ' if kept else 'MISSED'} {name}: {value:.2f} (wanted {relation} {wanted})")
    print(bench.machine(CPU))
    sys.exit(1 if check and missed else 0)


if __name__ == "__main__":
    main()

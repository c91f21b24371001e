"""Prints the cost of the networks: `python tools/cost_table.py [NAME ...]`.

Parameters, multiply-adds for one 256x256 pair (without the scan's, as in the papers' counters) and
milliseconds on this machine: the median of five runs, of MambaDFuse a single one. All weights are
random. Names choose rows, such as mambadfuse.
"""

import argparse
import statistics
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from common.device import choose_dtype
from detection.detectors import yolov5
from fusion.fusers.fusionmamba import SIZES
from fusion.network import gate_unet, mambadfuse
from fusion.network.gate_unet import GateUNet
from fusion.network.mambadfuse import MambaDFuse
from fusion.network.network_fuser import NetworkFuser
from fusion.network.released import ReleasedFusionMamba
from pipeline.arms._fuser import FuserArm
from pipeline.commands import bench

CPU = torch.device("cpu")
CELLS = 6  # of a row: parameters, multiply-adds, milliseconds of two sizes in two dtypes


def released():
    torch.manual_seed(0)
    return NetworkFuser(ReleasedFusionMamba(96, (2, 2, 9, 2))).eval()


def control():
    torch.manual_seed(0)
    return NetworkFuser(GateUNet(gate_unet.Architecture())).eval()


def mamba():
    torch.manual_seed(0)
    return NetworkFuser(MambaDFuse(mambadfuse.Architecture())).eval()


def milliseconds(run, runs=5):
    return f"{statistics.median(bench.seconds(run, CPU, runs=runs)) * 1e3:.0f}"


def multiply_adds(run):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return f"{counter.get_total_flops() / 2e9:.2f}"


def parameters(network):
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f}"


def of_fuser(fuser, runs=5):
    small = bench.pair(256, 256, CPU)
    ir, vis = small.ir.float() / 255, small.vis.float() / 255  # [1, 1, H, W], [1, 3, H, W]
    cells = [parameters(fuser), multiply_adds(lambda: fuser(ir=ir, vis=vis))]
    native = choose_dtype("auto", CPU)  # bfloat16 where the processor computes in it
    for dtype in dict.fromkeys((torch.float32, native)):
        arm = FuserArm(fuser, device=CPU, dtype=dtype)
        for frame in ((256, 256), bench.FRAME):
            batch = bench.pair(*frame, CPU)
            cells.append(milliseconds(lambda arm=arm, batch=batch: arm(batch), runs))
    return cells if len(cells) == CELLS else [*cells, "–", "–"]


def of_size(size):
    return of_fuser(bench.new_fuser(size))


def of_network(make, runs=5):
    return of_fuser(make(), runs)


def of_detector():
    network = yolov5.new_network("yolov5s.yaml", {i: str(i) for i in range(80)}).eval()
    frames = [torch.rand(1, 3, 256, 256), torch.rand(1, 3, *bench.FRAME)]  # [1, 3, H, W]
    cells = [parameters(network), multiply_adds(lambda: network(frames[0]))]
    with torch.inference_mode():
        cells += [milliseconds(lambda frame=frame: network(frame)) for frame in frames]
    return [*cells, "–", "–"]


def main():
    table = Table()
    table.add_column("network")
    for name in ("M parameters", "G multiply-adds", "ms 256", "ms 480x640", "bf16 256", "bf16 480"):
        table.add_column(name, justify="right")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows; default all")
    names = parser.parse_args().names
    rows = {f"fusionmamba {size}": partial(of_size, size) for size in SIZES}
    rows |= {
        "gate_unet": partial(of_network, control),
        "fusionmamba_released": partial(of_network, released),
        "mambadfuse": partial(of_network, mamba, runs=1),
        "YOLOv5s (anchor-free), no NMS": partial(of_detector),
    }
    for name, cells in rows.items():
        if not names or name in names:
            table.add_row(name, *cells())
    console = Console(width=120)
    console.print(bench.machine(CPU), highlight=False)
    console.print(table)
    console.print(
        "The paper's own figures for its network (its Table 8, on the authors' GPU and image "
        "size): 26.48 GFLOPs, 0.13 s.",
        highlight=False,
    )


if __name__ == "__main__":
    main()

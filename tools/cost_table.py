"""Prints the cost of the networks: `python tools/cost_table.py`.

Parameters, multiply-adds for one 256x256 pair (without the scan's, as in the papers' counters) and
milliseconds on this machine. All weights are random.
"""

import statistics

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from detection.detectors import yolov5
from fusion.fusers.fusionmamba import SIZES
from fusion.network.gate_unet import Architecture, GateUNet
from fusion.network.network_fuser import NetworkFuser
from fusion.network.released import ReleasedFusionMamba
from pipeline.arms._fuser import FuserArm
from pipeline.commands import bench

CPU = torch.device("cpu")


def released():
    torch.manual_seed(0)
    return NetworkFuser(ReleasedFusionMamba(96, (2, 2, 9, 2))).eval()


def control():
    torch.manual_seed(0)
    return NetworkFuser(GateUNet(Architecture())).eval()


def milliseconds(run):
    return f"{statistics.median(bench.seconds(run, CPU, runs=5)) * 1e3:.0f}"


def multiply_adds(run):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return f"{counter.get_total_flops() / 2e9:.2f}"


def parameters(network):
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f}"


def of_fuser(fuser):
    small = bench.pair(256, 256, CPU)
    ir, vis = small.ir.float() / 255, small.vis.float() / 255  # [1, 1, H, W], [1, 3, H, W]
    cells = [parameters(fuser), multiply_adds(lambda: fuser(ir=ir, vis=vis))]
    for dtype in (torch.float32, torch.bfloat16):
        arm = FuserArm(fuser, device=CPU, dtype=dtype)
        for frame in ((256, 256), bench.FRAME):
            batch = bench.pair(*frame, CPU)
            cells.append(milliseconds(lambda arm=arm, batch=batch: arm(batch)))
    return cells


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
    for size in SIZES:
        table.add_row(f"fusionmamba {size}", *of_fuser(bench.new_fuser(size)))
    table.add_row("gate_unet", *of_fuser(control()))
    table.add_row("fusionmamba_released", *of_fuser(released()))
    table.add_row("YOLOv5s (anchor-free), no NMS", *of_detector())
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

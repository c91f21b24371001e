"""`irvis bench`: measures a configuration, or the fusion network relative to the processor's peak.

FLOPs of the network are those of torch's flop counter (a multiply-add is two) plus those of the
scan: 7 for each state update (step x A, exponential, decay x state, inflow x B and addition, state
x C and addition), and 2 R for the step of each channel and token.
"""

import argparse
import ctypes
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from common.device import choose_device
from common.errors import ConfigError, shown
from fusion.fusers import fusionmamba
from fusion.network.es2d import ES2D, STATE
from fusion.network.fusionmamba import Architecture, FusionMamba, Head
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.commands import _bench_run
from pipeline.commands._arguments import KEYS, configuration
from pipeline.commands._bench_run import frame_size
from pipeline.commands._terminal import progress
from pipeline.frames import PairBatch

FRAMES = ((256, 256), (480, 640), (720, 1280))
FRAME = (480, 640)  # height, width
HEAD: Head = "fine"  # of the weights that ship as `tiny`
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PER_UPDATE = 7
_SCAN = ("selective_scan", "forward_kernel")  # numba's profiler record, Triton's kernel
_NORM = ("aten::native_layer_norm",)
_COPIES = ("aten::copy_", "aten::cat", "aten::index_select")
_DENSE = (
    "aten::mm",
    "aten::bmm",
    "aten::addmm",
    "aten::mkldnn_convolution",
    "aten::_slow_conv2d_forward",
    "aten::_conv_depthwise2d",
    "aten::cudnn_convolution",
)
GROUPS = {"scan": _SCAN, "dense": _DENSE, "norm": _NORM, "copies": _COPIES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument(
        "config", nargs="?", help="YAML file, or its name: measure its arms and its detector"
    )
    parser.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. compute.batch=8")
    parser.add_argument(
        "--frame", default="480x640", metavar="HxW", help="size with CONFIG, default 480x640"
    )
    parser.add_argument("--size", nargs="+", default=["tiny", "small", "base"], metavar="SIZE")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"], metavar="DTYPE")
    parser.add_argument("--quick", action="store_true", help="480x640 only, three runs each")


def run(parsed: argparse.Namespace) -> None:
    """Measure and print the tables."""
    if parsed.config is not None:
        _bench_run.print_report(*configuration(parsed), frame_size(parsed.frame))
        return
    print_report(parsed.size, parsed.dtype, quick=parsed.quick)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per pair, GFLOPs by part ("dense", "scan"), and peak memory in bytes."""

    seconds: float
    gflops: Mapping[str, float]
    memory: int
    busy: Mapping[str, float]  # seconds of a profiled run, by group of operations


def new_fuser(size: str, scan: str = "auto") -> NetworkFuser:
    """An untrained fuser with a random ``HEAD``, which is always the same.

    Raises:
        errors.ConfigError: There is no such size.
    """
    if size not in fusionmamba.SIZES:
        raise ConfigError(f"size {shown(size)}: choose one of {', '.join(fusionmamba.SIZES)}")
    torch.manual_seed(0)
    width, depths = fusionmamba.SIZES[size]
    architecture = Architecture(width=width, depths=depths, head=HEAD)
    network = FusionMamba(architecture, scan=scan)
    nn.init.normal_(network.head.weight, std=0.05)
    return NetworkFuser(network).eval()


def pair(height: int, width: int, device: torch.device) -> PairBatch:
    """One pair of noise; the time does not depend on the content."""
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int) -> Tensor:
        shape = (1, channels, height, width)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).to(device)

    return PairBatch(keys=("noise",), ir=noise(1), vis=noise(3), ready={})


def seconds(run: Callable[[], object], device: torch.device, *, runs: int) -> list[float]:
    """Seconds of each run, after one warm-up run."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return times[1:]


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of the fastest of several products of 2048 x 2048 matrices."""
    n = 2048
    a, b = torch.randn(2, n, n, device=device).to(dtype)  # [n, n] each
    with torch.inference_mode():
        return 2 * n**3 / min(seconds(lambda: a @ b, device, runs=10)) / 1e9


def gflops(network: nn.Module, run: Callable[[], object]) -> dict[str, float]:
    """GFLOPs of a run, "dense" and "scan"; see the module's docstring."""
    scan = 0

    def count(module: ES2D, given: tuple[Tensor], _out: Tensor) -> None:
        nonlocal scan
        batch, height, width, inner = given[0].shape
        tokens = batch * (height + height % 2) * (width + width % 2)
        scan += tokens * inner * (PER_UPDATE * STATE + 2 * module.rank)

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, ES2D)]
    # no_grad, because in inference mode the counter misses linear layers
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return {"dense": counter.get_total_flops() / 1e9, "scan": scan / 1e9}


def busy(run: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Seconds of a run by group of operations; "other" is elementwise work and the interpreter."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        wall = time.perf_counter() - start
    clock = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    own = {event.key: getattr(event, clock) for event in profiler.key_averages()}
    groups = {group: sum(own.get(key, 0) for key in keys) / 1e6 for group, keys in GROUPS.items()}
    return groups | {"other": wall - sum(groups.values())}


def measure(
    fuser: NetworkFuser,
    size: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
    *,
    runs: int,
) -> Cost:
    """The cost of fusing a pair of height and width ``size``."""
    batch = pair(*size, device)
    ir, vis = batch.ir.float() / 255, batch.vis.float() / 255  # [1, 1, H, W], [1, 3, H, W]
    arm = FuserArm(fuser, device=device, dtype=dtype)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        counted = gflops(fuser, lambda: fuser(ir=ir, vis=vis))
    _reset_peak(device)
    times = seconds(lambda: arm(batch), device, runs=runs)
    memory = _peak(device)
    return Cost(statistics.median(times), counted, memory, busy(lambda: arm(batch), device))


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        ctypes.CDLL(None).malloc_trim(0)  # what FuserArm has glibc keep
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: torch.device) -> int:
    """Peak memory in bytes: of all tensors on a GPU, else of the process; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def print_report(sizes: Sequence[str], dtypes: Sequence[str], *, quick: bool) -> None:
    """Print the table of `irvis bench`.

    Raises:
        errors.ConfigError: There is no such size or dtype.
    """
    for name in dtypes:
        if name not in DTYPES:
            raise ConfigError(f"dtype {shown(name)}: choose one of {', '.join(DTYPES)}")
    device = choose_device("auto")
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(machine(device), highlight=False)
    table = Table()
    for name in ("size", "dtype", "frame"):
        table.add_column(name)
    for name in ("ms/pair", "pairs/s", "peak MB", "GFLOP", "of peak", *GROUPS, "other"):
        table.add_column(name, justify="right")
    console.print(f"untrained networks with the head {HEAD}", highlight=False)
    frames, runs = ((FRAME,), 3) if quick else (FRAMES, 7)
    done, rows = 0, len(dtypes) * len(sizes) * len(frames)
    with progress("measurements") as show:
        show(done, rows)
        for dtype in dtypes:
            peak = matrix_peak(device, DTYPES[dtype])
            console.print(f"{dtype}: matrix peak {peak:.0f} GFLOP/s", highlight=False)
            for size, frame in product(sizes, frames):
                cost = measure(new_fuser(size), frame, DTYPES[dtype], device, runs=runs)
                table.add_row(size, dtype, f"{frame[0]}x{frame[1]}", *_cells(cost, peak))
                done += 1
                show(done, rows)
    console.print(table)
    console.print("scan to other: milliseconds of one run under the profiler", highlight=False)


def machine(device: torch.device) -> str:
    """Device, threads, version of torch and load, in one line."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    threads, cores = torch.get_num_threads(), os.cpu_count()
    return f"{name}, {threads} threads of {cores} cores, torch {torch.__version__}, load {load}"


def _cells(cost: Cost, peak: float) -> list[str]:
    total = sum(cost.gflops.values())
    return [
        f"{cost.seconds * 1e3:.0f}",
        f"{1 / cost.seconds:.2f}",
        f"{cost.memory / 1e6:.0f}",
        f"{total:.1f}",
        f"{total / cost.seconds / peak:.0%}",
        *(f"{value * 1e3:.0f}" for value in cost.busy.values()),
    ]

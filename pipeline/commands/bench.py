"""How fast the network fuses on this machine, against what its processor could do.

FLOPs are those of torch's flop counter (a multiply-add is two) plus the scan's own: for each state
update step x A, its exponential, decay x state, inflow x B with its addition, state x C with its
addition, 7 in all, and 2 R for the step of each channel and token.
"""

import argparse
import ctypes
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from common.errors import ConfigError
from fusion.fusers import fusionmamba
from fusion.network.es2d import ES2D, STATE
from fusion.network.fusionmamba import Architecture, FusionMamba
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.engine.device import choose_device
from pipeline.frames import PairBatch

FRAMES = ((256, 256), (480, 640), (720, 1280))
FRAME = (480, 640)  # the one of the claims
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PER_UPDATE = 7
_SCAN = ("selective_scan", "_forward_kernel")  # of numba; of Triton
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
    parser.add_argument("--size", nargs="+", default=["tiny", "small", "base"], metavar="SIZE")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"], metavar="DTYPE")
    parser.add_argument("--quick", action="store_true", help="480x640 only, three runs each")


def run(parsed: argparse.Namespace) -> None:
    """Measure and print the tables."""
    report(parsed.size, parsed.dtype, quick=parsed.quick)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds a pair, and GFLOPs by where they are: "dense" and "scan"."""

    seconds: float
    gflops: Mapping[str, float]
    memory: int
    busy: Mapping[str, float]  # seconds of a profiled run, by group of operations


def new_fuser(size: str, scan: str = "auto") -> NetworkFuser:
    """An untrained fuser whose head is drawn, so that the network counts; always the same.

    Raises:
        errors.ConfigError: There is no such size.
    """
    if size not in fusionmamba.SIZES:
        raise ConfigError(f"size {size!r}: choose one of {', '.join(fusionmamba.SIZES)}")
    torch.manual_seed(0)
    width, depths = fusionmamba.SIZES[size]
    architecture = Architecture(width=width, depths=depths, head="gate")
    network = FusionMamba(architecture, scan=scan)
    nn.init.normal_(network.head.weight, std=0.05)
    return NetworkFuser(network).eval()


def pair(height: int, width: int, device: torch.device) -> PairBatch:
    """One pair of noise: what is in a frame makes no difference to the time."""
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int) -> Tensor:
        shape = (1, channels, height, width)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).to(device)

    return PairBatch(keys=("noise",), ir=noise(1), vis=noise(3), ready={})


def seconds(run: Callable[[], object], device: torch.device, *, runs: int) -> list[float]:
    """Seconds of each of some runs, after one that warms up."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return times[1:]


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of the fastest of some products of 2048 x 2048 matrices, in this process."""
    n = 2048
    a, b = torch.randn(2, n, n, device=device).to(dtype)  # [n, n] each
    with torch.inference_mode():
        return 2 * n**3 / min(seconds(lambda: a @ b, device, runs=10)) / 1e9


def gflops(network: nn.Module, run: Callable[[], object]) -> dict[str, float]:
    """GFLOPs of a run, "dense" and "scan"; see the module's text."""
    scan = 0

    def count(module: ES2D, given: tuple[Tensor], _out: Tensor) -> None:
        nonlocal scan
        batch, height, width, inner = given[0].shape
        tokens = batch * (height + height % 2) * (width + width % 2)
        scan += tokens * inner * (PER_UPDATE * STATE + 2 * module.rank)

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, ES2D)]
    # inference mode would hide the linear layers from the counter
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
    """What fusing a pair of height and width ``size`` costs."""
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
    """Bytes: of all tensors on a GPU, else of the process; 0 where the system doesn't say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def report(sizes: Sequence[str], dtypes: Sequence[str], *, quick: bool) -> None:
    """Print the table of `irvis bench`.

    Raises:
        errors.ConfigError: There is no such size or dtype.
    """
    for name in dtypes:
        if name not in DTYPES:
            raise ConfigError(f"dtype {name!r}: choose one of {', '.join(DTYPES)}")
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
    for dtype in dtypes:
        peak = matrix_peak(device, DTYPES[dtype])
        console.print(f"{dtype}: matrix peak {peak:.0f} GFLOP/s", highlight=False)
        for size in sizes:
            for frame in (FRAME,) if quick else FRAMES:
                fuser = new_fuser(size)
                runs = 3 if quick else 7
                cost = measure(fuser, frame, DTYPES[dtype], device, runs=runs)
                table.add_row(size, dtype, f"{frame[0]}x{frame[1]}", *_cells(cost, peak))
    console.print(table)
    console.print("scan to other: milliseconds of one run under the profiler", highlight=False)


def machine(device: torch.device) -> str:
    """A line that says on what and how undisturbed something was measured."""
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

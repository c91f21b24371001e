"""`irvis doctor`: lists what is installed, what is missing and how to install it."""

import argparse
import importlib.util
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import av
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detection import weights
from fusion import scan
from fusion.network.checkpoint import SHIPPED as FUSER_WEIGHTS

PACKAGES = (
    "torch", "torchvision", "ultralytics", "opencv-python", "numpy", "av", "faster-coco-eval",
)  # fmt: skip
CUDA_EXTRA = ("mamba-ssm", "causal-conv1d")
INSTALL_CUDA = "pip install --no-build-isolation -e '.[cuda]'"
Row = tuple[bool | None, str, str]  # installed (None: optional and missing), name, state or advice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""
    del parser


def run(parsed: argparse.Namespace) -> None:
    """Print the table."""
    del parsed
    print_report()


def print_report() -> None:
    """Print the table; nothing is changed and no network is used."""
    table = Table(show_header=False, box=None, pad_edge=False)
    marks = {True: "[green]ok[/]", False: "[red]missing[/]", None: "[dim]–[/]"}
    for fine, what, text in (*_machine(), *_packages(), *_scan(), *_weights(), *_video()):
        table.add_row(marks[fine], what, escape(text))
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table, highlight=False)


def _machine() -> Iterator[Row]:
    yield True, "irvis", f"{version('irvis')}, Python {platform.python_version()}"
    threads = torch.get_num_threads()
    yield True, "CPU", f"{os.cpu_count()} cores, {threads} threads, {_instructions()}"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield True, f"cuda:{index}", torch.cuda.get_device_name(index)
    elif torch.version.cuda:
        yield None, "GPU", "none that this torch can use; runs use the CPU"
    else:
        yield None, "GPU", "this torch is a CPU build; runs use the CPU"


def _instructions() -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{capability} ({'bf16' if torch.ops.mkldnn._is_mkldnn_bf16_supported() else 'no bf16'})"


def _packages() -> Iterator[Row]:
    for name in PACKAGES:
        installed = _version(name)
        yield installed is not None, name, installed or "run `make env`"
    for name in CUDA_EXTRA:
        installed = _version(name)
        if installed is None:
            advice = INSTALL_CUDA if torch.cuda.is_available() else "only for GPUs; not needed here"
            yield None, name, f"not installed ({advice})"
        else:
            usable = importlib.util.find_spec(name.replace("-", "_")) is not None
            yield usable, name, installed


def _scan() -> Iterator[Row]:
    for name in scan.BACKENDS:
        problem = scan.problem(name)
        yield problem is None or None, f"scan: {name}", problem or "usable"


def _weights() -> Iterator[Row]:
    shipped = sorted(path.stem for path in FUSER_WEIGHTS.glob("*.safetensors"))
    yield (
        bool(shipped) or None,
        "fuser weights",
        ", ".join(shipped) or "none: reinstall, they ship with the project",
    )
    demo = weights.find("demo")
    yield demo is not None, "detector: demo", str(demo or "reinstall: it ships with the project")
    for name in weights.KNOWN:
        path = weights.find(name)
        advice = f"get it with `irvis download {Path(name).stem}`, or give a path"
        yield path is not None or None, f"detector: {name}", str(path or advice)


def _video() -> Iterator[Row]:
    fine = "libx264" in av.codecs_available
    yield fine, "video", f"PyAV {av.__version__}, " + ("libx264" if fine else "without libx264")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""The packages are this repository's, imports point one way, and no file is long."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [
    "common",
    "detection",
    "eval",
    "fusion",
    "irvis",
    "pipeline",
    "scenes",
    "segmentation",
    "training",
]


@pytest.mark.parametrize("name", [*PACKAGES, "run_pipeline"])
def test_each_name_resolves_inside_the_repository(name):
    assert Path(importlib.import_module(name).__file__).is_relative_to(ROOT)


def test_every_package_is_in_the_layers_the_types_and_the_wheel():
    """import-linter's `exhaustive` speaks of the modules in a package, not of the packages."""
    packages = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    packages.remove("tests")
    assert packages == PACKAGES
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    assert sorted(name for layer in layers for name in layer.split(" | ")) == PACKAGES
    assert tools["importlinter"]["root_packages"] == PACKAGES
    assert tools["mypy"]["packages"] == [*PACKAGES, "benchmarks", "tools"]
    included = tools["setuptools"]["packages"]["find"]["include"]
    assert sorted(included) == sorted(["configs", *(f"{name}*" for name in PACKAGES)])


def test_nothing_imports_the_command_line_script():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if "run_pipeline" not in text and "ultralytics" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert "run_pipeline" not in names, path
                if "ultralytics" in {name.split(".")[0] for name in names}:
                    assert path == ROOT / "detection" / "detectors" / "yolov5.py"


def test_no_python_file_is_longer_than_300_lines():
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    files = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert len(lines) > 300
    assert {name: count for name, count in lines.items() if count > 300} == {}


READERS = ["show", "compare", "report"]
# One process for those that read and its copy for a run, because each would take seconds to begin.
PROGRAM = """
import importlib, os, sys
import pipeline.cli
child = os.fork()
if child:
    os.waitpid(child, 0)
    for command in sys.argv[1:]:
        importlib.import_module(f"pipeline.commands.{command}")
        print(*sys.modules)
    sys.exit()
from pipeline.config import components
components.load("arms", {"kind": "average"}, "arms.a")
print(*sys.modules)
import pipeline.commands.run
components.load("source", {"kind": "video", "ir": "a", "vis": "b"}, "source")
components.load("arms", {"kind": "fusionmamba", "weights": "tiny"}, "arms.a")
components.load("arms", {"kind": "late"}, "arms.b")
for kind in ("results", "report"):
    components.load("sinks", {"kind": kind}, "sinks.a")
import detection.detectors.yolov5, detection.nms
detection.nms._load_kernel()
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def lines():
    """By line: modules after a component, a run's, and after each of READERS."""
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM, *READERS],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line.split() for line in shown.stdout.splitlines()]


@pytest.mark.parametrize("command", READERS)
def test_what_only_reads_runs_starts_without_torch(lines, command):
    loaded = set(lines[2 + READERS.index(command)])
    assert f"pipeline.commands.{command}" in loaded
    assert not loaded & {"torch", "torchvision", "ultralytics", "scipy.stats"}


def test_a_component_imports_only_itself(lines):
    loaded = lines[0]
    assert [name for name in loaded if name.startswith("fusion.fusers.")] == [
        "fusion.fusers.average"
    ]
    assert "ultralytics" not in loaded


def test_a_run_starts_without_what_its_end_needs(lines):
    """torchvision imports torch's compiler; the evaluation and the page are needed at the end."""
    loaded = set(lines[1])
    assert {"torch", "ultralytics", "fusion.fusers.fusionmamba"} <= loaded
    needless = {"torchvision", "torch._dynamo", "pandas", "matplotlib", "numba", "scipy.stats"}
    assert not loaded & (needless | {"onnx", "tensorboard", "mlflow", "pycocotools"})

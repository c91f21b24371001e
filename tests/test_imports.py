"""The packages are this repository's, and imports point one way."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["common", "detection", "eval", "fusion", "pipeline", "scenes", "training"]


@pytest.mark.parametrize("name", [*PACKAGES, "run_pipeline"])
def test_each_name_resolves_inside_the_repository(name):
    assert Path(importlib.import_module(name).__file__).is_relative_to(ROOT)


def test_import_rules_hold():
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_every_package_is_in_the_layers_the_types_and_the_wheel():
    """import-linter's `exhaustive` speaks of the modules in a package, not of the packages."""
    packages = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    packages.remove("tests")
    assert packages == PACKAGES
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    assert sorted(name for layer in layers for name in layer.split(" | ")) == PACKAGES
    assert tools["importlinter"]["root_packages"] == PACKAGES
    assert tools["mypy"]["packages"] == PACKAGES
    assert tools["setuptools"]["packages"]["find"]["include"] == [f"{name}*" for name in PACKAGES]


def test_nothing_imports_the_command_line_script():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert "run_pipeline" not in names, path
                if "ultralytics" in {name.split(".")[0] for name in names}:
                    assert path == ROOT / "detection" / "detectors" / "yolov5.py"


@pytest.mark.parametrize("command", ["show", "compare", "report"])
def test_what_only_reads_runs_starts_without_torch(command):
    program = f"import sys, pipeline.cli, pipeline.commands.{command}; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(shown.stdout.split())
    assert f"pipeline.commands.{command}" in loaded
    assert not loaded & {"torch", "torchvision", "ultralytics"}

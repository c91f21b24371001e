"""The packages are this repository's, and imports point one way."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["checksums", "detection", "errors", "eval", "fusion", "pipeline", "training"]


@pytest.mark.parametrize("name", [*PACKAGES, "run_pipeline"])
def test_each_name_resolves_inside_the_repository(name):
    assert Path(importlib.import_module(name).__file__).is_relative_to(ROOT)


def test_import_rules_hold():
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_nothing_imports_the_command_line_script():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert "run_pipeline" not in names, path
                if "ultralytics" in {name.split(".")[0] for name in names}:
                    assert path == ROOT / "detection" / "detectors" / "yolov5.py"

"""What is installed from a source distribution works without the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# a source distribution of the working folder, and a wheel of nothing else; setuptools starts once
BUILD = """
import os, sys, tarfile
from setuptools import build_meta

folder = sys.argv[1]
sdist = build_meta.build_sdist(folder)
os.chdir(folder)
tarfile.open(sdist).extractall(filter="data")
os.chdir(sdist.removesuffix(".tar.gz"))
build_meta.build_wheel(folder)
"""
# the script that an installer makes of the entry point; then what it imported tells of itself
DEMO = """
import sys
from importlib.metadata import entry_points

(irvis,) = entry_points(group="console_scripts", name="irvis")
code = irvis.load()()
from detection.detectors import yolov5
from ultralytics.utils import *
print(AUTOINSTALL, ONLINE, yolov5.__file__)
sys.exit(code)
"""


def python(executable, *arguments, **options):
    done = subprocess.run(
        [executable, *arguments], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new environment with irvis from the wheel of its source distribution.

    It finds what irvis needs in this environment, since to install that takes gigabytes. The wheel
    is unpacked, which is all that installers do with one that has nothing but packages.
    """
    folder = tmp_path_factory.mktemp("wheel")
    python(sys.executable, "-c", BUILD, folder, cwd=ROOT)
    (wheel,) = folder.glob("irvis-*-none-any.whl")
    env = folder / "env"
    venv.create(env, symlinks=True)
    ours, theirs = (
        Path(sysconfig.get_path("purelib", vars={"base": str(base)})) for base in (sys.prefix, env)
    )
    # a line of a .pth that is a path; irvis itself is found in the new environment first
    (theirs / "needed.pth").write_text(f"{ours}\n")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if ".data/" in name]
        archive.extractall(theirs)
    return env


@pytest.fixture(scope="module")
def installed(environment):
    """Its folder of packages."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))


def test_everything_that_is_no_code_is_in_it(installed):
    """Configurations, weights with their cards, and templates, as in the repository."""
    tracked = subprocess.run(
        ["git", "ls-files", "configs", "detection", "eval", "fusion", "irvis", "pipeline",
         "scenes"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    files = [Path(line) for line in tracked.stdout.splitlines() if not line.endswith(".py")]
    assert len(files) > 12
    assert [str(file) for file in files if not (installed / file).is_file()] == []


@pytest.mark.slow
def test_the_demo_runs_offline_in_an_empty_folder(environment, installed, tmp_path):
    """Its first frames; without what would be compiled for them: FusionMamba and the scores."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("YOLO_", "PYTHON"))
    }
    without = [f"{name}=null" for name in ("arms.fused", "sinks.results", "sinks.report")]
    overrides = ["source.frames=2", "source.clip=2", *without]
    executable = environment / "bin" / "python"
    printed = python(executable, "-c", DEMO, "demo", *overrides, cwd=tmp_path, env=clean)
    video = tmp_path / "runs" / "demo" / "video" / "side_by_side.mp4"
    assert video.stat().st_size > 0
    told = ["False", "False"]  # ultralytics
    flags = printed.splitlines()[-1].split()
    assert flags == [*told, str(installed / "detection" / "detectors" / "yolov5.py")]

"""What is installed from a wheel works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAIN = """
import sys
from pipeline.cli import main
code = main()
from ultralytics.utils import AUTOINSTALL, ONLINE
print(AUTOINSTALL, ONLINE)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of an unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("irvis-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


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
def test_the_demo_runs_offline_in_an_empty_folder(installed, tmp_path):
    """Its first frames; without what would be compiled for them: FusionMamba and the scores."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("YOLO_")
    }
    without = [f"{name}=null" for name in ("arms.fused", "sinks.results", "sinks.report")]
    overrides = ["source.frames=2", "source.clip=2", *without]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "demo", *overrides], capture_output=True, text=True,
        cwd=tmp_path, check=False, env={**environment, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    video = tmp_path / "runs" / "demo" / "video" / "side_by_side.mp4"
    assert video.stat().st_size > 0
    assert done.stdout.splitlines()[-1] == "False False"  # what ultralytics was told

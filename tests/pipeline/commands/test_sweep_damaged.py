"""A sweep that goes on with runs whose files were damaged."""

import json
import shutil
from contextlib import contextmanager

import pytest
import yaml

from common.errors import ConfigError, DataError
from pipeline.commands import sweep
from tests.helpers import toys


@contextmanager
def quiet(title):
    yield lambda done, total: None


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a whole sweep of two values."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        toys.write_pairs(folder / "pairs")
        text = yaml.safe_dump(toys.settings("pairs"), sort_keys=False)
        (folder / "toy.yaml").write_text(text)
        sweep.sweep(folder / "toy.yaml", ["perturb.ir_noise=0,60"], quiet)
    return folder


@pytest.fixture
def swept(finished, tmp_path, monkeypatch):
    """A copy of it, as the working folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", "[]"),
        ("results.json", '{"schema": 1'),
        ("results.json", {"objects": {}}),
        ("results.json", {"arms": {"fused": {"detection": {}}}}),
        ("results.json", {"arms": {"fused": {"detection": {"yolo": {}, "ci95": 3}}}}),
        ("results.json", {"protocol": {}}),
        ("config.yaml", "a: !!int ''"),
        ("config.yaml", "\0"),
    ],
)
def test_a_resumed_sweep_of_damaged_runs_is_one_line(swept, name, content):
    path = swept / "runs/toy-sweep/perturb.ir_noise=0" / name
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content)
    path.write_text(content)
    with pytest.raises((ConfigError, DataError), match=name) as error:
        sweep.sweep(swept / "toy.yaml", ["perturb.ir_noise=0,60", "run.resume=true"], quiet)
    assert "\n" not in str(error.value)

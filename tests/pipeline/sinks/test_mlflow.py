import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from common.errors import ConfigError, DataError
from pipeline.config import config
from pipeline.engine import runner
from pipeline.sinks import mlflow
from pipeline.sinks._tracking import Record, numbers, read_record
from tests.helpers import stand, toys
from tests.helpers.runs import execute

ROOT = Path(__file__).parents[3]
SINKS = {"log": {"kind": "mlflow"}, "results": {"kind": "results"}}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """What the sink sets for the library, put back afterwards; no waiting for servers."""
    for name, value in mlflow._ALWAYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # must not be asked


def runs(store="mlruns", experiment="irvis"):
    """All runs of a store, the first one first, and the client."""
    from mlflow import MlflowClient  # seconds, which only this process takes

    client = MlflowClient(tracking_uri=Path(store).resolve().as_uri())
    found = client.get_experiment_by_name(experiment)
    return client, client.search_runs([found.experiment_id], order_by=["start_time ASC"])


def test_the_library_is_not_the_sink():
    import mlflow as library

    assert hasattr(library, "MlflowClient")
    assert Path(library.__file__) != Path(mlflow.__file__)


def test_metrics_are_the_numbers_of_the_run(pairs):
    folder = execute(toys.settings(pairs, sinks=SINKS, evaluation={"quality": True})).folder
    client, (run,) = runs()
    results = json.loads((folder / "results.json").read_text())
    timing = json.loads((folder / "timing.json").read_text())
    assert run.data.metrics == numbers(read_record(folder, "log"))
    for arm, part in results["arms"].items():
        assert run.data.metrics[f"detection/{arm}/map50"] == part["detection"]["yolo"]["map50"]
    assert run.data.metrics["wall_s"] == timing["wall_s"]
    assert run.info.run_name == "toy"
    assert run.info.status == "FINISHED"
    seconds = (run.info.end_time - run.info.start_time) / 1000
    assert timing["wall_s"] <= seconds + 0.01 < timing["wall_s"] + 5
    protocol = results["protocol"]
    assert run.data.params["fingerprint"] == protocol["fingerprint"]
    assert run.data.params["arms"] == "fused, ir, vis, late"
    assert run.data.params["detector"] == "bright box, weights 0"
    assert run.data.params["arms.late.arms"] == '["ir", "vis"]'
    assert run.data.params["source.kind"] == "msrs"
    assert run.data.params["compute.batch"] == "4"
    assert run.data.tags["irvis.fingerprint"] == protocol["fingerprint"]
    assert run.data.tags["irvis.folder"] == str(folder.resolve())
    assert run.data.tags["irvis.version"] == protocol["versions"]["irvis"]
    assert results["warnings"][0] in run.data.tags["mlflow.note.content"]
    assert {entry.path for entry in client.list_artifacts(run.info.run_id)} == {*mlflow.ARTIFACTS}
    for name in mlflow.ARTIFACTS:
        copy = Path(client.download_artifacts(run.info.run_id, name))
        assert copy.read_bytes() == (folder / name).read_bytes()


def test_a_run_without_labels_or_detector(here):
    pairs = toys.write_pairs(here / "pairs", labels=False)
    execute(toys.settings(pairs, sinks=SINKS))
    execute(toys.settings(pairs, sinks=SINKS, arms={"f": {"kind": "maximum"}}, detector=None))
    _, (first, second) = runs()
    assert (first.info.run_name, second.info.run_name) == ("toy", "toy-2")
    for run in (first, second):
        assert run.data.metrics["frames/paired"] == 6
        assert not [n for n in run.data.metrics if n.startswith(("detection", "quality"))]
    assert second.data.params["detector"] == "none"


def test_arms_of_any_allowed_name(pairs):
    arms = {"0.a_B-c..": {"kind": "maximum"}, "a.kind": {"kind": "ir_only"}}
    folder = execute(toys.settings(pairs, arms=arms, sinks=SINKS)).folder
    _, (run,) = runs()
    assert run.data.metrics == numbers(read_record(folder, "log"))
    assert run.data.params["arms.0.a_B-c...kind"] == "maximum"
    assert run.data.params["arms.a.kind.kind"] == "ir_only"


@pytest.mark.parametrize("store", ["odd #1 %20 name", "~/store", "file:{}/store"])
def test_a_folder_and_an_experiment_of_the_users(pairs, monkeypatch, store):
    monkeypatch.setenv("HOME", str(pairs.parent))
    where = store.replace("~", str(pairs.parent)).removeprefix("file:").format(pairs.parent)
    sink = {"kind": "mlflow", "tracking_uri": store.format(pairs.parent), "experiment": "Straße 1"}
    execute(toys.settings(pairs, sinks={**SINKS, "log": sink}))
    assert len(runs(where, "Straße 1")[1]) == 1
    assert not Path("mlruns").exists()


def test_parameters_fit():
    results = {
        "protocol": {"fingerprint": "abc", "detector": None},
        "arms": {"ir": {}},
    }
    settings = {
        "perturb": {},
        "evaluation": {"classes": None, "quality": False},
        "own": {"odd/key: ?": "é", "../..": 1.5, "long": "x" * 9999, "k" * 300: [1, "ü"]},
    }
    text = yaml.safe_dump(settings, allow_unicode=True)
    found = mlflow.parameters(Record(results, {}, text))
    assert found == {
        "perturb": "{}",
        "evaluation.classes": "null",
        "evaluation.quality": "false",
        "own.odd_key_ _": "é",
        "own..._..": "1.5",
        "own.long": "x" * 500,
        "k" * 250: json.dumps([1, "ü"]),
        "arms": "ir",
        "detector": "none",
        "fingerprint": "abc",
    }


def test_more_than_one_request_holds(pairs):
    folder = execute(toys.settings(pairs)).folder
    results, settings = json.loads((folder / "results.json").read_text()), {}
    for i in range(180):
        results["arms"][f"arm{i}"] = results["arms"]["fused"]
        settings[f"arm{i}"] = {"kind": "maximum"}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "config.yaml").write_text(yaml.safe_dump({"arms": settings}))
    mlflow.build(mlflow.Config(), stand.context(folder), "log").publish("toy")
    _, (run,) = runs()
    assert len(run.data.metrics) > 1000
    assert run.data.metrics == numbers(read_record(folder, "log"))
    assert run.data.params["arms.arm179.kind"] == "maximum"


def test_passwords_are_shown_nowhere(pairs):
    secret = "http://me:secret@127.0.0.1:1/"
    sinks = {**SINKS, "log": {"kind": "mlflow", "tracking_uri": secret}}
    settings = config.check(toys.settings(pairs, sinks=sinks))
    with pytest.raises(DataError) as caught:
        runner.run(settings, lambda done, total: None)
    text = str(caught.value)
    assert text.startswith("sinks.log: MLflow can't log to http://***@127.0.0.1:1/ (")
    assert text.endswith("or leave it out with sinks.log=null")
    assert "secret" not in text
    assert "\n" not in text
    assert "secret" not in str(settings.dump()) + repr(settings)
    assert not list((pairs.parent / "runs").iterdir())  # before the run began


def test_an_address_that_is_none(pairs):
    sinks = {**SINKS, "log": {"kind": "mlflow", "tracking_uri": "localhost:5000"}}
    with pytest.raises(DataError, match="can't log to localhost:5000"):
        execute(toys.settings(pairs, sinks=sinks))


def test_a_run_that_cannot_be_logged_can_be_resumed(pairs, monkeypatch):
    from mlflow import MlflowClient

    def fail(*given):
        raise OSError("no space")

    settings = toys.settings(pairs, sinks=SINKS)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", fail)
        with pytest.raises(DataError, match=r"mlruns \(no space\).*sinks\.log=null.*toy\.partial"):
            execute(settings)
    assert runs()[1][0].info.status == "FAILED"
    resumed = execute({**settings, "run": {"name": "toy", "resume": True}}).folder
    assert read_record(resumed, "log").results["frames"]["paired"] == 6
    assert [run.info.status for run in runs()[1]] == ["FAILED", "FINISHED"]


def test_a_store_that_cannot_be_written(pairs):
    Path("mlruns").write_text("a file")
    with pytest.raises(DataError, match="MLflow can't log to mlruns "):
        execute(toys.settings(pairs, sinks=SINKS))
    assert not list((pairs.parent / "runs").iterdir())


def test_a_full_disk(pairs):
    folder = execute(toys.settings(pairs)).folder
    before = stand.files(folder)
    sink = mlflow.build(mlflow.Config(), stand.context(folder), "log")
    with stand.full_disk(400), pytest.raises(DataError, match="MLflow can't log to mlruns "):
        sink.publish("toy")
    assert stand.files(folder) == before


def test_a_run_without_results(pairs):
    with pytest.raises(ConfigError, match=r"sinks\.log: .*add sinks\.results\.kind=results"):
        execute(toys.settings(pairs, sinks={"log": {"kind": "mlflow"}}))


def test_the_runs_own_folder_is_refused_before_the_run(pairs):
    sinks = {**SINKS, "log": {"kind": "mlflow", "tracking_uri": "runs/toy/mlruns"}}
    with pytest.raises(ConfigError, match=r"sinks\.log\.tracking_uri: runs/toy/mlruns is the run"):
        execute(toys.settings(pairs, sinks=sinks))
    assert not list((pairs.parent / "runs").iterdir())


def test_a_missing_package_is_found_before_the_run(pairs, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        ConfigError, match=r"sinks\.log: mlflow-skinny is not .*pip install mlflow-"
    ):
        execute(toys.settings(pairs, sinks=SINKS))
    assert not list((pairs.parent / "runs").iterdir())


def test_a_missing_package_of_a_store(pairs, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    sinks = {**SINKS, "log": {"kind": "mlflow", "tracking_uri": "sqlite:///log.db"}}
    with pytest.raises(ConfigError, match=r"sinks\.log: sqlalchemy is not installed"):
        execute(toys.settings(pairs, sinks=sinks))


QUIET = """
import socket, sys

def connect(*given):
    print("connected", given, file=sys.stderr)
    raise OSError("no network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = connect
import pathlib, time
from pipeline.sinks import mlflow
from tests.helpers import stand

sink = mlflow.build(mlflow.Config(), stand.context(pathlib.Path(sys.argv[1])), "log")
sink.publish("toy")
time.sleep(1)
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
"""


@pytest.mark.slow
def test_it_is_quiet_and_asks_nobody(pairs):
    """In a process of its own: as a test, or in CI, the library sends no reports anyway."""
    folder = execute(toys.settings(pairs)).folder
    own = ("PYTEST", "MLFLOW", "DO_NOT", "CI")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    done = subprocess.run(
        [sys.executable, "-W", "always::FutureWarning", "-c", QUIET, str(folder)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(runs()[1]) == 1


class Late:
    """A store in which another run makes the experiment just before this one does."""

    def __init__(self, made):
        self._made, self._asked = made, 0

    def get_experiment_by_name(self, name):
        self._asked += 1
        return self._made if self._asked > 1 else None

    def create_experiment(self, name):
        raise RuntimeError(f"Experiment {name!r} already exists.")


def test_another_run_may_make_the_experiment_first():
    assert mlflow._experiment(Late(SimpleNamespace(experiment_id="7")), "irvis") == "7"
    with pytest.raises(RuntimeError, match="already exists"):
        mlflow._experiment(Late(None), "irvis")


@pytest.mark.parametrize("length", [100, 235, 240])
def test_long_names_of_arms(pairs, length):
    arms = {"a" * length: {"kind": "maximum"}}
    folder = execute(toys.settings(pairs, sinks=SINKS, arms=arms)).folder
    _, (run,) = runs()
    assert run.data.metrics["wall_s"] == json.loads((folder / "timing.json").read_text())["wall_s"]
    assert run.info.status == "FINISHED"

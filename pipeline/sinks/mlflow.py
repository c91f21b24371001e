"""The run in MLflow: parameters, metrics, tags and result files, logged at the end.

By default they go to the folder `mlruns` where irvis was started. No server is spoken to unless
`tracking_uri` names one; its user and password may be in MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD instead. MLflow's own reports of how it is used are off. While the run
works nothing is logged, so a resume needs nothing; a run that breaks off while it is logged is a
failed one in MLflow, and is logged anew after the resume.

Metrics have the names of ``pipeline.sinks._tracking.numbers``, parameters the dotted keys of the
configuration.
"""

import importlib
import json
import logging
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer

from common.component import SinkConfig
from common.errors import ConfigError, DataError, mask
from common.files import parse_yaml
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.folder import CONFIG
from pipeline.run_folder.results_file import NAME, legible
from pipeline.sinks._tracking import Record, check_outside, final_folder, numbers, read_record

if TYPE_CHECKING:
    from mlflow import MlflowClient

_Entry = TypeVar("_Entry")

FOLDER = "mlruns"
DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")  # which MLflow can write to directly
ARTIFACTS = ("results.json", "results.csv", CONFIG)
# Characters, and entries of one request, that every MLflow server takes.
KEY, VALUE, TAG, PARAMS, METRICS = 250, 500, 5000, 100, 1000
REASON = 300  # characters of what MLflow says, which may be pages

# The package reads these: no reports of its use, folders as stores (which it has but discourages),
# no addresses on the terminal; and seconds, not minutes, until a server counts as out of reach.
_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}

# Neither an error nor the copy of the settings in the run folder shows a password.
Address = Annotated[str, Field(min_length=1, repr=False), PlainSerializer(mask)]


class Config(SinkConfig):
    """Where the run is logged."""

    needs_results = True

    tracking_uri: Address = Field(
        FOLDER, description="a folder, or an address as MLflow has them: http://host:5000"
    )
    experiment: str = Field(
        "irvis", min_length=1, max_length=500, description="made where it isn't there"
    )


def build(config: Config, context: RunContext, name: str) -> "MlflowSink":
    """The sink; what it logs to is asked for the experiment.

    Raises:
        ConfigError: A package isn't installed, or the folder is the run's own.
        DataError: What it logs to can't be reached.
    """
    uri = config.tracking_uri
    if ":" not in uri:
        folder = Path(uri).expanduser()
        check_outside(folder, context, f"sinks.{name}.tracking_uri")
        uri = folder.resolve().as_uri()
    with _asking(config, name):
        os.environ.update(_ALWAYS)
        for variable, value in _DEFAULTS.items():
            os.environ.setdefault(variable, value)
        if uri.startswith(DATABASES):  # without it, MLflow says that it knows no such address
            importlib.import_module("sqlalchemy")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        experiment = _experiment(client, config.experiment)
    return MlflowSink(config, context, name, client, experiment)


def _experiment(client: "MlflowClient", name: str) -> str:
    """The experiment's id; it is made if it isn't there."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except Exception:  # each kind of store has its own; another run may have been quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


class MlflowSink(Sink):
    """Logs the run when all else is written."""

    def __init__(
        self,
        config: Config,
        context: RunContext,
        name: str,
        client: "MlflowClient",
        experiment: str,
    ) -> None:
        self._config, self._context, self._name = config, context, name
        self._client, self._experiment = client, experiment

    def publish(self, name: str) -> None:
        """Log the run.

        Raises:
            ConfigError: The run has no sink of kind results, whose numbers are logged.
            DataError: What it logs to can't be reached or written, or the run's files were changed.
        """
        record = read_record(self._context.folder, self._name)
        with legible(self._context.folder / NAME):
            measured, settings, about = numbers(record), parameters(record), self._tags(record)
            start = round(1000 * (time.time() - record.timing["wall_s"]))  # milliseconds
        with _asking(self._config, self._name):
            run = self._client.create_run(
                self._experiment, start_time=start, tags=about, run_name=name
            )
            try:
                self._log(run.info.run_id, measured, settings)
            except BaseException:
                with suppress(Exception):  # the first error is the one that counts
                    self._client.set_terminated(run.info.run_id, "FAILED")
                raise
            self._client.set_terminated(run.info.run_id)

    def _log(self, run: str, measured: Mapping[str, float], settings: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, Param

        now = round(1000 * time.time())
        metrics = [
            Metric(name[-KEY:].lstrip("/"), value, now, 0) for name, value in measured.items()
        ]
        params = [Param(key, value) for key, value in settings.items()]
        for some in _batches(params, PARAMS):
            self._client.log_batch(run, params=some)
        for many in _batches(metrics, METRICS):
            self._client.log_batch(run, metrics=many)
        for file in ARTIFACTS:
            self._client.log_artifact(run, str(self._context.folder / file))

    def _tags(self, record: Record) -> dict[str, str]:
        """What one looks a run up by; the warnings are MLflow's description of it."""
        protocol = record.results["protocol"]
        tags = {
            "irvis.folder": str(final_folder(self._context).resolve()),
            "irvis.version": protocol["versions"]["irvis"],
            "irvis.preset": protocol["preset"],
            "irvis.fingerprint": record.fingerprint,
        }
        if record.results["warnings"]:
            tags["mlflow.note.content"] = "\n".join(f"- {w}" for w in record.results["warnings"])
        return {key: value[:TAG] for key, value in tags.items()}


def parameters(record: Record) -> dict[str, str]:
    """The configuration by dotted key, and what identifies the run; keys and values as MLflow's."""
    protocol = record.results["protocol"]
    detector = protocol["detector"]
    settings = {
        **dict(_flat(_settings(record.configuration))),
        "arms": ", ".join(record.results["arms"]),
        "detector": "none"
        if detector is None
        else f"{detector['network']}, weights {detector['weights_sha256']}",
        "fingerprint": record.fingerprint,
    }
    return {re.sub(r"[^\w. -]", "_", key)[-KEY:]: value[:VALUE] for key, value in settings.items()}


def _settings(text: str) -> Mapping[str, Any]:
    """The run's configuration."""
    try:
        settings = parse_yaml(text)
    except ValueError as error:
        raise DataError(f"{CONFIG}: was changed while the run worked ({error})") from error
    if not isinstance(settings, dict):
        raise DataError(f"{CONFIG}: was changed while the run worked, and holds no sections")
    return settings


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and values of nested settings; what is no text is as in JSON."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            yield f"{before}{key}", text


def _batches(items: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    return (items[i : i + size] for i in range(0, len(items), size))


@contextmanager
def _asking(config: Config, sink: str) -> Iterator[None]:
    """A block that speaks with MLflow, which for its part says nothing on the terminal.

    Raises:
        ConfigError: A package isn't installed.
        DataError: Anything else that went wrong, as one line without passwords.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except ImportError as error:
        package = "mlflow-skinny" if error.name == "mlflow" else error.name
        raise ConfigError(
            f"sinks.{sink}: {package} is not installed; `.venv/bin/pip install {package}`"
        ) from error
    except Exception as error:  # each kind of store raises what its own libraries do
        reason = shorten(mask(str(error)), REASON, placeholder=" ...")
        raise DataError(
            f"sinks.{sink}: MLflow can't log to {mask(config.tracking_uri)} ({reason}); mend it, "
            f"or leave it out with sinks.{sink}=null"
        ) from error
    finally:
        logging.disable(before)

"""The run in MLflow: parameters, metrics, tags and result files, logged at the end.

By default they go to the folder `mlruns` in the working directory. No server is contacted unless
`tracking_uri` names one; its user and password may be in MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD instead. MLflow's telemetry is off. Nothing is logged before the end of the
run; a run that is interrupted during logging is marked as failed in MLflow, and logged again after
a resume.

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
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer

from common.component import SinkConfig
from common.errors import ConfigError, DataError, mask
from common.files import expand, parse_yaml
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.names import CONFIG, RESULTS, RESULTS_TABLE
from pipeline.run_folder.results_file import legible
from pipeline.sinks._tracking import Record, check_outside, final_folder, numbers, read_record

if TYPE_CHECKING:
    from mlflow import MlflowClient

_Entry = TypeVar("_Entry")

FOLDER = "mlruns"
DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")  # which MLflow can write to directly
ARTIFACTS = (RESULTS, RESULTS_TABLE, CONFIG)
# Characters, and entries of one request, that every MLflow server takes.
KEY, VALUE, TAG, PARAMS, METRICS = 250, 500, 5000, 100, 1000
REASON = 300  # characters of MLflow's messages, at most

# Environment variables of MLflow: no telemetry, folders as stores (deprecated there), no addresses
# on the terminal, and short timeouts.
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

    reads_images = reads_frames = False
    needs_results = True

    tracking_uri: Address = Field(
        FOLDER, description="a folder, or an address as MLflow has them: http://host:5000"
    )
    experiment: str = Field(
        "irvis", min_length=1, max_length=500, description="created if it doesn't exist"
    )


def build(config: Config, context: RunContext, name: str) -> "MlflowSink":
    """The sink; looks the experiment up in the store.

    Raises:
        ConfigError: A package isn't installed, or the folder is the run's own.
        DataError: The store can't be reached.
    """
    uri = config.tracking_uri
    if ":" not in uri:
        folder = expand(uri)
        check_outside(folder, context, f"sinks.{name}.tracking_uri")
        uri = folder.resolve().as_uri()
    with _asking(config, name):
        os.environ.update(_ALWAYS)
        for variable, value in _DEFAULTS.items():
            os.environ.setdefault(variable, value)
        if uri.startswith(DATABASES):  # MLflow's own message for its absence is misleading
            importlib.import_module("sqlalchemy")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        experiment = _experiment(client, config.experiment)
    return MlflowSink(config, context, name, client, experiment)


def _experiment(client: "MlflowClient", name: str) -> str:
    """The experiment's id; creates it if it doesn't exist."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name))
        except Exception:  # another run may have created it meanwhile; types differ by store
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


class MlflowSink(Sink):
    """Logs the run at its end."""

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
            ConfigError: The run has no sink of kind results.
            DataError: The store can't be reached or written, or the run's files were changed.
        """
        record = read_record(self._context.folder, self._name)
        with legible(self._context.folder / RESULTS):
            metrics, settings, tags = numbers(record), parameters(record), self._tags(record)
            start = round(1000 * (time.time() - record.timing["wall_s"]))  # milliseconds
        with _asking(self._config, self._name):
            run = self._client.create_run(
                self._experiment, start_time=start, tags=tags, run_name=name
            )
            try:
                self._log(run.info.run_id, metrics, settings)
            except BaseException:
                with suppress(Exception):  # the first error is raised
                    self._client.set_terminated(run.info.run_id, "FAILED")
                raise
            self._client.set_terminated(run.info.run_id)

    def _log(self, run: str, metrics: Mapping[str, float], settings: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, Param

        now = round(1000 * time.time())
        entities = [
            Metric(name[-KEY:].lstrip("/"), value, now, 0) for name, value in metrics.items()
        ]
        params = [Param(key, value) for key, value in settings.items()]
        for param_batch in _batches(params, PARAMS):
            self._client.log_batch(run, params=param_batch)
        for metric_batch in _batches(entities, METRICS):
            self._client.log_batch(run, metrics=metric_batch)
        for file in ARTIFACTS:
            self._client.log_artifact(run, str(self._context.folder / file))

    def _tags(self, record: Record) -> dict[str, str]:
        """The run's tags; its description in MLflow is the list of warnings."""
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
    """The configuration by dotted key and the run's identity, within MLflow's limits."""
    protocol = record.results["protocol"]
    detector = protocol["detector"]
    settings = {
        **dict(_flat(_settings(record.configuration))),
        "arms": ", ".join(record.results["arms"]),
        "detector": "none"
        if detector is None
        else f"{detector.get('network', '')}, weights {detector.get('weights_sha256', 'none')}",
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
    """Dotted keys and values of nested settings; values other than strings as JSON."""
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
    """Silence MLflow's output in this block, and convert its errors.

    Raises:
        ConfigError: A package isn't installed.
        DataError: Any other error, as one line without passwords.
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
    except Exception as error:  # types differ by store
        reason = shorten(mask(str(error)), REASON, placeholder=" ...")
        raise DataError(
            f"sinks.{sink}: MLflow can't log to {mask(config.tracking_uri)} ({reason}); fix it, "
            f"or leave it out with sinks.{sink}=null"
        ) from error
    finally:
        logging.disable(before)

"""The run's numbers for TensorBoard: one event file, written at the end.

By default it is `<sink>/` in the run folder: `tensorboard --logdir runs` shows all runs. With
`folder` it is in `<folder>/<run>/`, or `<run>-2` if another run of that name is there. A resumed
run replaces its file. Nothing is written before the end of the run.

Scalars have the names of ``pipeline.sinks._tracking.numbers``, step 0 and float32. The protocol's
fingerprint, the warnings and the configuration are texts.
"""

import hashlib
import importlib
import io
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator

from common.component import SinkConfig
from common.errors import ConfigError
from common.files import expand, writing
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.names import RESULTS
from pipeline.run_folder.results_file import legible
from pipeline.sinks._tracking import check_outside, final_folder, numbers, read_record


class Config(SinkConfig):
    """Folder of the event file."""

    reads_images = reads_frames = False
    needs_results = True

    folder: Path | None = Field(
        None, description="of several runs, side by side; default: in the run folder"
    )

    @field_validator("folder")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return None if path is None else expand(path)


def build(config: Config, context: RunContext, name: str) -> "TensorBoardSink":
    """The sink.

    Raises:
        ConfigError: TensorBoard isn't installed, or the folder is the run's own.
    """
    try:
        importlib.import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise ConfigError(
            f"sinks.{name}: tensorboard is not installed; `.venv/bin/pip install tensorboard`, "
            "which irvis[tracking] brings too"
        ) from error
    if config.folder is not None:
        check_outside(config.folder / final_folder(context).name, context, f"sinks.{name}.folder")
    return TensorBoardSink(config.folder, context, name)


class TensorBoardSink(Sink):
    """Writes the event file at the end."""

    def __init__(self, folder: Path | None, context: RunContext, name: str) -> None:
        self._folder, self._context, self._name = folder, context, name

    def publish(self, name: str) -> None:
        """Write the event file.

        Raises:
            ConfigError: The run has no sink of kind results, whose numbers are logged.
            DataError: The file can't be written, or the run's files were changed.
        """
        record = read_record(self._context.folder, self._name)
        settings = record.configuration.split("\n")
        with legible(self._context.folder / RESULTS):
            texts = {
                "fingerprint": record.fingerprint,
                "warnings": "\n".join(f"- {warning}" for warning in record.results["warnings"]),
                "configuration": "\n".join(f"    {line}" for line in settings),
            }
            scalars = numbers(record)
        events = encode(scalars, {tag: text for tag, text in texts.items() if text})
        path = self._path(name)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name("draft")  # a name that TensorBoard doesn't read
            draft.write_bytes(events)
            draft.replace(path)

    def _path(self, run: str) -> Path:
        """The event file; its name has a hash of the run folder, since run names may repeat."""
        where = str(final_folder(self._context).resolve())
        file = f"events.out.tfevents.{hashlib.sha256(where.encode()).hexdigest()[:12]}"
        if self._folder is None:
            return self._context.folder / self._name / file
        number, path = 1, self._folder / run / file
        while path.parent.exists() and not path.exists():
            number += 1
            path = self._folder / f"{run}-{number}" / file
        return path


def encode(scalars: Mapping[str, float], texts: Mapping[str, str]) -> bytes:
    """An event file. Texts are Markdown.

    Not written by ``SummaryWriter``, whose own thread prints a traceback if the disk is full.
    """
    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
    from torch.utils.tensorboard import RecordWriter, summary

    now = time.time()
    events = [Event(wall_time=now, file_version="brain.Event:2")]
    parts = [summary.scalar(tag, value) for tag, value in scalars.items()]  # type: ignore[no-untyped-call]
    parts += [summary.text(tag, text) for tag, text in texts.items()]  # type: ignore[no-untyped-call]
    events += [Event(wall_time=now, step=0, summary=part) for part in parts]
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()

"""What a run's source warned of, which belongs to the results."""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from common.errors import one_line
from common.files import load_json, write_json
from pipeline.run_folder.names import SAID
from pipeline.run_folder.sink_files import damaged

_LOGGER = logging.getLogger("pipeline")
_MOST = 100  # of a camera that is lost again and again
_Lines = TypeAdapter(list[tuple[str, str]])


class Said(logging.Handler):
    """Keeps the warnings of a run, each text once, also those of the interrupted run.

    Every part of a source warns by its module's logger, from decoding threads too. This listens to
    all of them, so that none can be forgotten; see ``listening``.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._threads: dict[str, str] = {}  # name of the thread by text
        self._path: Path | None = None
        self._own = threading.current_thread().name
        self._speaker = ""  # for whom the run's own thread speaks; it itself comes first

    def texts(self) -> tuple[str, ...]:
        """The warnings in their order, thread after thread: those of two threads race."""
        return tuple(sorted(self._threads, key=lambda text: self._threads[text]))

    def threads(self) -> list[tuple[str, str]]:
        """The thread and the text of each warning, in their order; for ``add``."""
        return [(thread, text) for text, thread in self._threads.items()]

    def add(self, threads: Iterable[tuple[str, str]]) -> None:
        """Add what another process heard, as if it had been said here."""
        for thread, text in threads:
            self._add(text, thread)

    def keep(self, folder: Path) -> None:
        """Write the warnings to a partial folder from now on, after those that it has.

        Raises:
            errors.DataError: The file is damaged, or can't be written.
        """
        path = folder / SAID
        try:
            before = _Lines.validate_python(load_json(path)) if path.is_file() else []
        except ValidationError as error:
            raise damaged(path, "no list of warnings") from error
        self._threads = {text: thread for thread, text in before} | self._threads
        self._path = path
        self._write()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        thread = record.threadName or ""
        speaker = self._speaker if thread == self._own else thread
        self._add(one_line(record.getMessage()), speaker)

    @contextmanager
    def speaking_as(self, thread: str) -> Iterator[None]:
        """Order what the run's own thread says in the block as if another one said it."""
        self._speaker = thread
        try:
            yield
        finally:
            self._speaker = ""

    def _add(self, text: str, thread: str) -> None:
        if text not in self._threads and len(self._threads) < _MOST:
            self._threads[text] = thread
            self._write()

    def _write(self) -> None:
        if self._path is not None and self._threads:
            write_json(self._path, [[thread, text] for text, thread in self._threads.items()])


@contextmanager
def listening() -> Iterator[Said]:
    """Keep the warnings of the block."""
    said = Said()
    _LOGGER.addHandler(said)
    try:
        yield said
    finally:
        _LOGGER.removeHandler(said)

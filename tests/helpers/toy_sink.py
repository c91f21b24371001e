"""A sink that fails where a test wants it to.

It is a component of the user's own: `kind: tests.helpers.toy_sink`.
"""

import errno
from typing import Literal

from pydantic import BaseModel, ConfigDict

from common.errors import DataError
from pipeline.interfaces import Sink


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Literal["build", "write", "flush", "finish", "exit"]
    how: Literal["full", "bug", "data"] = "full"
    pair: int = 0  # whose write fails


def build(config, context, name):
    if config.at == "build":
        fail(config.how)
    return FailingSink(config)


def fail(how):
    raise {
        "full": OSError(errno.ENOSPC, "No space left on device", "/full/disk"),
        "bug": RuntimeError("the sink has a bug"),
        "data": DataError("the sink: cannot be written"),
    }[how]


class FailingSink(Sink):
    opened = []  # those that nobody has closed

    def __init__(self, config):
        self._config = config

    def write(self, result):
        if self._config.at == "write" and result.number == self._config.pair:
            fail(self._config.how)

    def flush(self):
        if self._config.at == "flush":
            fail(self._config.how)

    def finish(self, summary):
        if self._config.at == "finish":
            fail(self._config.how)

    def __enter__(self):
        self.opened.append(self)
        return self

    def __exit__(self, *error):
        self.opened.remove(self)
        if self._config.at == "exit":
            fail(self._config.how)

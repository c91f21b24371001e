"""In this process, by threads of its own."""

from common.component import EngineConfig
from pipeline.engine.direct import Direct
from pipeline.engine.stream import Stream, Task
from pipeline.run_folder.names import LEDGER


class Config(EngineConfig):
    """Where a batch ends, as on a cluster."""


def build(config: Config) -> "LocalEngine":
    """The engine."""
    return LocalEngine()


class LocalEngine:
    """Computes all pairs in this process."""

    def open(self, task: Task) -> Stream:
        """The results of a run."""
        return Direct(
            task.config,
            task.source,
            task.arms,
            task.compute,
            task.folder.path / LEDGER,
            register=task.register,
            fail=task.fail,
            shard=task.shard,
            done=task.folder.done,
        )

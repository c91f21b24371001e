"""On a Ray cluster, or by several processes of this machine; see docs/cluster.md."""

import torch
from pydantic import Field

from common.component import EngineConfig
from common.errors import ConfigError
from pipeline.engine.order import order_of
from pipeline.engine.sharded import Sharded
from pipeline.engine.stream import Stream, Task

INSTALL = "pip install -e '.[cluster]'"


class Config(EngineConfig):
    """How many workers compute, and where."""

    workers: int | None = Field(
        None, ge=1, le=100_000, description="processes; default as many as there is room for"
    )
    gpus: float | None = Field(
        None, ge=0, le=64, description="of a worker; default 1 where compute.device is a GPU"
    )
    address: str | None = Field(
        None, description="of the cluster's head, HOST:PORT; default: this machine alone"
    )
    mixed: bool = Field(
        False, description="allow other processors and versions than the driver's: other last bits"
    )


def build(config: Config) -> "RayEngine":
    """The engine.

    Raises:
        ConfigError: Ray isn't installed.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"compute.engine.kind: ray is not installed; `{INSTALL}`, or use local"
        ) from error
    return RayEngine(config)


class RayEngine:
    """Lets Ray's actors compute the shards."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def open(self, task: Task) -> Stream:
        """The results of a run; the cluster is asked when the first is needed."""
        # imported now: a run on this machine needs no ray
        from pipeline.engine.engines._ray_workers import RayWorkers

        if not task.source.resumable:
            raise ConfigError(
                "compute.engine.kind: live cameras are on one machine; use local for them"
            )
        order = order_of(task)
        device = task.compute.device
        gpus = self._config.gpus
        if gpus is None:
            gpus = 1.0 if device.type == "cuda" else 0.0
        workers = RayWorkers(
            order,
            workers=self._config.workers,
            threads=torch.get_num_threads(),
            gpus=gpus,
            address=self._config.address,
            mixed=self._config.mixed,
            said=task.said,
        )
        return Sharded(task, workers, order.kept)

"""Workers that are actors of Ray."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from common.errors import ConfigError, one_line
from pipeline.engine.dispatch import Event
from pipeline.engine.nodes import check_node
from pipeline.engine.order import Order
from pipeline.engine.said import Said
from pipeline.engine.shard_worker import Worker
from pipeline.shard import Shard

REACHED_S = 10.0  # longest wait for a connection to the cluster's head
STORE = 100 << 20  # bytes of Ray's object store on this machine: no images are in it
LOOPBACK = "127.0.0.2"  # Ray takes another address of the machine in place of 127.0.0.1
PORT = 6379  # Ray's own default
QUIET: Mapping[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


class RayWorkers:
    """Actors, each with the threads of the driver; see ``dispatch.Workers``."""

    def __init__(
        self,
        order: Order,
        *,
        workers: int | None,
        threads: int,
        gpus: float,
        address: str | None,
        mixed: bool,
        said: Said,
    ) -> None:
        """Begin; nothing is started yet.

        Args:
            order: What all workers are told.
            workers: How many; None for as many as there is room for.
            threads: Of each, to compute in.
            gpus: Of each.
            address: Of the cluster's head; None to start Ray on this machine.
            mixed: Whether nodes may have other processors and versions than this one.
            said: Receives a warning about each such difference.
        """
        self._order, self._wanted, self._threads, self._gpus = order, workers, threads, gpus
        self._address, self._mixed, self._said = address, mixed, said
        self._count = 0
        self._own = False  # whether this started Ray, and ends it
        self._actors: dict[int, Any] = {}
        self._results: dict[Any, tuple[int, bool]] = {}  # slot, whether it was prepared

    @property
    def count(self) -> int:
        """How many workers there may be."""
        if not self._count:
            self._connect()
            self._count = self._room()
            self._told = ray.put(self._order)
            self._actor = ray.remote(
                num_cpus=self._threads,
                num_gpus=self._gpus,
                max_restarts=0,
                runtime_env={"env_vars": {"OMP_NUM_THREADS": str(self._threads)}},
            )(Worker)
        return self._count

    def start(self, slot: int) -> None:
        """Start an actor and let it prepare."""
        actor = self._actors[slot] = self._actor.remote(self._told)
        self._results[actor.prepare.remote()] = slot, False

    def give(self, slot: int, shard: Shard, path: Path, final: Path) -> None:
        """Let an actor compute a shard."""
        result = self._actors[slot].work.remote(shard, str(path), str(final))
        self._results[result] = slot, True

    def events(self, timeout_s: float) -> Sequence[Event]:
        """What became of the actors."""
        waiting = list(self._results)
        ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout_s) if waiting else ([], [])
        return [self._event(result) for result in ready]

    def close(self) -> None:
        """End the actors, and Ray if this started it."""
        for actor in self._actors.values():
            ray.kill(actor)
        self._actors.clear()
        self._results.clear()
        if self._own:
            ray.shutdown()
            self._own = False

    def _event(self, result: Any) -> Event:  # noqa: ANN401  (Ray's reference)
        slot, prepared = self._results.pop(result)
        try:
            value = ray.get(result)
        except ray.exceptions.RayTaskError as error:
            # a bug, or a node without the project: its traceback is long, its end says what it is
            lines = str(error).strip().splitlines()
            return Event(slot, "ended", one_line(lines[-1]) if lines else "an unknown error")
        except ray.exceptions.RayError as error:
            del self._actors[slot]
            return Event(slot, "died", f"its worker died ({why_died(error)})")
        if prepared:
            return Event(slot, "ended", value)
        check_node(value, mixed=self._mixed, said=self._said)
        return Event(slot, "ready")

    def _connect(self) -> None:
        """Connect to the cluster, or start Ray on this machine.

        Raises:
            ConfigError: The cluster can't be reached.
        """
        if ray.is_initialized():
            return
        if self._address is None:
            cores = len(os.sched_getaffinity(0))
            start(max(cores, (self._wanted or 1) * self._threads))
        else:
            reach(self._address)
            try:
                ray.init(address=self._address, **QUIET)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _unreachable(self._address, _reason(error)) from error
        self._own = True

    def _room(self) -> int:
        """How many workers there are room for.

        Raises:
            ConfigError: There is none, or fewer than wanted.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = sum(self._fit(node) for node in nodes)
        need = f"{self._threads} cores" + (f" and {self._gpus:g} GPUs" if self._gpus else "")
        if room == 0:
            raise ConfigError(
                f"compute.engine: no node has {need} for a worker; set compute.threads or "
                "compute.engine.gpus"
            )
        if self._wanted is not None and self._wanted > room:
            raise ConfigError(
                f"compute.engine.workers: {self._wanted} of {need} each don't fit, there is room "
                f"for {room}"
            )
        return self._wanted or room

    def _fit(self, node: Mapping[str, float]) -> int:
        fit = int(node.get("CPU", 0) // self._threads)
        return min(fit, int(node.get("GPU", 0) // self._gpus)) if self._gpus else fit


def start(cores: int) -> None:
    """Start Ray on this machine, where no other machine can reach it, for so many cores."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell its makers
    # else other programs would come before its workers, as they don't in one process
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (as Ray spells it)
    ray.init(
        address="local",
        num_cpus=cores,
        include_dashboard=False,
        object_store_memory=STORE,
        _node_ip_address=LOOPBACK,
        **QUIET,
    )


def reach(address: str) -> None:
    """Check that something listens at an address: Ray itself would wait for ever."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address.startswith("ray://") or not (host and port.isdecimal()):
        raise ConfigError(
            "compute.engine.address: must be HOST:PORT of the head as `ray start --head` prints "
            f"it, usually with port {PORT}"
        )
    try:
        socket.create_connection((host, int(port)), REACHED_S).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from error


def why_died(error: Exception) -> str:
    """Why an actor died, as far as Ray knows."""
    text = str(error)
    if "low on memory" in text:  # as Ray says it, among much else
        return "memory of its node is short"
    if "creation task" in text or not isinstance(error, ray.exceptions.RayActorError):
        return _reason(error)  # an exception: of a node without the project, or of Ray itself
    return "killed, out of memory or crashed"


def _unreachable(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"compute.engine.address: no cluster can be reached at {address} ({reason}); start one "
        f"with `ray start --head --port={PORT}`, set RAY_AUTH_MODE=token if it wants a token, or "
        "leave the address out"
    )


def _reason(error: Exception) -> str:
    """The line of Ray's long messages that says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else type(error).__name__

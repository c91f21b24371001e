"""The results of pairs that this process computes."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from pipeline.config.config import Config
from pipeline.engine.admission import Admission
from pipeline.engine.compute import Arms, Compute
from pipeline.engine.flow import Done, Flow
from pipeline.engine.ledger import Ledger
from pipeline.engine.preparation import Preparation
from pipeline.engine.stream import Stream
from pipeline.geometry.registration import Register
from pipeline.interfaces import Source, Summary


class Direct(Stream):
    """Decodes, prepares and computes in threads of this process; see ``Flow``."""

    def __init__(
        self,
        config: Config,
        source: Source,
        arms: Arms,
        compute: Compute,
        ledger: Path,
        *,
        register: Register | None,
        fail: bool,
        shard: int,
        done: int = 0,
    ) -> None:
        """Begin.

        Args:
            config: The run's.
            source: The pairs.
            arms: Every arm.
            compute: Computes batches.
            ledger: File of the frames that become no normal pair.
            register: The registration of the pairs; None without a calibration.
            fail: Whether a bad pair ends the run.
            shard: Stills in a shard.
            done: Number of first pairs that are not computed again.

        Raises:
            DataError: The ledger can't be written.
        """
        self._compute, self._stack = compute, ExitStack()
        entries = self._stack.enter_context(Ledger(ledger))
        self._admission = Admission(config, source, arms, entries, fail=fail, register=register)
        self._flow = Flow(
            source,
            self._admission,
            Preparation(config.perturb, register),
            compute,
            batch=config.compute.batch,
            done=done,
            shard=shard,
        )
        self._stack.enter_context(self._flow)

    def __iter__(self) -> Iterator[Done]:
        return iter(self._flow)

    @property
    def first_reason(self) -> str:
        """Why the first bad pair was left out."""
        return self._admission.first_reason

    def summary(self) -> Summary:
        """All counts."""
        return self._admission.summary()

    @property
    def busy(self) -> Mapping[str, float]:
        """Busy seconds by part."""
        return self._compute.clock.busy

    def ms_per_pair(self) -> dict[str, dict[str, float]]:
        """Milliseconds per pair of each arm, without the first batch (warm-up)."""
        return self._compute.ms_per_pair()

    def times(self, write_s: float) -> dict[str, dict[str, float]]:
        """Busy and waiting seconds of each stage."""
        return self._flow.times(write_s)

    def __exit__(self, *error: object) -> None:
        self._stack.close()

"""Works through shards in a process of its own: the flow of a run, into the folder of a try."""

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

from common.device import choose_device
from common.errors import IrvisError
from common.files import write_json
from common.threads import computing_in
from eval.class_names import COCO_NAMES
from pipeline.config import config
from pipeline.engine.building import build_arms, build_source
from pipeline.engine.compute import Compute
from pipeline.engine.detector import build_detector, build_detectors
from pipeline.engine.direct import Direct
from pipeline.engine.nodes import versions
from pipeline.engine.order import Order
from pipeline.engine.said import listening
from pipeline.engine.sent_weights import with_weights
from pipeline.engine.shard_log import ShardLog
from pipeline.geometry.registration import Register, read
from pipeline.interfaces import Source, Summary
from pipeline.run_folder.names import LEDGER
from pipeline.run_folder.shard_folder import PROGRESS, finish
from pipeline.shard import Shard

OUTCOME = "outcome.json"
INTERVAL_S = 0.5  # between two writings of a shard's progress


class Worker:
    """Builds arms and detector once, and computes one shard after the other."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._source: Source | None = None

    def prepare(self) -> dict[str, Any]:
        """Build everything; ``problem`` tells what this node lacks, empty if nothing.

        Called once, before ``work``.
        """
        about: dict[str, Any] = {"node": platform.node(), "versions": versions(), "problem": ""}
        try:
            self._build()
        except IrvisError as error:
            about["problem"] = str(error)
        return about

    def _build(self) -> None:
        order = self._order
        if Path(order.here).is_dir():
            os.chdir(order.here)
        sys.path.extend(path for path in order.paths if path not in sys.path)
        settings = with_weights(order.settings, order.weights)
        self._config = config.check(settings)
        with computing_in(self._config.compute.threads):
            self._device = choose_device(self._config.compute.device)
            self._config, self._detector = build_detector(self._config, self._device)
            self._detectors = build_detectors(self._config, self._detector, self._device)
            self._arms = build_arms(self._config, self._device)
        registration = self._config.registration
        self._register = None if registration is None else Register(read(registration.calibration))
        self._source = self._new_source()

    def work(self, shard: Shard, path: str, final: str) -> str:
        """Compute a shard; returns why it failed, empty if it didn't.

        Args:
            shard: Which one.
            path: The folder of this try, made here.
            final: The folder of the shard.
        """
        try:
            with computing_in(self._config.compute.threads), listening() as said:
                outcome = self._work(shard, Path(path))
            outcome["said"] = said.threads()
            write_json(Path(path) / OUTCOME, outcome)
            about = {
                "pairs": outcome["pairs"],
                "threads": torch.get_num_threads(),
                "dtype": self._config.compute.dtype,
                "versions": versions(),
            }
            finish(Path(path), Path(final), about)
        except (IrvisError, OSError) as error:
            return f"{platform.node()}: {error}"
        return ""

    def _work(self, shard: Shard, path: Path) -> dict[str, Any]:
        """Write the files of a shard; returns its counts and times."""
        path.mkdir(parents=True)
        whole = self._source or self._new_source()
        source = whole.shard(shard)
        # a source that is one shard can be iterated only once
        self._source = None if source is whole else whole
        source.register = self._register
        compute = Compute(
            self._arms,
            self._detectors,
            device=self._device,
            batch=self._config.compute.batch,
            quality=self._config.evaluation.quality,
        )
        direct = Direct(
            self._config,
            source,
            self._arms,
            compute,
            path / LEDGER,
            register=self._register,
            fail=self._order.fail,
            shard=self._config.shard,
        )
        pairs, told, write_s = 0, time.monotonic(), 0.0
        with source, direct as stream, ShardLog(path, self._order.kept) as log:
            for pairs, results in stream:
                start = time.monotonic()
                log.write(results)
                if start - told > INTERVAL_S:
                    write_json(path / PROGRESS, pairs)
                    told = start
                write_s += time.monotonic() - start
            return {
                "pairs": pairs,
                "observed": source.observed(),
                **_plain(direct.summary()),
                "first_reason": direct.first_reason,
                "busy": dict(direct.busy),
                "stages": direct.times(write_s),
                "ms_per_pair": direct.ms_per_pair(),
            }

    def _new_source(self) -> Source:
        names = COCO_NAMES if self._detector is None else self._detector.names
        return build_source(self._config, names)


def _plain(summary: Summary) -> dict[str, Any]:
    """The counts of a shard; those of the label files, which are the whole source's, left out."""
    return {
        "frames": dict(summary.frames),
        "objects": summary.objects,
        "labelled_objects": summary.labelled_objects,
        "leaked": {name: list(keys) for name, keys in summary.leaked.items()},
        "timing": summary.timing,
        "own": {
            camera: {"objects": own.objects, "labelled_objects": own.labelled_objects}
            for camera, own in summary.own_labels.items()
        },
    }

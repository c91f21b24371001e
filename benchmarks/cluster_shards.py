"""Shards with random detections, and the run that joins and scores them; see `cluster.py`."""

import os
import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from common.component import EngineConfig
from common.files import write_json
from detection.boxes import Detections
from eval.bootstrap import bootstrap
from eval.labels import Labels
from pipeline.config import config
from pipeline.engine import runner
from pipeline.engine.evaluation import evaluate
from pipeline.engine.order import Order
from pipeline.engine.shard_log import Kept, ShardLog
from pipeline.engine.shard_worker import OUTCOME, Worker
from pipeline.engine.sharded import Sharded
from pipeline.frames import Frame, FramePair, Item, Result
from pipeline.images import write_png
from pipeline.interfaces import Source
from pipeline.run_folder.names import LEDGER
from pipeline.run_folder.shard_folder import finish
from pipeline.shard import Shard

SIZE = (480, 640)
LABELS = 8  # of a pair
SHARD, BATCH = 512, 4
MADE = {"pairs": 0, "detections": 0, "arms": 0}


class Config(EngineConfig):
    """Nothing to set; also the settings of the source and of the detector."""

    pairs: int = 0


def build(config, names=None, device=None):
    """The engine, the source or the detector, all without any work."""
    return Detector() if device is not None else Pairs() if names is not None else Engine()


class Pairs(Source):
    """Pairs that exist as their shards alone."""

    has_labels = True

    @property
    def count(self):
        return MADE["pairs"]

    def shards(self, pairs):
        return [Shard(n, n + SHARD) for n in range(0, MADE["pairs"], SHARD)]


class Detector:
    names = {0: "person", 2: "car"}
    fingerprint = {"network": "random"}

    def input_shape(self, size):
        return size


class Engine:
    def open(self, task):
        return Sharded(task, Writers(task), Kept())


class Writers:
    """Writes a shard as soon as it is asked for; its time doesn't count."""

    count = 1
    seconds = 0.0

    def __init__(self, task):
        self._events, self._arms = [], list(task.arms)

    def start(self, slot):
        from pipeline.engine.dispatch import Event

        self._event = Event
        self._events.append(Event(slot, "ready"))

    def give(self, slot, shard, path, final):
        begin = time.process_time()
        path.mkdir(parents=True)
        count = min(SHARD, MADE["pairs"] - shard.start)
        with ShardLog(path, Kept()) as log:
            results = made(shard.start, count, self._arms)
            for first in range(0, count, BATCH):
                log.write(results[first : first + BATCH])
        (path / LEDGER).write_text("key,status,ir_frame,vis_frame,reason\r\n")
        frames = {"paired": count, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0}
        write_json(path / OUTCOME, {
            "pairs": count, "observed": None, "frames": frames, "objects": LABELS * count,
            "labelled_objects": LABELS * count, "leaked": {}, "timing": None, "own": {},
            "first_reason": "", "busy": {}, "stages": {}, "ms_per_pair": {}, "said": [],
        })  # fmt: skip
        finish(path, final, {"pairs": count})
        self._events.append(self._event(slot, "ended"))
        Writers.seconds += time.process_time() - begin

    def events(self, timeout_s):
        events, self._events = self._events, []
        return events

    def close(self):
        pass


def made(first, count, arms):
    """The pairs of a shard: labels at random places, and detections of which some hit them."""
    random = np.random.default_rng(first)
    boxes = places(random, (count, LABELS))
    classes = random.choice([0, 2], (count, LABELS))
    found = {}
    for arm in arms:
        near, others = random.normal(boxes, 3), places(random, (count, MADE["detections"] - LABELS))
        xyxy = np.concatenate([near, others], axis=1).astype(np.float32)
        ids = np.concatenate([classes, random.choice([0, 2], others.shape[:2])], axis=1)
        score = np.sort(random.random(ids.shape, np.float32))[:, ::-1].copy()
        found[arm] = xyxy, score, ids
    results = []
    for n in range(count):
        frame = Frame(np.broadcast_to(np.uint8(0), SIZE), None, first + n)
        pair = FramePair(f"{first + n:08d}", frame, frame, index=first + n)
        item = Item(pair, Labels(boxes[n], classes[n], np.zeros((0, 4))), {}, "day")
        detections = {arm: Detections(*(part[n] for part in parts)) for arm, parts in found.items()}
        results.append(Result(n, item, {}, detections))
    return results


def places(random, shape):
    corner = random.random((*shape, 2)) * (560, 400)
    return np.concatenate([corner, corner + 8 + random.random((*shape, 2)) * 70], axis=-1)


def run_on_made_shards(pairs, detections, arms, draws):
    """CPU seconds of the driver, those of the evaluation, and the peak of its memory."""
    os.chdir(Path(__file__).parent)  # where a kind of this file's name is found
    MADE.update(pairs=pairs, detections=detections, arms=arms)
    torch.set_num_threads(1)
    spent = []

    def timed(context, summary):
        begin = time.process_time()
        evaluate(context, summary)
        spent.append(time.process_time() - begin)

    with (
        tempfile.TemporaryDirectory() as folder,
        patch("eval.comparison.bootstrap", partial(bootstrap, draws=draws)),
        patch("pipeline.engine.evaluation.evaluate", timed),
    ):
        settings = {
            "run": {"dir": str(Path(folder) / "run"), "on_bad_pair": "skip"},
            "source": {"kind": "cluster_shards"},
            "arms": {f"arm{n}": {"kind": "average"} for n in range(arms)},
            "detector": {"kind": "cluster_shards"},
            "evaluation": {"classes": [0, 2]},
            "compute": {"device": "cpu", "engine": {"kind": "cluster_shards"}},
            "sinks": {"results": {"kind": "results"}},
        }
        checked = config.check(settings)
        begin = time.process_time()
        runner.run(checked, lambda done, total: None)
        cpu = time.process_time() - begin - Writers.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": cpu, "evaluate_s": spent[0], "peak_mb": peak}


def shard_cost(pairs):
    """CPU seconds of a worker for a shard beyond its pairs: from shards of one batch and of all."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("ir", "vi"):
            (root / name).mkdir()
            for number in range(pairs):
                image = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
                write_png(root / name / f"{number:05d}.png", image[..., :1].repeat(3, 2))
        settings = {
            "source": {"kind": "msrs", "root": folder},
            "arms": {"average": {"kind": "average"}},
            "compute": {"device": "cpu", "batch": BATCH, "threads": 1},
        }
        worker = Worker(Order(settings, False, Kept(), folder, (), {}))
        assert worker.prepare()["problem"] == ""
        seconds = {}
        for length in (pairs, BATCH, pairs, BATCH):  # the first is the warm-up
            begin = time.process_time()
            for start in range(0, pairs, length):
                paths = [root / f"{what}-{length}-{start}-{begin}" for what in ("try", "shard")]
                reason = worker.work(Shard(start, start + length), *map(str, paths))
                assert reason == "", reason
            seconds[length] = time.process_time() - begin
        return (seconds[BATCH] - seconds[pairs]) / (pairs / BATCH - 1)

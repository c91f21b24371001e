"""Hostile and damaged input, seeded: what isn't an error of ours, hangs or takes too much.

Each input is a good one with a few changes, given to the code that a command would give it to, in a
process of its own with limits of time and memory. An input passes if it is read, or refused by an
``IrvisError`` of one line without the secret that was put into it.

    python benchmarks/fuzz.py [--seed 0] [--seconds 60] [--kinds labels images ...]

Prints the inputs of each kind, how many were read and refused, and each finding with its seed:
``--kinds KIND --seed SEED --count 1`` repeats it.
"""

import argparse
import importlib
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz_inputs import KINDS, Case, check_message

from common.errors import IrvisError

LIBRARIES = ("pipeline.commands.report", "pipeline.engine.runner", "detection.detectors.yolov5")
LIMIT_S = 20  # of computing for one input
WAITING = 10  # times as long by the clock: what hangs may compute nothing, and others compute too
MEMORY = 4 << 30  # bytes that the process of a kind may map beyond what it has at its start


@dataclass(slots=True)
class Outcome:
    """What became of the inputs of a kind."""

    kind: str
    read: int = 0
    refused: int = 0
    findings: list[str] = field(default_factory=list)


class _Hang(BaseException):
    """Over ``LIMIT_S``."""


def try_one(outcome: Outcome, case: Case, seed: int, here: Path, limit_s: int = LIMIT_S) -> None:
    """Make one input of a seed, and note what becomes of it."""
    _limit(limit_s)
    try:
        case(random.Random(f"{outcome.kind} {seed}"), here)  # noqa: S311
        outcome.read += 1
    except IrvisError as error:
        try:
            check_message(error)
            outcome.refused += 1
        except AssertionError as wrong:
            outcome.findings.append(f"seed {seed}: {wrong}")
    except _Hang:
        outcome.findings.append(f"seed {seed}: over {LIMIT_S} s")
    except BaseException as error:  # noqa: BLE001  (what is looked for)
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        outcome.findings.append(
            f"seed {seed}: {type(error).__name__} at {where}: {str(error)[:200]}"
        )
    finally:
        _limit(0)


def _limit(seconds: int) -> None:
    """Raise ``_Hang`` once so much was computed, or ``WAITING`` times as long has passed."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(WAITING * seconds)


def work(kind: str, seed: int, count: int | None, seconds: float, results: Any) -> None:
    """Try the inputs of a kind, in a process of its own."""
    warnings.simplefilter("ignore")
    logging.disable()
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (what commands print)

    def hang(*_: object) -> None:
        raise _Hang

    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, hang)
    with tempfile.TemporaryDirectory() as name:
        here = Path(name) / "here"
        here.mkdir()
        # what only the first one imports and makes takes longer
        try_one(Outcome(kind), KINDS[kind], seed, here, limit_s=300)
        end = time.monotonic() + seconds
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))
        outcome = Outcome(kind)
        last = seed + count if count is not None else None
        while seed != last and time.monotonic() < end:
            try_one(outcome, KINDS[kind], seed, here)
            seed += 1
            results.put((outcome.kind, outcome.read, outcome.refused, outcome.findings, seed))
            outcome.findings = []


def main() -> None:
    """Try each kind for its share of the time and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60, help="for each kind")
    parser.add_argument("--count", type=int, help="inputs of each kind, at most")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parsed = parser.parse_args()
    for name in LIBRARIES:  # once, and not in each kind's process
        importlib.import_module(name)
    total: Counter[str] = Counter()
    for kind in parsed.kinds:
        read, refused, findings = _one_kind(kind, parsed.seed, parsed.count, parsed.seconds)
        tried = read + refused + len(findings)
        total.update(inputs=tried, findings=len(findings))
        print(
            f"{kind:15} {tried:8} inputs, {read} read, {refused} refused, {len(findings)} findings"
        )
        for line, seeds in _alike(findings).items():
            print(
                f"    {seeds[0]}: {line}" + (f" (and {len(seeds) - 1} alike)" if seeds[1:] else "")
            )
        sys.stdout.flush()
    print(f"{total['inputs']} inputs, {total['findings']} findings")


def _one_kind(
    kind: str, seed: int, count: int | None, seconds: float
) -> tuple[int, int, list[str]]:
    """Inputs that were read and refused, and findings; a process that dies is one and goes on."""
    read = refused = 0
    findings: list[str] = []
    end, last = time.monotonic() + seconds, seed + count if count is not None else None
    while seed != last and time.monotonic() < end:
        results: Any = multiprocessing.SimpleQueue()
        left = None if last is None else last - seed
        arguments = (kind, seed, left, end - time.monotonic(), results)
        process = multiprocessing.Process(target=work, args=arguments)
        process.start()
        more = (0, 0)
        while process.is_alive() or not results.empty():
            if results.empty():
                process.join(0.05)
                continue
            _, one, other, new, seed = results.get()
            more = (one, other)
            findings += new
        process.join()
        read, refused = read + more[0], refused + more[1]
        if process.exitcode:
            findings.append(f"seed {seed}: the process ended with {process.exitcode}")
            seed += 1
    return read, refused, findings


def _alike(findings: list[str]) -> dict[str, list[str]]:
    """Seeds by what was found, but for what differs between inputs."""
    found: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for finding in findings:
        seed, _, text = finding.partition(": ")
        head = text.partition(": ")[0]
        found.setdefault(seen.setdefault(head, text), []).append(seed)
    return found


if __name__ == "__main__":
    main()

"""Speed of the selective scan on this CPU: `python benchmarks/scan.py`.

Prints state updates per second of the reference and of numba, forward and backward, for one image
(K = 4 directions, E = 192 channels, L = 4800 tokens, N = 16 numbers of state), their ratios, and
the growth of time with L. Each round runs all of them, so that other load affects all; each figure
is of the fastest round.

With ``--backends`` it prints the time of every backend that runs on the GPU, or without one on the
CPU, over that of ``reference``, which is mamba_ssm's definition written out.
"""

import argparse
import logging
import os
import statistics
import time

import numpy as np
import torch

from common.device import choose_device
from fusion.scan import BACKENDS, problem, selective_scan
from pipeline.commands import bench

K, E, L, N = 4, 192, 4800, 16
LENGTHS = (600, 1200, 2400, 4800, 9600)
ROUNDS = 7
CPU = torch.device("cpu")


def draw(length, device=CPU):
    torch.manual_seed(0)
    rows = K * E
    values = {
        "u": torch.randn(1, rows, length),
        "delta": torch.randn(1, rows, length) - 3,
        "A": -torch.arange(1.0, N + 1).repeat(rows, 1),
        "B": torch.randn(1, K, N, length),
        "C": torch.randn(1, K, N, length),
        "D": torch.ones(rows),
        "delta_bias": torch.zeros(rows),
    }
    return {name: value.to(device) for name, value in values.items()}


def seconds(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def once(length, backend):
    """Seconds of forward without gradient, and of backward."""
    values = draw(length)
    with torch.inference_mode():
        forward, _ = seconds(selective_scan, **values, delta_softplus=True, backend=backend)
    leaves = [v.requires_grad_() for v in values.values()]
    y = selective_scan(**values, delta_softplus=True, backend=backend)
    backward, _ = seconds(torch.autograd.grad, y, leaves, torch.ones_like(y))
    return forward, backward


def reference(length):
    with torch.inference_mode():
        return seconds(selective_scan, **draw(length), delta_softplus=True, backend="reference")[0]


def backends(device, length=L, runs=3):
    """Print median milliseconds of each backend, forward without gradient and both ways."""
    print(bench.machine(device))
    slow = None
    for name in ("reference", *(name for name in BACKENDS if name != "reference")):
        obstacle = "is for the CPU" if name == "numba" and device != CPU else problem(name)
        if obstacle:
            print(f"{name:10} not measured: {obstacle}")
            continue
        values = draw(length, device)

        def forward(values=values, name=name):
            return selective_scan(**values, delta_softplus=True, backend=name)

        with torch.inference_mode():
            one_way = statistics.median(bench.seconds(forward, device, runs=runs))
        leaves = [value.requires_grad_() for value in values.values()]

        def both(forward=forward, leaves=leaves):
            y = forward()
            return torch.autograd.grad(y, leaves, torch.ones_like(y))

        two_ways = statistics.median(bench.seconds(both, device, runs=runs))
        slow = slow or one_way
        print(
            f"{name:10} forward {one_way * 1e3:8.2f} ms, {slow / one_way:6.1f}x the reference; "
            f"with backward {two_ways * 1e3:8.2f} ms"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", action="store_true", help="compare all, on a GPU if any")
    if parser.parse_args().backends:
        backends(choose_device("auto"))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    once(64, "numba")  # compiles, or loads from the cache
    print(f"{torch.get_num_threads()} threads, {os.cpu_count()} cores, load {os.getloadavg()}")
    rounds = [(reference(L), *once(L, "numba")) for _ in range(ROUNDS)]
    slow, forward, backward = np.min(rounds, axis=0)
    for name, elapsed in (
        ("reference forward", slow),
        ("numba forward", forward),
        ("numba backward", backward),
    ):
        updates = K * E * L * N / elapsed / 1e9
        print(f"{name:18} {elapsed * 1e3:8.1f} ms  {updates:6.3f} G updates/s")
    print(f"forward: numba {slow / forward:.1f}x the reference (wanted: 30)")
    print(f"numba: backward {backward / forward:.1f}x the time of forward (wanted: at most 4)")
    times = np.min([[once(n, "numba") for n in LENGTHS] for _ in range(ROUNDS)], axis=0)  # [n, 2]
    for name, column in (("forward", times[:, 0]), ("backward", times[:, 1])):
        exponent = np.polyfit(np.log(LENGTHS), np.log(column), 1)[0]
        print(f"{name}: time grows as L^{exponent:.2f} from {LENGTHS[0]} to {LENGTHS[-1]} tokens")
    print(f"load {os.getloadavg()}")


if __name__ == "__main__":
    main()

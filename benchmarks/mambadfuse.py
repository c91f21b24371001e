"""Time and memory of MambaDFuse: `python benchmarks/mambadfuse.py [--check]`.

The authors' size in float32 with random weights, on one pair of noise of 480x640: seconds in the
threads of torch, and CPU seconds of one thread.
"""

import argparse
import sys
import time

import torch

from fusion.network.mambadfuse import Architecture, MambaDFuse
from fusion.network.network_fuser import NetworkFuser
from pipeline.arms._fuser import FuserArm
from pipeline.commands import bench

CPU = torch.device("cpu")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where a claim is missed")
    check = parser.parse_args().check
    torch.manual_seed(0)
    arm = FuserArm(NetworkFuser(MambaDFuse(Architecture())), device=CPU, dtype=torch.float32)
    arm(bench.pair(64, 64, CPU))  # compiles the kernels
    print(bench.machine(CPU))
    pair, threads = bench.pair(*bench.FRAME, CPU), torch.get_num_threads()
    began = time.perf_counter()
    arm(pair)
    wall, memory = time.perf_counter() - began, bench._peak(CPU) / 1e9
    print(f"480x640, float32: {wall:.1f} s in {threads} threads, {memory:.2f} GB at the peak")
    torch.set_num_threads(1)
    began = time.process_time()
    arm(pair)
    busy = time.process_time() - began
    print(f"in one thread: {busy:.1f} CPU seconds")
    print(bench.machine(CPU))
    missed = 0
    for name, value, wanted in (
        (f"seconds in {threads} threads", wall, 25),
        ("peak memory in GB", memory, 6),
    ):
        missed += value > wanted
        kept = "kept  " if value <= wanted else "MISSED"
        print(f"{kept} {name}: {value:.1f} (wanted at most {wanted})")
    sys.exit(1 if check and missed else 0)


if __name__ == "__main__":
    main()

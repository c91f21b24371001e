"""What the memory layout is worth to the detector on a CPU: ``python benchmarks/detector.py``.

Times the network (no NMS) of YOLOv5s on four 480x640 images, in the default layout and with
channels last, before and after ``keep_freed_memory``, in one run.
"""

import os
import statistics
import time

import torch

from common.memory import keep_freed_memory
from detection.detectors import yolov5

RUNS, IMAGES = 9, 4


def milliseconds(network, layout):
    """Median milliseconds an image."""
    network = network.to(memory_format=layout)
    images = torch.rand(IMAGES, 3, 480, 640).contiguous(memory_format=layout)
    times = []
    with torch.inference_mode():
        for _ in range(RUNS + 1):  # the first warms up
            start = time.perf_counter()
            network(images)
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[1:]) / IMAGES


def main():
    names = {i: str(i) for i in range(80)}
    network = yolov5.new_network("yolov5s.yaml", names).eval()
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.2f}")
    plain = milliseconds(network, torch.contiguous_format)
    last = milliseconds(network, torch.channels_last)
    keep_freed_memory()
    kept = milliseconds(network, torch.channels_last)
    print(
        f"default layout {plain:.0f} ms an image, channels last {last:.0f} ms: {plain / last:.2f}x"
    )
    print(f"and with freed memory kept {kept:.0f} ms: {plain / kept:.2f}x")


if __name__ == "__main__":
    main()

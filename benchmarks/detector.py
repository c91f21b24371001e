"""Speed of the detector by memory layout: ``python benchmarks/detector.py``.

Times the network (no NMS) of YOLOv5s on four 480x640 images, in the default layout, with channels
last, and also with ``keep_freed_memory``, in one run; on a GPU if there is one.
"""

import statistics

import torch

from common.device import choose_device
from common.memory import keep_freed_memory
from detection.detectors import yolov5
from pipeline.commands import bench

RUNS, IMAGES = 9, 4


def milliseconds(network, layout, device):
    """Median milliseconds per image."""
    network = network.to(memory_format=layout)
    images = torch.rand(IMAGES, 3, 480, 640, device=device).contiguous(memory_format=layout)
    with torch.inference_mode():
        times = bench.seconds(lambda: network(images), device, runs=RUNS)
    return 1e3 * statistics.median(times) / IMAGES


def main():
    names, device = {i: str(i) for i in range(80)}, choose_device("auto")
    network = yolov5.new_network("yolov5s.yaml", names).eval().to(device)
    print(bench.machine(device))
    plain = milliseconds(network, torch.contiguous_format, device)
    last = milliseconds(network, torch.channels_last, device)
    keep_freed_memory()
    kept = milliseconds(network, torch.channels_last, device)
    print(
        f"default layout {plain:.1f} ms an image, channels last {last:.1f} ms: {plain / last:.2f}x"
    )
    print(f"and with freed memory kept {kept:.1f} ms: {plain / kept:.2f}x")


if __name__ == "__main__":
    main()

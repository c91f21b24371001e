"""Speed of the detector by memory layout and dtype: ``python benchmarks/detector.py``.

Times the network (no NMS) of YOLOv5s on four 480x640 images, in the default layout, with channels
last, and also with ``keep_freed_memory``, in one run; on a GPU if there is one. Then the detector
as it is built, batch norm folded, in float32 and in bfloat16.
"""

import statistics
import tempfile
from pathlib import Path

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


def built(network, device):
    """Print milliseconds per image of the detector that a configuration builds, by dtype."""
    times = {}
    images = torch.rand(IMAGES, 3, 480, 640, device=device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pt"
        torch.save({"model": network.cpu()}, path)
        for dtype in ("float32", "bfloat16"):
            config = yolov5.Config(weights=str(path), dtype=dtype)
            detector = yolov5.build(config, device=device)
            with torch.inference_mode():
                seconds = bench.seconds(lambda d=detector: d.raw(images), device, runs=RUNS)
            times[dtype] = 1e3 * statistics.median(seconds) / IMAGES
    full, half = times.values()
    print(f"built: float32 {full:.1f} ms an image, bfloat16 {half:.1f} ms: {full / half:.2f}x")


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
    built(network, device)


if __name__ == "__main__":
    main()

"""Speed of the fusion quality metrics: `python benchmarks/quality.py [--check]`.

Times EN, SD, SF, MI, SCD, VIF, Qabf and SSIM of the mean of one generated 480x640 pair, computed
one by one with NumPy and SciPy as in common scripts, and all fourteen metrics of the package, in
one run, and prints the largest difference of the eight. With --check the exit code is 1 if the
fourteen are less than ten times as fast as the eight.
"""

import argparse
import os
import sys
import time

import numpy as np
import torch
from scipy import ndimage, signal

from common.memory import keep_freed_memory
from eval.quality.metrics import quality
from pipeline.images import to_grey
from pipeline.sources import scenes

RUNS, WANTED = 7, 10
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def plain_entropy(image):
    p = np.bincount(image.ravel(), minlength=256) / image.size
    return -(p[p > 0] * np.log2(p[p > 0])).sum()


def plain_information(a, b):
    joint = np.histogram2d(a.ravel(), b.ravel(), bins=256, range=((0, 256), (0, 256)))[0] / a.size
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    occurs = joint > 0
    return (joint[occurs] * np.log2(joint[occurs] / product[occurs])).sum()


def plain_frequency(image):
    return np.sqrt((np.diff(image, axis=0) ** 2).mean() + (np.diff(image, axis=1) ** 2).mean())


def plain_correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def gaussian_window(size):
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * (size / 5) ** 2))
    window = np.outer(line, line)
    return window / window.sum()


def plain_vif(reference, image):
    kept = total = 0.0
    for scale, size in enumerate((17, 9, 5, 3)):
        window = gaussian_window(size)

        def blur(x, window=window):
            return signal.convolve2d(x, window, mode="valid")

        if scale:
            reference, image = blur(reference)[::2, ::2], blur(image)[::2, ::2]
        mean_r, mean_i = blur(reference), blur(image)
        var_r = np.maximum(blur(reference**2) - mean_r**2, 0)
        var_i = np.maximum(blur(image**2) - mean_i**2, 0)
        both = blur(reference * image) - mean_r * mean_i
        gain = np.where(both > 0, both / (var_r + 1e-10), 0)
        noise = np.maximum(var_i - gain * both, 1e-10)
        kept += np.log10(1 + gain**2 * var_r / (noise + 2)).sum()
        total += np.log10(1 + var_r / 2).sum()
    return kept / total


def plain_edges(image):
    x = signal.convolve2d(image, SOBEL, mode="same")
    y = signal.convolve2d(image, SOBEL.T, mode="same")
    angle = np.full(image.shape, np.pi / 2)
    angle[x != 0] = np.arctan(y[x != 0] / x[x != 0])
    return np.hypot(x, y), angle


def plain_qabf(a, b, fused):
    strength_f, angle_f = plain_edges(fused)
    kept = total = 0.0
    for source in (a, b):
        strength, angle = plain_edges(source)
        larger = np.maximum(strength, strength_f)
        ratio = np.where(larger > 0, np.minimum(strength, strength_f) / np.maximum(larger, 1), 1)
        turned = 1 - np.abs(angle - angle_f) / (np.pi / 2)
        q = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (turned - 0.8)))
        kept += (q * strength).sum()
        total += strength.sum()
    return kept / total


def plain_ssim(a, b):
    def blur(x):
        return ndimage.gaussian_filter(x, 1.5, truncate=3.5)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return (top / bottom)[5:-5, 5:-5].mean()


def plain(ir, vis, fused):
    """The eight metrics of uint8 images (H, W)."""
    a, b, f = (image.astype(np.float64) for image in (ir, vis, fused))
    return {
        "en": plain_entropy(fused),
        "sd": f.std(),
        "sf": plain_frequency(f),
        "mi": plain_information(ir, fused) + plain_information(vis, fused),
        "scd": plain_correlation(f - b, a) + plain_correlation(f - a, b),
        "vif": plain_vif(a, f) + plain_vif(b, f),
        "qabf": plain_qabf(a, b, f),
        "ssim": plain_ssim(a, f) + plain_ssim(b, f),
    }


def milliseconds(run):
    """Time of the fastest run, which other programs disturbed least."""
    times = []
    for _ in range(RUNS + 1):  # the first warms up
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where the claim is missed"
    )
    check = parser.parse_args().check
    keep_freed_memory()
    pair = next(iter(scenes.build(scenes.Config(frames=1, size=(480, 640), time="day"))))
    ir, vis = to_grey(pair.ir.image), to_grey(pair.vis.image)
    fused = np.rint((ir.astype(np.float64) + vis) / 2).astype(np.uint8)
    tensors = [torch.tensor(image)[None, None] for image in (ir, vis, fused)]
    batch = dict(zip(("ir", "vis", "fused"), tensors, strict=True))

    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.2f}")
    slow = milliseconds(lambda: plain(ir, vis, fused))
    fast = milliseconds(lambda: quality(**batch))
    reference, ours = plain(ir, vis, fused), quality(**batch)
    worst = max(abs(ours[key].item() / reference[key] - 1) for key in reference)
    print(f"eight metrics by NumPy and SciPy {slow:.0f} ms a pair, all fourteen here {fast:.0f} ms")
    print(f"the eight differ by at most {worst:.1e} of their value")
    kept = slow / fast >= WANTED
    print(f"{'kept  ' if kept else 'MISSED'} ratio: {slow / fast:.1f} (wanted >= {WANTED})")
    print(f"load {os.getloadavg()[0]:.2f}")
    sys.exit(1 if check and not kept else 0)


if __name__ == "__main__":
    main()

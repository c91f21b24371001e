"""Coverage of the 95% intervals over images and seeds: `python benchmarks/seed_coverage.py`.

A statistic is the mean over 61 images plus that over the seeds, both normal. For the number of
seeds and the ratio of the variance by seeds to that by images, the share of --sets fine-tunings
whose interval has the true value, with ``over_seeds`` and with the plain mean of the picked seeds.
"""

import argparse

import numpy as np

from eval.bootstrap import draw, interval95
from training.finetune.summary import over_seeds

IMAGES, DRAWS = 61, 1000
RATIOS = (0.0, 0.25, 1.0, 4.0, 100.0)


def covered(seeds, ratio, widen, rng):
    """Whether the interval of a new fine-tuning contains the true value, 0."""
    images = rng.normal(size=IMAGES)
    trainings = rng.normal(size=seeds) * np.sqrt(ratio * seeds / IMAGES)
    means = draw(IMAGES, DRAWS, rng) @ images / IMAGES  # [draws]
    values = means[:, None, None] + trainings[None, :, None]  # [draws, seeds, 1]
    picked = rng.integers(seeds, size=(DRAWS, seeds))
    plain = np.take_along_axis(values, picked[:, :, None], axis=1).mean(1)
    low, high = interval95((over_seeds(values, picked) if widen else plain)[:, 0], IMAGES)
    return low <= 0 <= high


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000)
    sets = parser.parse_args().sets
    rng = np.random.default_rng(0)
    print("seeds, widened, coverage where the seeds' variance is", *RATIOS, "times the images'")
    for seeds in (2, 3, 5):
        for widen in (False, True):
            shares = [np.mean([covered(seeds, ratio, widen, rng) for _ in range(sets)])
                      for ratio in RATIOS]  # fmt: skip
            print(f"{seeds} {'yes' if widen else 'no ':3}", *(f"{share:.1%}" for share in shares))


if __name__ == "__main__":
    main()

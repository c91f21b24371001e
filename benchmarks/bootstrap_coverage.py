"""Coverage of the bootstrap's 95% intervals: how often they contain the true value.

    python benchmarks/bootstrap_coverage.py [--sets 1000] [--images 14 24 100 361]

Images are drawn from a model whose true values are estimated from 200,000 images: persons and cars
in scenes of varying difficulty, shared by two arms; labels found or missed, overlaps, scores, false
positives. For each number of images, --sets data sets are drawn and bootstrapped as in a run, and
the share of intervals that contain the true value is printed.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from eval.average_precision import STATISTICS, summarize
from eval.bootstrap import DRAWS, bootstrap
from eval.matches import IOU_THRESHOLDS, Matches

CLASSES = (0, 2)
SKILL = {"fused": 1.9, "ir": 1.2}  # log odds of finding a label in a scene of average difficulty
TRUTH_IMAGES = 200_000


def simulate(images, rng):
    """Draw both arms' matches on new images."""
    difficulty = rng.normal(0, 1, images)
    labels = rng.poisson(rng.gamma(1.5, 1.4 / 1.5, images))  # 0 to about 8, mean 1.4
    label_image = np.repeat(np.arange(images), labels)
    label_class = rng.choice(CLASSES, len(label_image), p=(0.55, 0.45))
    hardness = difficulty[label_image] + rng.normal(0, 1.2, len(label_image))
    return {
        arm: _matches(skill, images, difficulty, label_image, label_class, hardness, rng)
        for arm, skill in SKILL.items()
    }


def _matches(skill, images, difficulty, label_image, label_class, hardness, rng):
    """Draw one arm's hits, by the hardness of the labels, and its false positives."""
    ease = skill - hardness + rng.normal(0, 0.6, len(label_image))
    found = np.flatnonzero(ease > 0)
    overlap = 1 / (1 + np.exp(-(1.0 + 0.5 * ease[found] + rng.normal(0, 0.7, len(found)))))
    hit_score = 1 / (1 + np.exp(-(-1.5 + 1.1 * ease[found] + rng.normal(0, 1, len(found)))))
    false_image = np.repeat(np.arange(images), rng.poisson(3 * np.exp(0.3 * difficulty)))
    false_score = rng.beta(0.35, 6, len(false_image))
    score = np.concatenate([hit_score, false_score])
    order = np.argsort(-score, kind="stable")
    hit = np.concatenate([overlap[:, None] >= IOU_THRESHOLDS, np.zeros((len(false_image), 10))])
    image = np.concatenate([label_image[found], false_image])
    class_id = np.concatenate([label_class[found], rng.choice(CLASSES, len(false_image))])
    return Matches(
        hit=hit.astype(np.bool_)[order],
        score=score[order],
        class_id=class_id[order],
        image=image[order],
        label_class=label_class,
        label_image=label_image,
        label_area=np.ones(len(label_image)),
        label_score=np.full(len(label_image), -1.0),  # not used by these statistics
        images=images,
    )


def values(matches):
    result = summarize(matches)
    return np.array([getattr(result, name) for name in STATISTICS])


def trial(task):
    """Whether the intervals of one data set contain the truth, (2, 4): fused, fused minus IR."""
    images, seed, truth = task
    rng = np.random.default_rng((images, seed))
    arms = simulate(images, rng)
    while len(arms["ir"].label_class) == 0:
        arms = simulate(images, rng)
    result = bootstrap(arms, seed=seed)
    covered = np.zeros((2, len(STATISTICS)), np.bool_)
    for column, name in enumerate(STATISTICS):
        low, high = result.interval("fused", name)
        covered[0, column] = low <= truth["fused"][column] <= high
        low, high = result.difference("fused", "ir", name, 0.0).ci95
        covered[1, column] = low <= truth["fused"][column] - truth["ir"][column] <= high
    return covered


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--images", type=int, nargs="+", default=[14, 24, 100, 361])
    options = parser.parse_args()
    truth = {a: values(m) for a, m in simulate(TRUTH_IMAGES, np.random.default_rng(1)).items()}
    print(f"{options.sets} data sets each, {DRAWS} draws; true values of {TRUTH_IMAGES} images:")
    for arm, numbers in truth.items():
        row = "  ".join(f"{n} {v:.3f}" for n, v in zip(STATISTICS, numbers, strict=True))
        print(f"  {arm:6s} {row}")
    print(f"{'images':>6s}  {'interval of':12s} " + " ".join(f"{n:>10s}" for n in STATISTICS))
    with ProcessPoolExecutor() as pool:
        for images in options.images:
            tasks = [(images, seed, truth) for seed in range(options.sets)]
            shares = np.mean(list(pool.map(trial, tasks, chunksize=10)), axis=0)
            for name, row in zip(("fused", "fused - ir"), shares, strict=True):
                print(f"{images:6d}  {name:12s} " + " ".join(f"{100 * v:9.1f}%" for v in row))
            print(end="", flush=True)


if __name__ == "__main__":
    main()

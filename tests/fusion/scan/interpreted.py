"""Run by test_triton.py with TRITON_INTERPRET=1: the triton backend on a CPU, results to a file.

The interpreter takes a tenth of a millisecond for each token and state, padded to whole tiles, so
that the tiles are small but for the case that says so; the kernels are given their length.
"""

import sys

import torch

from tests.fusion.scan.cases import draw, draw_map, run

TILE = 8  # tokens
CASES = {
    "one token": (draw(state=1, tokens=1), {"delta_softplus": True}),
    "groups": (draw(batch=2, groups=4, per_group=1, state=5, tokens=7), {"delta_softplus": True}),
    "two tiles": (draw(per_group=2, tokens=9, optional=("D",)), {"delta_softplus": True}),
    "tiles as on a GPU": (draw(per_group=1, state=2, tokens=70), {"delta_softplus": True}),
    "no softplus": (draw(tokens=20, optional=("delta_bias",), softplus=False), {}),
    "bare": (draw(state=8, tokens=8, optional=(), softplus=False), {}),
    "wide state": (draw(per_group=1, state=64, tokens=5), {"delta_softplus": True}),
    "huge steps": (draw(per_group=1, tokens=18, scale=100.0), {"delta_softplus": True}),
    "map": (draw_map(batch=2, inner=2), {}),
    "map of 2 x 2": (draw_map(height=2, width=2, inner=2), {}),
    "map of two tiles": (draw_map(height=4, width=10, inner=1), {}),
}


def main(path):
    from fusion.scan import triton  # not where it is missing, and not in a test's process

    whole, results = triton.TILE, {}
    for name, (values, options) in CASES.items():
        triton.TILE = whole if name == "tiles as on a GPU" else TILE
        results[name] = run(values, "triton", torch.float32, **options)
    torch.save(results, path)


if __name__ == "__main__":
    main(sys.argv[1])

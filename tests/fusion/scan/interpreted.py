"""Run by test_triton.py with TRITON_INTERPRET=1: the triton backend on a CPU, results to a file."""

import sys

import torch

from tests.fusion.scan.cases import draw, draw_map, run

CASES = {
    "one token": (draw(state=1, tokens=1), {"delta_softplus": True}),
    "groups": (draw(batch=2, groups=4, per_group=1, state=5, tokens=7), {"delta_softplus": True}),
    "two tiles": (draw(per_group=2, tokens=70, optional=("D",)), {"delta_softplus": True}),
    "no softplus": (draw(tokens=20, optional=("delta_bias",), softplus=False), {}),
    "bare": (draw(state=8, tokens=64, optional=(), softplus=False), {}),
    "wide state": (draw(per_group=1, state=64, tokens=5), {"delta_softplus": True}),
    "huge steps": (draw(per_group=1, tokens=66, scale=100.0), {"delta_softplus": True}),
    "map": (draw_map(batch=2), {}),
    "map of 2 x 2": (draw_map(height=2, width=2), {}),
    "map of two tiles": (draw_map(height=12, width=24, inner=1), {}),
}

if __name__ == "__main__":
    results = {
        name: run(values, "triton", torch.float32, **options)
        for name, (values, options) in CASES.items()
    }
    torch.save(results, sys.argv[1])

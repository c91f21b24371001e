"""The table of a run that was made up."""

from tools.markdown_table import table


def arm(value):
    return {
        "detection": {
            "yolo": {"precision": 0.5, "recall": 0.25, "map50": value, "map50_95": value / 2},
            "ci95": {"map50": [value - 0.1, value + 0.1], "map50_95": [0.0, 1.0]},
        }
    }


def test_rows_are_arms():
    better = {"difference": 0.2, "ci95": [0.05, 0.35], "verdict": "better"}
    unknown = {"difference": -0.01, "ci95": [-0.05, 0.03], "verdict": "no evidence"}
    results = {
        "arms": {"fused": arm(0.8), "ir": arm(0.6)},
        "protocol": {"arms": {"fused": {"kind": "maximum"}, "ir": {"kind": "ir_only"}}},
        "comparisons": {"fused": {"ir": {"map50": better, "map50_95": unknown}}},
    }
    timing = {"arms_ms_per_pair": {"fused": {"fuse": 10.4, "detect": 5.0}, "ir": {"fuse": 1.0}}}
    assert table(results, timing, ["fused"]) == [
        "| arm | P | R | mAP@.5 | mAP@.5:.95 | fused less it: mAP@.5 | fused less it: mAP@.5:.95 "
        "| ms/pair |",
        "|---|---|---|---|---|---|---|---|",
        "| **fused** | 0.500 | 0.250 | 0.800 (0.700 to 0.900) | 0.400 (0.000 to 1.000) "
        "|  |  | 15 |",
        "| ir | 0.500 | 0.250 | 0.600 (0.500 to 0.700) | 0.300 (0.000 to 1.000) "
        "| +0.200 (+0.050 to +0.350) **better** | -0.010 (-0.050 to +0.030) | 1 |",
    ]

"""What stands under the verdict: which comparisons, and in which order."""

from eval.report.page import Run

ARMS = ("unet", "fused", "ir", "vis", "late")
MAP = {"ir": 0.3, "vis": 0.5}


def run():
    """Five arms, of which `vis` is the better single modality."""
    arms = {arm: {"detection": {"yolo": {"map50_95": MAP.get(arm, 0.6)}}} for arm in ARMS}
    entry = {"difference": 0.1, "ci95": None, "verdict": None}
    both = dict.fromkeys(("map50", "map50_95"), entry)
    comparisons = {a: {b: both for b in ARMS if b != a} for a in ARMS}
    protocol = {"detector": {}, "baselines": {"ir": "ir", "vis": "vis"}}
    results = {
        "arms": arms, "comparisons": comparisons, "frames": {"paired": 9}, "protocol": protocol
    }  # fmt: skip
    return Run("run", results, headline="", command="", timing=None)


def test_the_verdicts_arm_first_then_the_other_fused_arms_with_the_same_modality():
    assert [(*item["pair"], item["statistic"]) for item in run().beside] == [
        ("unet", "vis", "map50"),
        ("unet", "ir", "map50_95"),
        ("unet", "fused", "map50_95"),
        ("unet", "late", "map50_95"),
        ("fused", "vis", "map50_95"),
        ("late", "vis", "map50_95"),
    ]

import pytest

from eval.report.verdict import signed, verdict

NONE = {"difference": 0.1, "ci95": None, "verdict": None}


def results(arms, baselines, differences=None, detector=True):
    """As results.json: mAP@.5:.95 by arm, and an arm less another by `arm other`."""
    scored = {
        arm: {"detection": None if score is None else {"yolo": {"map50_95": score}}}
        for arm, score in arms.items()
    }
    comparisons = {}
    for names, entry in (differences or {}).items():
        arm, other = names.split()
        comparisons.setdefault(arm, {})[other] = {"map50_95": entry}
    return {
        "arms": scored,
        "comparisons": comparisons,
        "frames": {"paired": 7},
        "protocol": {"detector": {} if detector else None, "baselines": baselines},
    }


def entry(difference, low, high, said):
    return {"difference": difference, "ci95": [low, high], "verdict": said}


def own(arms):
    """Scores of arms with labels of their own, None where these hold no object."""
    given = results(arms, {"ir": "ir", "vis": None})
    given["arms"] = {a: {"detection": {"yolo": {"map50_95": s}}} for a, s in arms.items()}
    return given


BOTH = {"ir": "ir", "vis": "vis"}
ARMS = {"fused": 0.6, "ir": 0.5, "vis": 0.4}


@pytest.mark.parametrize(
    ("found", "answer", "sentence"),
    [
        (
            entry(0.1, 0.02, 0.2, "better"),
            "Fusion helped.",
            "fused beats the better single modality, ir, by 0.100 mAP@.5:.95 "
            "(95% interval +0.020 to +0.200).",
        ),
        (
            entry(-0.1, -0.2, -0.02, "worse"),
            "Fusion hurt.",
            "fused is behind the better single modality, ir, by 0.100 mAP@.5:.95 "
            "(95% interval −0.200 to −0.020).",
        ),
        (
            entry(0.1, -0.02, 0.2, "no evidence"),
            "No evidence that fusion helped.",
            "fused less the better single modality, ir: +0.100 mAP@.5:.95, but the 95% interval "
            "−0.020 to +0.200 includes zero.",
        ),
        (
            NONE,
            "No verdict.",
            "fused less the better single modality, ir: +0.100 mAP@.5:.95; too few images for an "
            "interval.",
        ),
    ],
)
def test_against_the_better_camera(found, answer, sentence):
    said = verdict(results(ARMS, BOTH, {"fused ir": found, "fused vis": NONE}))
    assert (said.answer, said.sentence, said.arm, said.other) == (answer, sentence, "fused", "ir")
    assert said.tone == (found["verdict"] or "none")


def test_a_camera_whose_labels_are_empty_is_not_the_better_one():
    given = own({"fused": 0.6, "ir": None, "vis": 0.4})
    given["protocol"]["baselines"] = BOTH
    given["comparisons"] = {"fused": {"vis": {"map50_95": NONE}}}
    assert (verdict(given).arm, verdict(given).other) == ("fused", "vis")


def test_the_better_camera_is_that_of_the_higher_score():
    arms = {**ARMS, "vis": 0.55}
    said = verdict(
        results(arms, BOTH, {"fused vis": entry(0.05, 0.01, 0.1, "better"), "fused ir": NONE})
    )
    assert said.other == "vis"
    assert said.tone == "better"


def test_the_first_arm_that_is_no_baseline_is_judged():
    arms = {"ir": 0.5, "mine": 0.7, "other": 0.9}
    found = {"mine ir": entry(0.2, 0.1, 0.3, "better"), "other ir": NONE, "ir mine": NONE}
    said = verdict(results(arms, {"ir": "ir", "vis": None}, found))
    assert (said.arm, said.other) == ("mine", "ir")
    assert "the single modality ir," in said.sentence


def test_another_arm_of_one_camera_is_not_judged():
    arms = {"ir": 0.5, "vis": 0.4, "ir2": 0.5, "fused": 0.6}
    found = {f"{a} {b}": NONE for a in arms for b in arms if a != b}
    found["fused ir"] = entry(0.1, 0.02, 0.2, "better")
    given = results(arms, BOTH, found)
    given["protocol"]["arms"] = {"ir2": {"kind": "ir_only"}, "fused": {"kind": "average"}}
    assert verdict(given).arm == "fused"


@pytest.mark.parametrize(
    ("given", "answer", "words"),
    [
        (results({"fused": None}, BOTH, detector=False), "Fused, not evaluated.", "7 pairs"),
        (results({"fused": None}, BOTH), "No labels, no verdict.", "7 pairs without labels"),
        (results({"fused": 0.5}, BOTH), "No verdict.", "fused is the only arm"),
        (results({"a": None, "b": 0.1, "c": 0.2}, {}), "No verdict.", "No object"),
        (own({"fused": 0.5, "ir": None}), "No verdict.", "are labelled for fused alone"),
        (own({"fused": None, "ir": 0.1}), "No verdict.", "are labelled for ir alone"),
        (
            results({"a": 0.1, "b": 0.2}, {"ir": None, "vis": None}, {"a b": NONE, "b a": NONE}),
            "No verdict.",
            "no arm of a single modality",
        ),
        (
            results({"ir": 0.1, "vis": 0.2}, BOTH, {"ir vis": NONE, "vis ir": NONE}),
            "No verdict.",
            "no arm that fuses",
        ),
    ],
)
def test_why_there_is_no_verdict(given, answer, words):
    said = verdict(given)
    assert (said.answer, said.tone, said.arm) == (answer, "none", None)
    assert words in said.sentence


def test_signs():
    assert [signed(v) for v in (0.25, -0.5, 0.0)] == ["+0.250", "−0.500", "+0.000"]

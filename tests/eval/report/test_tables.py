import pytest

from eval.report.tables import _rho, ms_per_pair


@pytest.mark.parametrize(
    ("rho", "ci95", "text"),
    [
        (None, None, "–"),
        (1.0, None, "+1.00 "),
        (0.5, [0.1, 0.8], "+0.50*"),
        (-0.2, [-0.6, 0.3], "-0.20 "),
    ],
)
def test_correlations_with_and_without_interval(rho, ci95, text):
    assert _rho({"rho": rho, "ci95": ci95}) == text


def test_the_time_of_a_late_arm_has_that_of_what_it_merges():
    times = {"ir": {"fuse": 1.0, "detect": 10.0}, "vis": {"detect": 20.0}, "late": {"merge": 0.5}}
    arms = {"ir": {"kind": "ir_only"}, "late": {"kind": "late", "arms": ["ir", "vis"]}}
    assert ms_per_pair(times, arms, "late") == 31.5
    assert ms_per_pair(times, {"late": {"kind": "late"}}, "late") == 31.5  # its defaults
    assert ms_per_pair(times, arms, "ir") == 11.0
    assert ms_per_pair(times, arms, "unknown") == 0

import pytest

from eval.report.tables import _rho


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

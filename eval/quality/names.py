"""The fourteen metrics of fusion quality: names, ranges, units; imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """The properties of a metric.

    Attributes:
        key: Its name in files.
        name: Its name in papers.
        low: Its lowest possible value.
        high: Its highest possible value, or infinity.
        unit: Its unit; empty for a plain number.
        higher_is_better: Whether higher values are better.
    """

    key: str
    name: str
    low: float
    high: float
    unit: str = ""
    higher_is_better: bool = True


METRICS = (
    Metric("en", "EN", 0, 8, "bit"),
    Metric("sd", "SD", 0, 127.5, "levels"),
    Metric("sf", "SF", 0, 255 * 2**0.5, "levels"),
    Metric("ag", "AG", 0, 255, "levels"),
    Metric("mi", "MI", 0, 16, "bit"),
    Metric("scd", "SCD", -2, 2),
    Metric("vif", "VIF", 0, float("inf")),
    Metric("qabf", "Qabf", 0, 1),
    Metric("nabf", "Nabf", 0, 1, higher_is_better=False),
    Metric("ssim", "SSIM", -2, 2),
    Metric("ms_ssim", "MS-SSIM", 0, 1),
    Metric("fmi", "FMI", 0, 1),
    Metric("cc", "CC", -1, 1),
    Metric("psnr", "PSNR", 0, float("inf"), "dB"),
)

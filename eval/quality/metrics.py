"""Computes the fourteen metrics of fusion quality.

Definition, source and variant of each metric are in the docstring of its function.
"""

import torch
from torch import Tensor

from eval.quality.feature_information import feature_mutual_information
from eval.quality.gradient import edge_preservation, fusion_artifacts
from eval.quality.information import entropy, joint_histograms, mutual_information
from eval.quality.statistics import (
    average_gradient,
    correlation_coefficient,
    peak_signal_to_noise_ratio,
    spatial_frequency,
    standard_deviation,
    sum_of_correlations_of_differences,
)
from eval.quality.structure import structural_similarity, visual_information_fidelity


def quality(*, ir: Tensor, vis: Tensor, fused: Tensor) -> dict[str, Tensor]:
    """Compare fused images with their sources.

    Args:
        ir: uint8 [B, 1, H, W], infrared levels 0..255.
        vis: uint8 [B, 1, H, W], luminance (BT.601, rounded) 0..255.
        fused: uint8 [B, 1, H, W], luminance (BT.601, rounded) 0..255.

    Returns:
        The metrics of ``eval.quality.names`` by key, in their order: float64 [B] each, on the same
        device. NaN if a metric is not defined: height or width is less than its window (2 pixels
        for SF, AG and Nabf, 3 for FMI, 11 for SSIM, 41 for VIF, 176 for MS-SSIM), an image is
        constant (CC), a source or a difference is constant (SCD), a source is constant (VIF), both
        sources are black (Qabf), or the fused image equals both sources (PSNR).

    Raises:
        ValueError: A tensor is not uint8 [B, 1, H, W], shapes differ, or the images are empty.
    """
    _check(ir, vis, fused)
    levels = torch.cat((ir, vis, fused), dim=1)  # uint8 [B, 3, H, W]
    joint = joint_histograms(levels[:, :2], fused)  # [B, 2, 256, 256]
    images = levels.float()  # [B, 3, H, W]
    sources, combined = levels[:, :2].double(), fused.double()  # [B, 2, H, W], [B, 1, H, W]
    ssim, ms_ssim = structural_similarity(sources, combined)
    return {
        "en": entropy(joint),
        "sd": standard_deviation(combined),
        "sf": spatial_frequency(combined),
        "ag": average_gradient(combined),
        "mi": mutual_information(joint),
        "scd": sum_of_correlations_of_differences(sources, combined),
        "vif": visual_information_fidelity(sources, combined),
        "qabf": edge_preservation(images),
        "nabf": fusion_artifacts(images),
        "ssim": ssim,
        "ms_ssim": ms_ssim,
        "fmi": feature_mutual_information(images),
        "cc": correlation_coefficient(sources, combined),
        "psnr": peak_signal_to_noise_ratio(sources, combined),
    }


def _check(ir: Tensor, vis: Tensor, fused: Tensor) -> None:
    for name, image in (("ir", ir), ("vis", vis), ("fused", fused)):
        if image.dtype != torch.uint8 or image.dim() != 4 or image.shape[1] != 1:
            raise ValueError(
                f"{name} must be uint8 [B, 1, H, W], not {image.dtype} {list(image.shape)}"
            )
        if image.shape != ir.shape or image.numel() == 0:
            raise ValueError(f"{name} is {list(image.shape)}, ir is {list(ir.shape)}")

"""Fusion quality: metrics of a fused image and its two sources, without a detector."""

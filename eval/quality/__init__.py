"""Fusion quality: how a fused image compares with its two sources, without a detector."""

"""Infrared/visible fusion: the networks, the fusers, and what they need."""

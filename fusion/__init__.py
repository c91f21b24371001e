"""Infrared/visible fusion: fusers, networks, the selective scan and weights."""

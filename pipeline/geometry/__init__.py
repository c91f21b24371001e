"""Geometry of image pairs: registration, misalignment, perturbation."""

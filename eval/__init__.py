"""Evaluation: labels, matching, average precision and the protocols."""

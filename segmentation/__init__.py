"""Segmenters, which find the class of each pixel of an image."""

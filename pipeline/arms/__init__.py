"""The arms that are no fusers, one file a kind: ready-made images, and merged detections."""

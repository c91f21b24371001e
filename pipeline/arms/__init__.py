"""Arms without a fuser, one file per kind: ready-made images, and merged detections."""

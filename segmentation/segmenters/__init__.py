"""One file for each kind of segmenter."""

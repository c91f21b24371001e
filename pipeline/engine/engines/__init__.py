"""Where the pairs are computed, one file a kind: each has a `Config` and `build(config)`."""

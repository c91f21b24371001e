"""Where pairs come from, one file a kind: each has a `Config` and `build(config)`."""

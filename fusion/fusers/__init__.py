"""The fusers, one file a kind: each has a `Config` and `build(config)`."""

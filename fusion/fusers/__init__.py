"""The fusers, one module per kind, each with a `Config` and `build(config)`."""

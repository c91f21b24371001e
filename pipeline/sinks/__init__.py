"""Sinks of results, one file per kind: each has a `Config` and `build(config, context, name)`."""

"""The folder of a run: writing, resuming and reading it."""

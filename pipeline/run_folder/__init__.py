"""The run folder: file names, creating, resuming and reading it."""

"""Shared by all packages: errors, checksums, writing files, compiled loops, memory."""

"""Shared by all packages: errors, components, checksums, files, compiled loops, memory."""

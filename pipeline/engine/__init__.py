"""A run: what becomes of a pair between its source and the sinks."""

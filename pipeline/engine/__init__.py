"""A run: from the source's pairs to the sinks and the evaluation."""

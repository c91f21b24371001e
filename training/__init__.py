"""Training of the weights that ship; only the command line imports it."""

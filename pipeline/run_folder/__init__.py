"""The folder of a run: while it is made, resumed, and read back."""

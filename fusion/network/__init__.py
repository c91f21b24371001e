"""FusionMamba: assemblies and the blocks that they are made of."""

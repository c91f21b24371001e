"""FusionMamba and the gate U-Net: networks, their blocks, and checkpoints."""

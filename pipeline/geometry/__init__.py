"""How two images lie to each other: registration, misalignment, perturbation."""

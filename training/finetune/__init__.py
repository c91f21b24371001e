"""Fine-tuning of one detector a time on each arm's images, and their comparison."""

"""Generated IR/VIS street scenes with exact boxes."""

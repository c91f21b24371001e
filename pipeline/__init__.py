"""From a source to a run folder: configuration, components, runner and command line."""

"""The configuration: from YAML and overrides to checked settings and components."""

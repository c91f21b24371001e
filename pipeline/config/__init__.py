"""The configuration: YAML and overrides, validated to settings and components."""

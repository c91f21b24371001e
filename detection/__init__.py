"""Object detection: boxes, the detector protocol, geometry and the adapters."""

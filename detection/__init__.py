"""Object detection: boxes, the detector protocol, letterboxing and the adapters."""

"""Which frames belong together: pairing by time, and two clocks' offset and drift."""

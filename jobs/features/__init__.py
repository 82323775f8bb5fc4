"""Feature groups: their rows, windows over events, validation, statistics, the point-in-time join."""

"""The local stack: every server of the platform on one machine, without containers."""

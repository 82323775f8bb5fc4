"""The command `giornata`, one module per group of its commands."""

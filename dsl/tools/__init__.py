"""Tools around the language: its reference page, traces of a row, checks of vectorised functions."""

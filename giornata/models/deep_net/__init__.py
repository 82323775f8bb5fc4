"""Deep nets: fitted by PyTorch, answered by NumPy alone."""

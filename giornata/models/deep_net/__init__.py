"""Deep nets: fitted by PyTorch, with predictions by NumPy."""

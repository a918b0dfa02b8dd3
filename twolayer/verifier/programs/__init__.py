"""People's code, run over balls: NumPy as it stands, and JAX through its jaxpr."""

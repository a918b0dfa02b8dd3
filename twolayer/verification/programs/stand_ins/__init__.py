"""What people's code gets for NumPy, math, scipy, jax.numpy and plotting: the same names, over balls."""

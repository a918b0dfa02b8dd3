"""How far two correct computations of one thing may lie apart, and the comparison that uses it."""

import jax
import numpy as np

# ||actual - expected|| / ||expected|| of each leaf, by dtype. Products are computed at the highest precision (see
# conftest.py), so backends share the table; one that needs more room gets its own entry, ("float32", "tpu").
TOLERANCES = {
    "int32": 0,  # counts are exact
    # eps is 2e-16. A gradient here is a sum of tens of products through two layers: two digits go. An optimiser that
    # divides by a small second moment, over ten steps, takes two more; the rest is room for cancellation.
    "float64": 1e-11,
    # eps is 1.2e-7, and the same two digits go. Too little is left to compare whole training runs: use float64.
    "float32": 1e-5,
    # eps is 2^-8 = 0.004. Every intermediate is rounded to it, a dozen on the way to dW1.
    "bfloat16": 0.05,
}

# Central differences with h = 2^-17, losses of size one: h^2 times a third derivative is 1e-10, the rounding of the
# loss divided by h 3e-11. A hundred times that, absolute.
FINITE_DIFFERENCES = 1e-8


def assert_close(actual, expected, dtype=None, absolute=0.0):
    """Same tree, same shapes, all finite, and each leaf within the tolerance of `dtype`, by default its own."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for leaf, reference in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        name = str(dtype or leaf.dtype)
        relative = TOLERANCES.get((name, jax.default_backend()), TOLERANCES[name])
        leaf, reference = np.asarray(leaf, np.float64), np.asarray(reference, np.float64)
        assert leaf.shape == reference.shape
        assert np.isfinite(leaf).all() and np.isfinite(reference).all()
        error = np.linalg.norm(leaf - reference)
        assert error <= relative * np.linalg.norm(reference) + absolute, (error, leaf, reference)


def assert_identical(actual, expected):
    """Same tree, same dtypes, same bits."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), (a, b)

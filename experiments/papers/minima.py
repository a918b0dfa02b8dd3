"""The published counts of bad minima (Safran & Shamir 2018), and how ours are compared with them."""

import math

import numpy as np
from jaxtyping import Float

FAILED = 1e-3  # a loss of at least this
PUBLISHED_RUNS = 1000
PUBLISHED = dict(
    zip(range(6, 21), (3, 55, 126, 218, 346, 455, 585, 730, 736, 803, 851, 897, 900, 934, 949), strict=True)
)
# The authors' later series for n = k: % of 500 runs with a step of 5 / k and a flatter stop (Safran et al. 2021).
PUBLISHED_2021 = (0.0, 5.4, 11.4, 22.2, 32.0, 47.4, 53.8, 67.0, 70.4, 78.0, 87.2, 90.2, 89.6, 94.4, 94.2)
PUBLISHED_PLUS_ONE = {8: 1, 10: 1, 11: 1, 12: 3, 13: 15, 14: 55, 15: 102, 16: 180, 17: 233, 18: 369, 19: 491}
# The one bad minimum for k = 7, up to permutations (authors' README): 1 + 6 entries on the diagonal, the others off it.
MINIMUM_7 = {-0.6327039049: 1, 0.9969227988: 6, 0.2616910758: 6, 0.1859910463: 6, -0.0350801559: 30}
NORMAL_99 = 2.5758293035489004  # of the standard normal's mass, 99 % lies between minus this and this


def distance(W: Float[np.ndarray, "7 7"]) -> float:
    """The largest difference of an entry of W (7, 7) from the known minimum's, both sorted: permutations cancel."""
    known = sorted(value for value, times in MINIMUM_7.items() for _ in range(times))
    return max(abs(a - b) for a, b in zip(sorted(W.ravel().tolist()), known, strict=True))


def compare(ours: int, n: int, theirs: int, m: int) -> dict:
    """Two shares, ours/n and theirs/m, from independent runs.

    z has the pooled share's deviation, which holds if both are the same; `interval` is of the difference in percent.
    """
    p, q, pooled = ours / n, theirs / m, (ours + theirs) / (n + m)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = (p - q) / deviation if deviation else 0.0
    half = NORMAL_99 * deviation
    interval = [100 * (p - q - half), 100 * (p - q + half)]
    return {"z": z, "interval": interval, "inside": abs(z) <= NORMAL_99}

"""Intervals that may be printed: of means over networks, and of shares of networks.

A mean has Student's t interval at every n. The percentile bootstrap, which stood here before, covers 73 % at n = 3
where it says 95 %; at n >= 30 it is t's equal and no better. `experiments.benchmarks.coverage` measures both.

An accuracy is a count over the examples it was measured on. Of a few networks all may have the same, and the deviation
of the sample is then no estimate of anything; it counts as half of that resolution at least. No accuracy is outside of
[0, 1], and no interval of its mean.

Networks may differ in several things at once, such as their start and the order of their data. Where these are crossed
(each start with each order) the networks are not independent, and the variance of the mean is taken as

    sum over the things that differ of (variance of the means at its levels) / (number of its levels)

a little too large by what the last of them counts twice, never too small on average (the expected mean squares of a
random-effects design; Searle, Casella & McCulloch 1992, ch. 5). The degrees of freedom are those of the source with the
fewest levels: Welch's and Satterthwaite's are more, and with them 3 starts of 3 orders covered 91 %.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

Levels = Mapping[str, Sequence | np.ndarray]  # of each thing that differs, its value for each number

CONFIDENCE = 0.95
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

# What makes networks with the same choices differ: the flag that is swept, and its name in words.
SOURCES = {
    "seed": "start",
    "order_seed": "data order",
    "label_noise_seed": "label noise",
    "teacher_seed": "teacher and data",
}


def figures(
    values: Sequence[float | None] | np.ndarray, levels: Levels | None = None, resolution: float = 0.0
) -> dict | None:
    """n, mean, sd, interval of the mean and quantiles of the finite values; None where there are none.

    Args:
      levels: of each source of variation that was swept, its value for each of `values`.
      resolution: of an accuracy, one example of those it was measured on.
    """
    numbers = np.array([np.nan if value is None else value for value in values], float)
    kept = np.isfinite(numbers)
    numbers = numbers[kept]
    if not len(numbers):
        return None
    own = {name: list(np.array(some, object)[kept]) for name, some in (levels or {}).items()}
    return {
        "n": len(numbers),
        "mean": float(numbers.mean()),
        "sd": float(numbers.std(ddof=1)) if len(numbers) > 1 else None,
        "interval": mean_interval(numbers, own, resolution),
        "quantiles": dict(zip(map(str, QUANTILES), np.quantile(numbers, QUANTILES).tolist(), strict=True)),
    }


def mean_interval(
    numbers: np.ndarray, levels: Levels | None = None, resolution: float = 0.0
) -> tuple[float, float] | None:
    """Student's t interval of the mean; None of one number, or where nothing that differs was repeated.

    Args:
      levels, resolution: as in `figures`; without levels the numbers are independent.
    """
    parts = _variances(numbers, levels or {})
    if not parts:
        return None
    variance = sum(part for part, _ in parts)
    least = (resolution / 2) ** 2 / len(numbers)
    freedom = min(freedom for _, freedom in parts)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(max(variance, least))
    low, high = float(numbers.mean() - half), float(numbers.mean() + half)
    return (max(low, 0.0), min(high, 1.0)) if resolution else (low, high)


def _variances(numbers: np.ndarray, levels: Levels) -> list[tuple[float, int]]:
    """For each source of variation its part of the variance of the mean, and the degrees of freedom of that."""
    found = []
    for some in levels.values():
        kinds, which = np.unique(np.asarray(some), return_inverse=True)
        if len(kinds) > 1:
            means = np.bincount(which, numbers) / np.bincount(which)
            found.append((float(means.var(ddof=1) / len(kinds)), len(kinds) - 1))
    if not levels and len(numbers) > 1:
        found.append((float(numbers.var(ddof=1) / len(numbers)), len(numbers) - 1))
    return found


def share(count: int, n: int) -> dict | None:
    """A count among n with its share and 95 % interval; None of none.

    The interval is Wilson's, with the ends of Brown, Cai & DasGupta (2001, section 4.1.1) where the count is within two
    (three for n > 50) of 0 or n: there Wilson's own covers as little as 83 %.
    """
    if not n:
        return None
    low, high = stats.binomtest(count, n).proportion_ci(CONFIDENCE, method="wilson")
    few = 2 if n <= 50 else 3
    if 1 <= count <= few:
        low = stats.chi2.ppf(1 - CONFIDENCE, 2 * count) / 2 / n
    if 1 <= n - count <= few:
        high = 1 - stats.chi2.ppf(1 - CONFIDENCE, 2 * (n - count)) / 2 / n
    return {"count": count, "n": n, "share": count / n, "interval": [float(low), float(high)]}


def varying(axes: Sequence[str], *, shared: bool, order_seed: int | None) -> dict[str, bool]:
    """Start and data order, and whatever else may differ between the networks of a group: whether it does.

    Args:
      axes: names of what is swept.
      shared: whether all networks of a part see the same batches.
      order_seed: given for all of them, or None.
    """
    order = "order_seed" in axes or ("seed" in axes and not shared and order_seed is None)
    found = {"start": "seed" in axes, "data order": order}
    return found | {SOURCES[name]: True for name in axes if name in SOURCES and SOURCES[name] not in found}


def differ(varies: Mapping[str, bool]) -> str:
    """What the networks of a group differ in, for figures without intervals."""
    own, same = ([name for name, does in varies.items() if does == wanted] for wanted in (True, False))
    alike = f"the same {' and '.join(same)} for all" if same else ""
    return "; ".join([*([f"networks differ in {' and '.join(own)}"] if own else []), *([alike] if alike else [])])


def said(varies: Mapping[str, bool]) -> str:
    """A sentence for tables and figures: what the intervals are over, and what they leave out."""
    over = [name for name, does in varies.items() if does]
    if not over:
        return "no intervals: nothing was repeated; sweep over seed"
    sentence = f"95 % intervals over {' and '.join(over)}"
    if not varies["data order"]:
        sentence += "; the data order is the same for all and not in them (--noshare gives each its own)"
    if not varies["start"]:
        sentence += "; the start is the same for all and not in them"
    return sentence

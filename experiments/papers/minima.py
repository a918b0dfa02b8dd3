"""The published bad minima (Safran & Shamir 2018), and how ours are compared with them."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

FAILED = 1e-3  # a loss of at least this
PUBLISHED_RUNS = 1000
# k, n, and each kind of bad minimum: its loss in units of 1e-4, and how many runs ended there. Points and counts are
# those of the authors' result files, the loss of each point was computed here. A line's counts add up to its failures.
_POINTS = """
6 6 251:3
7 7 232:55
8 8 215:126
9 9 200:213 375:5
10 10 187:312 353:34
11 11 175:383 333:71 545:1
12 12 165:427 316:135 455:17 543:2 609:2 665:2
13 13 156:470 299:220 433:30 607:10
14 14 148:398 284:246 413:72 534:9 541:4 606:3 661:2 709:2
15 15 141:374 271:273 394:105 511:30 540:12 604:4 659:2 707:2 749:1
16 16 134:297 259:292 377:180 490:52 540:6 598:4 603:9 658:7 705:3 747:1
17 17 128:278 248:301 362:191 471:80 575:14 602:14 656:5 674:1 703:10 745:3
18 18 122:237 237:271 347:204 453:124 554:29 602:15 651:2 655:7 702:4 743:4 780:3
19 19 117:196 228:254 334:241 436:134 534:44 601:16 629:8 654:22 700:8 741:4 778:2 812:4 843:1
20 20 113:158 219:204 322:241 420:181 516:87 598:9 608:27 653:11 696:6 699:14 740:7 776:2 809:2
8 9 206:1
10 11 179:1
11 12 168:1
12 13 158:3
13 14 149:1 361:9 426:3 545:2
14 15 141:2 283:23 351:22 415:5 475:3
15 16 134:2 203:1 275:52 342:24 360:2 404:13 463:7 519:1
16 17 128:4 241:3 267:91 333:55 394:18 452:6 507:3
17 18 117:1 122:4 192:23 260:97 324:60 331:1 384:31 441:10 495:4 547:2
18 19 117:1 186:101 221:1 253:124 315:76 318:1 374:34 408:1 430:17 483:10 583:3
19 20 112:5 181:127 212:4 246:142 306:2 307:107 365:58 394:1 419:23 472:14 522:6 570:1 616:1
"""
PUBLISHED = {
    (int(k), int(n)): {int(loss) / 10_000: int(runs) for loss, runs in (level.split(":") for level in levels)}
    for k, n, *levels in map(str.split, _POINTS.strip().splitlines())
}
# The authors' later series for n = k: % of 500 runs with a step of 5 / k and a flatter stop (Safran et al. 2021).
PUBLISHED_2021 = (0.0, 5.4, 11.4, 22.2, 32.0, 47.4, 53.8, 67.0, 70.4, 78.0, 87.2, 90.2, 89.6, 94.4, 94.2)
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


def same_levels(ours: dict[float, int], theirs: dict[float, int]) -> float | None:
    """Do the failed runs end at the same losses, in the same shares? The p-value of Pearson's chi-squared test.

    Levels with fewer than ten runs in both together count as one. None if no two are left, or a side has no runs.
    """
    counts = np.array([(ours.get(level, 0), theirs.get(level, 0)) for level in sorted({*ours, *theirs})]).reshape(-1, 2)
    rare = counts.sum(1) < 10
    table = np.vstack([counts[~rare], counts[rare].sum(0)])
    table = table[table.any(1)]
    if len(table) < 2 or not table.any(0).all():
        return None
    found: Any = stats.chi2_contingency(table, correction=False)
    return float(found.pvalue)

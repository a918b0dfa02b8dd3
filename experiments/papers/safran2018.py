"""How often does gradient descent on two-layer ReLU networks end in a bad local minimum?

  python -m experiments.papers.safran2018                              26 cells of 1,000 runs
  python -m experiments.papers.safran2018 --ks=6,8 --runs=200          fewer

Safran & Shamir, "Spurious local minima are common in two-layer ReLU neural networks", ICML 2018. A student
sum_j relu(w_j . x) of n units learns the teacher sum_l relu(x_l) of k units, x ~ N(0, I_k), from W ~ N(0, 1/k), by
gradient descent on the population loss L = 1/2 E[(student - teacher)^2]: no data, no noise, float64. Step 0.1, halved
where it diverges; a run ends once max_j ||2 pi dL/dw_j|| < 1e-9, and it failed if L >= 1e-3 then. The authors compute
2 pi times the gradient of this L and divide their step of 0.1 by 2 pi, so step and stop are those of L with its 1/2.
Published: counts among 1,000 runs, from the authors' result files; "k = 7, n = 8" has one unit more than the teacher.

With n = k + 1 two units share a direction at the optimum, its Hessian is singular, and the slope falls like a power of
the number of steps. A run with L < 1e-3 cannot fail any more, because descent only lowers L; so there, and only there,
a run also ends at L < 1e-3 (looked at each 500 steps). --settle=always does that for n = k too, --settle=never nowhere.
--cap bounds the steps; a run that has not ended then counts by its loss, and is reported as undecided. The median run
takes some thousands of steps; for k = 17, n = 18 a minimum with L = 0.019157 is so shallow (its Hessian has 3.8e-5
twice, with saddles of the same height 1e-3 away) that one takes 1.8 million.

`twolayer/population.py` has the loss and derives the gradient. tests/test_population.py holds the gradient against
jax.grad of the loss, encloses the difference of the two in balls of 1e-50 that hold 0 (which no rounding can fake), and
has twolayer.verification prove the same network's gradient on samples, from which a mean gives the population's.

All 26 cells take half an hour of a core of an AMD EPYC, and twice that beside other programs. 24 of the 26 counts lie
within the 99 % interval of the two samples' difference, and the known minimum for k = 7 is met to 3e-11 by all 62 runs
that fail. Two miss; such cells are run again from other starts. For k = 13, 653 and 617 of 1,000 runs fail where 730
were published: 5.2 standard deviations; the authors' own later series has 67.0 %. For k = 17, n = 18, 290 and 270 fail
where 233 were published: 2.75. It is the number of failures that differs, and not what fails: all but 43 of our 10,049
failed runs end in minima that the authors' result files have too, all but 20 of their 10,039 in minima of ours, and in
the same shares (Pearson's chi-squared test of the 19 cells where it can be made: the smallest p-value is 0.04).
"""

import dataclasses
import math
from typing import Any

from absl import flags

from experiments.papers import minima, study
from experiments.papers.results import Origin, Row
from twolayer.command import cli

PAPER = {
    "question": "How often does gradient descent end in a bad minimum of a ReLU teacher?",
    "minutes": 30,
    "rows": 29,
}
FLAGS = flags.FLAGS
flags.adopt_module_key_flags(study)
flags.DEFINE_list("ks", [str(k) for k in range(6, 21)], "Units of the teacher, and inputs: the cells with n = k.")
flags.DEFINE_list("ks_plus_one", ["8", *map(str, range(10, 20))], "The same for the cells with n = k + 1.")
flags.DEFINE_integer("runs", 1000, "Runs of each cell.", lower_bound=1, upper_bound=10**6)
flags.DEFINE_float("step", 0.1, "Of gradient descent.", lower_bound=1e-9, upper_bound=10)
flags.DEFINE_float("flat", 1e-9, "A run ends at this max_j ||2 pi dL/dw_j||.", lower_bound=1e-12, upper_bound=1e-4)
flags.DEFINE_enum("settle", "plus_one", ["plus_one", "always", "never"], "Where a run also ends once L < 1e-3.")
flags.DEFINE_integer("cap", 3_000_000, "Most steps of a run.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Of the starts.", lower_bound=0, upper_bound=2**31 - 2)
OWN = ("runs", "step", "flat", "settle", "cap", "seed")

FLATTER = 1e-12  # the slope at which the minimum for k = 7 is compared


def main() -> int:
    """Flags to a table of cells; returns the exit status."""
    ks, ks_plus_one = (study.whole_numbers(flag, 2, 200) for flag in ("ks", "ks_plus_one"))
    cells = [(k, k) for k in ks] + [(k, k + 1) for k in ks_plus_one]
    if not cells:
        raise cli.BadInput("--ks and --ks_plus_one are both empty: nothing to do")
    return study.main("safran2018", OWN, lambda work: _rows(work, cells))


def _rows(work: study.Study, cells: list[tuple[int, int]]) -> list[Row]:
    rows = []
    for k, n in cells:
        cell = work.cell(f"k{k}-n{n}", lambda k=k, n=n: _cell(k, n, FLAGS.seed))
        rows.append(_row(k, n, cell))
        if "distance" in cell:
            rows.append(_minimum(cell))
    judged = [row for row in rows if "inside" in row.beside]
    if len(judged) == len(minima.PUBLISHED):
        outside = sum(not row.beside["inside"] for row in judged)
        name, bar = "cells outside their interval", f"at most 1 of {len(judged)}"
        of_all = Origin.total(row.origin for row in judged).counted()
        rows.append(Row("safran2018", name, None, [outside], "cells", of_all, bar=bar, met=outside <= 1))
        rows.append(_same_minima(judged, of_all))
    rows += [_again(work, row) for row in judged if not row.beside["inside"]]
    rows = study.judged(rows, "step", "flat", "settle", "cap", "seed", least=("runs",))
    if FLAGS.figures:
        from experiments.papers import plots

        plots.bad_minima(work.run.figures / "safran2018.png", [row for row in rows if _is_cell(row)])
    return rows


def _is_cell(row: Row) -> bool:
    return "k" in row.facts and "both" not in row.facts


def _again(work: study.Study, row: Row) -> Row:
    """The cell of a row outside its interval from other starts, and how both together compare."""
    k, n = row.facts["k"], row.facts["units"]
    other = _row(k, n, work.cell(f"k{k}-n{n}-again", lambda: _cell(k, n, FLAGS.seed + 1)))
    failures, runs = row.facts["failures"] + other.facts["failures"], (row.n or 0) + (other.n or 0)
    beside = minima.compare(failures, runs, other.beside["published_failures"], minima.PUBLISHED_RUNS)
    facts = {**other.facts, "both": {"failures": failures, "runs": runs, **beside}}
    return dataclasses.replace(other, row=f"{row.row}, other starts", facts=facts, bar="", met=None)


def _cell(k: int, n: int, seed: int) -> dict:
    """One cell's runs: how many failed, at which losses, after how many steps."""
    import jax
    import numpy as np

    from experiments.papers import descent

    with jax.enable_x64(True):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), k), n)
        settled = minima.FAILED if FLAGS.settle == "always" or (FLAGS.settle == "plus_one" and n > k) else -math.inf
        stop = descent.Stop(FLAGS.flat, settled, FLAGS.cap)
        runs = descent.descend(descent.begin(key, FLAGS.runs, n, k, FLAGS.step), stop)
        loss, steps = np.asarray(descent.losses(runs.W)), np.asarray(runs.steps)
        bad = ~(loss < minima.FAILED)
        levels, counts = np.unique(loss[bad].round(4), return_counts=True)
        cell = {
            "failures": int(bad.sum()),
            "undecided": int(runs.going.sum()),
            "undecided_bad": int(runs.going[bad].sum()),
        }
        cell |= {"halved": int((runs.step < FLAGS.step).sum()), "median_steps": float(np.median(steps))}
        cell |= {"most_steps": int(steps.max()), "levels": dict(zip(map(str, levels), counts.tolist(), strict=True))}
        if (k, n) == (7, 7) and bad.any():
            # Where they stop, a flat direction leaves them 1e-8 from the minimum.
            ended = descent.further(runs, bad, descent.Stop(FLATTER, -math.inf, FLAGS.cap))
            cell["distance"] = max(minima.distance(W) for W in np.asarray(ended.W))
    return cell


def _minimum(cell: dict) -> Row:
    """How far the failed runs for k = 7 end from the authors' minimum."""
    name, unit = "k = 7, from the known minimum", "largest difference of an entry"
    of_cell, runs = Origin.of_cell(cell).counted(), cell["failures"]
    bar, met = "at most 1e-8", cell["distance"] <= 1e-8
    values = [cell["distance"]]
    return Row("safran2018", name, None, values, unit, of_cell, bar=bar, met=met, n=runs)


def _same_minima(cells: list[Row], of_all: Origin) -> Row:
    """Whether the failed runs of all cells end where the authors' do, and how many end where none of theirs did."""
    tested = [p for row in cells if (p := row.beside["levels_p_value"]) is not None]
    failures, new = sum(row.facts["failures"] for row in cells), sum(row.beside["at_new_levels"] for row in cells)
    facts = {"cells": len(tested), "failures": failures, "at_new_levels": new}
    theirs, missed = (
        sum(row.beside[name] for row in cells) for name in ("published_failures", "published_at_new_levels")
    )
    facts |= {"published_failures": theirs, "published_at_new_levels": missed}
    return Row("safran2018", "the same minima", None, [min(tested)], "smallest p-value", of_all, facts)


def _row(k: int, n: int, cell: dict) -> Row:
    """A row beside the published count, with the difference of the two shares and its 99 % interval."""
    published = minima.PUBLISHED.get((k, n))
    name = f"k = {k}" if n == k else f"k = {k}, n = {n}"
    share = 100 * cell["failures"] / FLAGS.runs
    facts = {"k": k, "units": n}
    facts |= {name: value for name, value in cell.items() if name not in ("seconds", "device", "commit", "distance")}
    row = Row("safran2018", name, None, [share], "% of runs that fail", Origin.of_cell(cell), facts, n=FLAGS.runs)
    if published is None:
        return row.scaled({"ks" if n == k else "ks_plus_one": [str(k)]})
    failures = sum(published.values())
    beside: dict[str, Any] = {"published_2021": minima.PUBLISHED_2021[k - 6]} if n == k else {}
    beside |= {"published_failures": failures, "published_n": minima.PUBLISHED_RUNS, "published_levels": published}
    beside |= minima.compare(cell["failures"], FLAGS.runs, failures, minima.PUBLISHED_RUNS)
    levels = {float(loss): runs for loss, runs in cell["levels"].items()}
    beside["levels_p_value"] = minima.same_levels(levels, published)
    beside["at_new_levels"] = sum(runs for loss, runs in levels.items() if loss not in published)
    beside["published_at_new_levels"] = sum(runs for loss, runs in published.items() if loss not in levels)
    judged = {"bar": "within the 99 % interval of the difference", "met": beside["inside"]}
    return dataclasses.replace(row, published=100 * failures / minima.PUBLISHED_RUNS, beside=beside, **judged)


if __name__ == "__main__":
    cli.run(main)

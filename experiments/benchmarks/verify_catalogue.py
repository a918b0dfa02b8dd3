"""How good is the verification? Every wrong derivation of the catalogue, pairs of errors, and right ones, counted.

  python -m experiments.benchmarks.verify_catalogue                 all parts, about half an hour on 2 CPU cores
  python -m experiments.benchmarks.verify_catalogue --limit=20      a look, two minutes
  python -m experiments.benchmarks.verify_catalogue --dialect=numpy --json=docs/results/verification_numpy.json
                                                                    the same derivations as NumPy code

Kills: wrong derivations called wrong, or refused because they raise. Located: the first wrong step is the true one, all
eight steps returned; for two errors, both steps exactly. Named, from the four leaves alone: "unique" if the only cause
offered is one that a teacher would accept, "candidates" if it is one of several, "honest" if it is called unknown and
no name fits, "unknown" if one would, "wrong name" if other causes are offered and none is acceptable. Alarms: right
derivations not called right, at random shapes too, and in four precisions.
The wrong ones were written by hand, without sight of the checker. But the checker was then improved on what it missed
here, and some accepted causes were widened after its answers were read: these are figures of development, and say
less of new cases than of these.
"""

import collections
import concurrent.futures
import functools
import itertools
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments.benchmarks.catalogue import RIGHT, WRONG, doubles
from experiments.benchmarks.catalogue.in_numpy import right_text, wrong_text
from experiments.benchmarks.checkers import explanations
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance
from twolayer.verification import verify
from twolayer.verification.evidence.cases import case_at, subject, verdict_of
from twolayer.verification.evidence.points import points
from twolayer.verification.problem import LEAVES, Setting, Sizes
from twolayer.verification.programs import Refused
from twolayer.verification.programs.load import program_of
from twolayer.verification.programs.numpy_code import File
from twolayer.verification.verdict import worst

FLAGS = flags.FLAGS
PARTS = ["singles", "doubles", "right"]
flags.DEFINE_string("json", "docs/results/verification_catalogue.json", "Where the counts go.")
flags.DEFINE_integer("limit", None, "Of each part, only so many derivations, drawn at random.", lower_bound=1)
flags.DEFINE_multi_enum("parts", PARTS, PARTS, "Which parts; the others are kept from an earlier file.")
flags.DEFINE_integer("doubles", 150, "Pairs of errors in each setting.", lower_bound=1)
flags.DEFINE_integer("right", 250, "Right derivations, of all styles and settings.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Decides which derivations are drawn.", lower_bound=0)
flags.DEFINE_enum("dialect", "jax", ["jax", "numpy"], "What the derivations are written in.")
flags.DEFINE_integer("processes", 2, "Worker processes.", lower_bound=1)

SETTINGS = list(itertools.product(("cross_entropy", "quadratic"), ("relu", "identity")))  # loss, output
SHAPES = 36  # random shapes for each right derivation
PRECISIONS = ("float64", "float32", "tensorfloat32", "bfloat16")
NAMES = ("unique", "candidates", "honest", "unknown", "wrong name", "refused")


def main() -> int:
    """Run all parts and write the counts."""
    rng = random.Random(FLAGS.seed)
    singles = _drawn(rng, [e.id for e in WRONG if (e.reduction, e.layout) == ("mean", "rows")])
    pairs = _drawn(rng, list(_doubles(rng)))
    right = _drawn(rng, rng.sample([e.id for e in RIGHT], min(FLAGS.right, len(RIGHT))))
    parts = {
        "singles": (singles, judge_single, summarise_wrong),
        "doubles": (pairs, judge_double, summarise_wrong),
        "right": (right, judge_right, summarise_right),
    }
    path = writable(FLAGS.json)
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    result["provenance"] = provenance()
    with concurrent.futures.ProcessPoolExecutor(FLAGS.processes, multiprocessing.get_context("spawn")) as pool:
        for part in FLAGS.parts:
            (keys, judge, summarise), began = parts[part], time.perf_counter()
            found = pool.map(functools.partial(judge, dialect=FLAGS.dialect), keys, chunksize=4)
            result[part] = summarise(list(tqdm(found, total=len(keys), desc=part, unit="derivation")))
            print(part, {key: value for key, value in result[part].items() if not isinstance(value, list)})
            result[part]["git"] = result["provenance"]["git"]  # parts may be measured at different commits
            result[part]["seconds"] = time.perf_counter() - began
            write_json(path, result)
    return cli.DONE


def _drawn(rng: random.Random, keys: list) -> list:
    return keys if FLAGS.limit is None or FLAGS.limit >= len(keys) else rng.sample(keys, FLAGS.limit)


def _doubles(rng: random.Random) -> Iterator[tuple[str, str, int]]:
    """Pairs by their setting and their place in it, since there are thousands."""
    for setting in SETTINGS:
        count = sum(1 for _ in doubles(*setting))
        yield from ((*setting, place) for place in sorted(rng.sample(range(count), min(FLAGS.doubles, count))))


def judge_single(key: str, dialect: str) -> dict:
    """One derivation with one error, judged and compared with what the catalogue says of it."""
    entry = next(e for e in WRONG if e.id == key)
    full, leaves = (_verify(entry, dialect, steps=steps) for steps in (True, False))
    row = _row(entry, full) | {"name": "refused", "causes": []}
    if full is not None:
        forward = any(cause.leaf == "forward" for cause in full.causes)
        row["located"] = ("forward" if forward else full.first_wrong_step) == entry.steps[0]
    if leaves is not None:
        row["killed"] &= leaves.verdict == "wrong"
        row |= {"name": _named(leaves, entry), "causes": [f"{cause.id} at {cause.leaf}" for cause in leaves.causes]}
    return row


def judge_double(key: tuple[str, str, int], dialect: str) -> dict:
    """One derivation with two errors."""
    *setting, place = key
    entry = next(itertools.islice(doubles(*setting), place, None))
    full = _verify(entry, dialect, steps=True)
    return _row(entry, full) | ({} if full is None else {"located": _wrong_leaves(full) == set(entry.steps)})


def _row(entry: Any, full: Any) -> dict:
    """What is said of an entry by the verdict on all eight steps, which is None where it was refused."""
    row = {
        "id": entry.id,
        "kind": entry.kind,
        "killed": full is None or full.verdict == "wrong",
        "raised": full is None,
    }
    wrong = set() if full is None else _wrong_leaves(full)
    return row | {"subset": bool(wrong) and wrong < set(entry.steps)}


def _wrong_leaves(verdict: Any) -> set[str]:
    return {cause.leaf for cause in verdict.causes if cause.explanation == 0}


def _named(verdict: Any, entry: Any) -> str:
    """How the causes fare: "unique", "candidates", "unknown", "wrong name"; "honest" if unknown is all one can say."""
    offered = explanations((cause.explanation, cause.id) for cause in verdict.causes)
    accepted = [ids <= set(entry.causes) for ids in offered]
    if any("unknown" in ids for ids in offered):
        return "honest" if "unknown" in entry.causes else "unknown"
    if any(accepted):
        return "unique" if len(accepted) == 1 else "candidates"
    return "wrong name"


def _verify(entry: Any, dialect: str, steps: bool) -> Any:
    """The verdict, or None if the derivation was refused: it raises, or returns leaves of wrong shapes."""
    try:
        return verify(
            entry.function(steps=steps) if dialect == "jax" else _in_numpy(wrong_text(entry, steps), entry.id),
            loss=entry.loss,
            output=entry.output,
            reduction=entry.reduction,
            precisions=(),
            counterexample=False,
        )
    except ValueError:
        return None


def _in_numpy(text: str, name: str) -> Any:
    return File(f"{name}.py", text).program("gradients")


def judge_right(key: str, dialect: str) -> dict:
    """One right derivation: its formula, its rounding in each precision, and its formula at random shapes."""
    entry = next(e for e in RIGHT if e.id == key)
    text = right_text(entry) if dialect == "numpy" else None  # None: a style that is about automatic differentiation
    program = entry.function() if text is None else _in_numpy(text, entry.id)
    precisions = PRECISIONS if text is None else PRECISIONS[:2]
    verdict = verify(program, loss=entry.loss, output=entry.output, reduction=entry.reduction, precisions=precisions)
    row = {"id": entry.id, "formula": verdict.formula.verdict if verdict.formula else "undecided"}
    row["program"] = {one.precision: one.verdict for one in verdict.program}
    row["shapes"] = _at_random_shapes(entry, program)
    row["tie"] = verdict.conventions.get("relu_at_zero", {}).get("hidden") == entry.tie
    return row


def _at_random_shapes(entry: Any, program: Any) -> list[str]:
    """The verdict on all four leaves, at sizes of 1 to 6; a derivation that does not run there is undecided."""
    setting, verdicts = Setting(entry.loss, entry.output, entry.reduction), []
    program = program_of(program)
    found = subject(program, setting)
    for seed in range(SHAPES):
        d, K, C, m = np.random.default_rng([seed, len(entry.id)]).integers(1, 7, 4).tolist()
        sizes = Sizes(d, K, max(C, 2) if entry.loss == "cross_entropy" else C, max(m, 2))
        kinds = [("ordinary", 2), ("extreme", 1)]
        try:
            cases = [case_at(found, point) for kind, n in kinds for point in points(setting, sizes, kind, n, seed)]
        except Refused:
            verdicts.append("undecided")
            continue
        states = [verdict_of(leaf, cases) for leaf in LEAVES]
        verdicts.append(worst("undecided" if state == "unknown" else state for state in states))
    return verdicts


def summarise_wrong(rows: list[dict]) -> dict:
    """Counts, and by name whatever was not as it should be."""
    shown = [row for row in rows if not row["raised"]]
    found = {
        "derivations": len(rows),
        "killed": sum(row["killed"] for row in rows),
        "raised": len(rows) - len(shown),
        "located": sum(row["located"] for row in shown),
        "located_of": len(shown),
        "subset": sum(row["subset"] for row in shown),
        "survivors": [row["id"] for row in rows if not row["killed"]],
        "not_located": [row["id"] for row in shown if not row["located"]],
    }
    if "name" in rows[0]:
        counts = collections.Counter(row["name"] for row in rows)
        found |= {name.replace(" ", "_"): counts[name] for name in NAMES}
        found["not_unique"] = [
            {"id": row["id"], "name": row["name"], "causes": row["causes"]}
            for row in rows
            if row["name"] in ("candidates", "unknown", "wrong name")
        ]
    return found


def summarise_right(rows: list[dict]) -> dict:
    """How many were judged, and which were not accepted."""
    shapes = [(row["id"], verdict) for row in rows for verdict in row["shapes"]]
    programs = [(row["id"], *one) for row in rows for one in row["program"].items()]
    return {
        "derivations": len(rows),
        "verdicts": len(rows) + len(shapes) + len(programs),
        "formula_alarms": sum(row["formula"] == "wrong" for row in rows),
        "formula_undecided": sum(row["formula"] == "undecided" for row in rows),
        "random_shapes": len(shapes),
        "random_shape_alarms": sum(verdict == "wrong" for _, verdict in shapes),
        "random_shape_undecided": sum(verdict == "undecided" for _, verdict in shapes),
        "programs": len(programs),
        "program_alarms": sum(verdict == "wrong" for *_, verdict in programs),
        "program_undecided": sum(verdict == "undecided" for *_, verdict in programs),
        "convention_as_stated": sum(row["tie"] for row in rows),
        "not_right": [row["id"] for row in rows if row["formula"] != "right"]
        + [f"{id}, a random shape: {verdict}" for id, verdict in shapes if verdict != "right"]
        + [f"{id}, {precision}: {verdict}" for id, precision, verdict in programs if verdict != "right"],
    }


if __name__ == "__main__":
    cli.run(main)

"""How good is the verification on what people write? Each file of a folder, as it stands, held against its table.

  python -m experiments.benchmarks.verify_people                         all files, some minutes on 2 CPU cores
  python -m experiments.benchmarks.verify_people --files=mask_forgotten,random_dropout

The folder holds derivations and expected.json, which says of each what it is for, whether it is right, which step,
line and variable are wrong first, and which causes a teacher would accept. Cause: "named" if the first explanation
offered is acceptable, "candidate" if a later one is, "honest" if it is called unknown and no id fits, "unknown" if one
would, "false" if others are offered and none is acceptable. Line: it is the expected one, or a range that holds it.
The files were written in our own words after public questions, notebooks and repositories.
"""

import collections
import json
import pathlib
import re
import time
from typing import Any

from absl import flags

from experiments.benchmarks import TimedOut, judged, time_limit
from twolayer.command import cli
from twolayer.command.files import read_json, writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
HERE = pathlib.Path(__file__).parent
flags.DEFINE_string("folder", str(HERE / "catalogue" / "people"), "Derivations, and expected.json.")
flags.DEFINE_string("json", None, "Where the counts and the row of each file go [nowhere].")
flags.DEFINE_list("files", None, "Only these, by name without .py [all].")
flags.DEFINE_integer("processes", 2, "Worker processes.", lower_bound=1)
flags.DEFINE_float("time_limit", 60.0, "Seconds for one file.", lower_bound=1.0)

COLUMNS = ("file", "expected", "verdict", "step", "line", "variable", "cause", "seconds")


def main() -> int:
    """Judge all files, show a row for each and the counts."""
    path = writable(FLAGS.json) if FLAGS.json else None
    folder, table = pathlib.Path(FLAGS.folder), _table()
    files = [(folder / f"{name}.py", row, FLAGS.time_limit) for name, row in table.items()]
    rows = judged(judge, files, FLAGS.processes, COLUMNS, 34)
    counts = summarise(rows)
    print(json.dumps(counts, indent=2))
    if path:
        write_json(path, {"counts": counts, "rows": rows, "provenance": provenance()})
    return cli.DONE


def _table() -> dict[str, dict]:
    path = pathlib.Path(FLAGS.folder) / "expected.json"
    if not path.is_file():
        raise cli.BadInput(f"--folder={FLAGS.folder} has no expected.json, which says what is right and wrong in it")
    table = read_json(path)
    unknown = set(FLAGS.files or ()) - set(table)
    if unknown:
        raise cli.BadInput(f"--files: {', '.join(sorted(unknown))} is not in expected.json of {FLAGS.folder}")
    return {name: row for name, row in table.items() if not FLAGS.files or name in FLAGS.files}


def verify(path: pathlib.Path, row: dict) -> Any:
    """The verdict on a file; the one place here that knows the verifier.

    Raises:
      BadInput: it is refused, in one line.
    """
    from twolayer.verification.judge import verify
    from twolayer.verification.programs import NotJudged, Refused

    question = {"loss": row["loss"], "output": row["output"], "reduction": row["reduction"]}
    with cli.bad_input(Refused, NotJudged):
        return verify(str(path), **question, activation=row["hidden"], biases=row.get("biases") != "none")


def judge(path: pathlib.Path, row: dict, limit: float) -> dict:
    """The verdict on one file beside what the table expects."""
    started = time.perf_counter()
    found: dict[str, Any] = {"file": path.stem, "expected": row["verdict"]}
    try:
        with time_limit(limit):
            verdict = verify(path, row)
    except (ValueError, cli.BadInput, TimedOut) as error:
        found |= {"verdict": "refused", "said": [" ".join(str(error).split())]}
    except Exception as error:  # a fault of the verifier, and to be counted as one
        found |= {"verdict": "fault", "said": [f"{type(error).__name__}: {' '.join(str(error).split())}"]}
    else:
        found |= {"verdict": verdict.verdict, "causes": _causes(verdict), "said": _said(verdict)}
        found["wrong"] = [leaf for leaf, one in verdict.leaves.items() if one.verdict == "wrong"]
        if row["verdict"] == "wrong" == verdict.verdict:
            found |= compare(verdict, row)
    return found | {"seconds": round(time.perf_counter() - started, 2)}


def compare(verdict: Any, row: dict) -> dict[str, Any]:
    """Which of step, line, variable and cause are as the table has them, for a file rightly called wrong."""
    first = [cause for cause in verdict.causes if cause.explanation == 0]
    step = "forward" if any(cause.leaf == "forward" for cause in first) else verdict.first_wrong_step
    line, variable = getattr(verdict, "line_number", None), getattr(verdict, "variable", None)
    since = next((cause.since for cause in first if getattr(cause, "since", None)), line)
    within = line is not None and any(line == n or since < n <= line for n in row["lines"])
    name = (re.findall(r"\w+", variable) or [None])[-1] if variable else None  # "self.cache['dZ1']" is dZ1
    return {
        "step": step == row["first_wrong_step"],
        "line": within,
        "variable": name in row["variables"] or variable in row["variables"],
        "cause": named(verdict, row),
        "found": {"step": step, "line": line, "variable": variable},
    }


def named(verdict: Any, row: dict) -> str:
    """Classify the causes: "named", "candidate", "honest", "unknown" or "false"."""
    alternatives = collections.defaultdict(set)
    for cause in verdict.causes:
        alternatives[cause.explanation].add(cause.id)
    wanted = [set(row["causes"])] + ([set(row["second"]["causes"])] if "second" in row else [])
    both = set().union(*wanted)
    fits = [ids <= both and all(ids & one for one in wanted) for ids in alternatives.values()]
    if any("unknown" in ids for ids in alternatives.values()) or not fits:
        return "honest" if "unknown" in both else "unknown"
    if any(fits):
        return "named" if fits[0] else "candidate"
    return "false"


def _causes(verdict: Any) -> list[str]:
    return [f"{cause.explanation}: {cause.id} at {cause.leaf}" for cause in verdict.causes]


def _said(verdict: Any) -> list[str]:
    """What stands beside the verdict: notes, guards, and what the file's own loss is."""
    guards = getattr(verdict.formula, "guards", ())
    return [*verdict.notes, *(f"guard: {guard}" for guard in guards), *([verdict.loss] if verdict.loss else [])]


def summarise(rows: list[dict]) -> dict[str, Any]:
    """The counts, and the files behind those that are not as they should be."""
    right = [row for row in rows if row["expected"] == "right"]
    wrong = [row for row in rows if row["expected"] == "wrong"]
    other = [row for row in rows if row["expected"] not in ("right", "wrong")]
    shown = [row for row in wrong if row["verdict"] == "wrong"]
    causes = collections.Counter(row["cause"] for row in shown)
    seconds = sorted(row["seconds"] for row in rows)
    return {
        "right": len(right),
        "right_accepted": sum(row["verdict"] == "right" for row in right),
        "right_refuted": [row["file"] for row in right if row["verdict"] == "wrong"],
        "wrong": len(wrong),
        "wrong_judged_wrong": len(shown),
        "wrong_passed": [row["file"] for row in wrong if row["verdict"] == "right"],
        "step_right": sum(row["step"] for row in shown),
        "line_right": sum(row["line"] for row in shown),
        "variable_right": sum(row["variable"] for row in shown),
        "cause_right": causes["named"] + causes["honest"],
        "causes": {name: causes[name] for name in ("named", "candidate", "honest", "unknown", "false")},
        "false_causes": [row["file"] for row in shown if row["cause"] == "false"],
        "other_as_expected": sum(row["verdict"] in ("undecided", "refused") for row in other),
        "other": len(other),
        "faults": [row["file"] for row in rows if row["verdict"] == "fault"],
        "seconds_median": seconds[len(seconds) // 2] if seconds else None,
        "seconds_longest": seconds[-1] if seconds else None,
    }


if __name__ == "__main__":
    cli.run(main)

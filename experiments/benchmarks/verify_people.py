"""How good is the verification on what people write? Each file of a folder, as it stands, held against its table.

  python -m experiments.benchmarks.verify_people                         all files, some minutes on 2 CPU cores
  python -m experiments.benchmarks.verify_people --files=mask_forgotten,random_dropout

The folder holds derivations and expected.json, which says of each what it is for, whether it is right, which step,
line and variable are wrong first, and which causes a teacher would accept. Cause: "named" if the first explanation
offered is acceptable, "candidate" if a later one is, "honest" if it is called unknown and no id fits, "unknown" if one
would, "false" if others are offered and none is acceptable. Line: it is the expected one, or a range that holds it.
The files were written in our own words after public questions, notebooks and repositories.
"""

import pathlib
import re
from typing import Any

from absl import flags

from experiments.benchmarks import verdicts
from experiments.benchmarks.checkers import explanations
from experiments.benchmarks.verdicts import Row, those
from twolayer.command import cli
from twolayer.command.files import read_json

FLAGS = flags.FLAGS
HERE = pathlib.Path(__file__).parent
flags.adopt_module_key_flags(verdicts)
flags.DEFINE_string("folder", str(HERE / "catalogue" / "people"), "Derivations, and expected.json.")
flags.DEFINE_list("files", None, "Only these, by name without .py [all].")

COLUMNS = ("file", "expected", "verdict", "step", "line", "variable", "cause", "seconds")


def main() -> int:
    """Judge all files, show a row for each and the counts."""
    files = [(pathlib.Path(FLAGS.folder) / f"{name}.py", row) for name, row in _table().items()]
    return verdicts.judge_all(judge, files, COLUMNS, summarise)


def _table() -> dict[str, dict]:
    path = pathlib.Path(FLAGS.folder) / "expected.json"
    if not path.is_file():
        raise cli.BadInput(f"--folder={FLAGS.folder} has no expected.json, which says what is right and wrong in it")
    table = read_json(path)
    if FLAGS.files:
        cli.check_known("files", FLAGS.files, table)
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


def judge(path: pathlib.Path, row: dict, limit: float) -> Row:
    """The verdict on one file beside what the table expects."""

    def describe(verdict: Any) -> Row:
        causes = [f"{cause.explanation}: {cause.id} at {cause.leaf}" for cause in verdict.causes]
        wrong = [leaf for leaf, one in verdict.leaves.items() if one.verdict == "wrong"]
        rightly = row["verdict"] == "wrong" == verdict.verdict
        return {"causes": causes, "said": _said(verdict), "wrong": wrong} | (compare(verdict, row) if rightly else {})

    return verdicts.judged({"file": path.stem, "expected": row["verdict"]}, lambda: verify(path, row), describe, limit)


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
    offered = explanations((cause.explanation, cause.id) for cause in verdict.causes)
    wanted = [set(row["causes"])] + ([set(row["second"]["causes"])] if "second" in row else [])
    both = set().union(*wanted)
    fits = [ids <= both and all(ids & one for one in wanted) for ids in offered]
    if any("unknown" in ids for ids in offered) or not fits:
        return "honest" if "unknown" in both else "unknown"
    if any(fits):
        return "named" if fits[0] else "candidate"
    return "false"


def _said(verdict: Any) -> list[str]:
    """What stands beside the verdict: notes, guards, and what the file's own loss is."""
    guards = getattr(verdict.formula, "guards", ())
    return [*verdict.notes, *(f"guard: {guard}" for guard in guards), *([verdict.loss] if verdict.loss else [])]


def summarise(rows: list[Row]) -> dict[str, Any]:
    """The counts, and the files behind those that are not as they should be."""
    found = verdicts.counts(rows, "file", ("named", "candidate", "honest", "unknown", "false"))
    shown = those(rows, expected="wrong", verdict="wrong")
    other = [row for row in rows if row["expected"] not in ("right", "wrong")]
    found["right_refuted"] = [row["file"] for row in those(rows, expected="right", verdict="wrong")]
    found |= {f"{what}_right": len(those(shown, **{what: True})) for what in ("step", "variable")}
    found["cause_right"] = found["causes"]["named"] + found["causes"]["honest"]
    found["other_as_expected"] = sum(row["verdict"] in ("undecided", "refused") for row in other)
    found |= {"other": len(other), "faults": [row["file"] for row in those(rows, verdict="fault")]}
    return found | {f"seconds_{which}": number for which, number in verdicts.spent(rows).items()}


if __name__ == "__main__":
    cli.run(main)

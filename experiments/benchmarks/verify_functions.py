"""How good is the verification of any function? Each function of a folder, right as it stands and with its faults.

  python -m experiments.benchmarks.verify_functions                       all, some minutes on 2 CPU cores
  python -m experiments.benchmarks.verify_functions --cases=gru,kepler

catalogue/functions/table.py says what is asked of each, and how it is made wrong: one text of its file is replaced by
another. Line: the one found is among those of the new text. Cause: "named" if every cause offered first is acceptable,
"candidate" if only some of those that tie are, "unknown" if none is offered, "false" if none of those offered is.
Outputs: exactly those are said to be wrong that the table names.
"""

import importlib.util
import pathlib
import sys
import tempfile
from typing import Any

from absl import flags

from experiments.benchmarks import verdicts
from experiments.benchmarks.catalogue.functions.table import CASES, Case, Fault
from experiments.benchmarks.verdicts import Row, those
from twolayer.command import cli

FLAGS = flags.FLAGS
HERE = pathlib.Path(__file__).parent / "catalogue" / "functions"
flags.adopt_module_key_flags(verdicts)
flags.DEFINE_list("cases", None, "Only these [all].")

COLUMNS = ("form", "expected", "verdict", "outputs", "line", "cause", "seconds")
CAUSES = ("named", "candidate", "unknown", "false")


def main() -> int:
    """Judge every form, show a row for each and the counts."""
    if FLAGS.cases:
        cli.check_known("cases", FLAGS.cases, CASES)
    forms = [(name, i) for name in FLAGS.cases or CASES for i in range(-1, len(CASES[name].faults))]
    return verdicts.judge_all(judge, forms, COLUMNS, summarise)


def written(case: Case, fault: Fault | None, folder: str) -> tuple[pathlib.Path, range]:
    """The file of a form in a folder, and the lines that are wrong in it."""
    text = (HERE / f"{case.file}.py").read_text()
    lines = range(0)
    if fault is not None:
        before, after = text.split(fault.old)
        first = before.count("\n") + 1 + fault.new[: len(fault.new) - len(fault.new.lstrip("\n"))].count("\n")
        lines = range(first, first + fault.new.rstrip("\n").count("\n") + 1)
        text = before + fault.new + after
    path = pathlib.Path(folder) / f"{case.file}_form.py"
    path.write_text(text)
    return path, lines


def load(path: pathlib.Path) -> Any:
    """A file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def verify(module: Any, case: Case) -> Any:
    """The verdict on a form; the one place here that knows the verifier."""
    from twolayer import verification

    ask = verification.equal if case.ask == "equal" else getattr(verification, f"verify_{case.ask}")
    options = dict(case.options)
    if "reference" in options:
        options["reference"] = getattr(module, options["reference"])
    names = case.functions[::-1] if case.ask == "equal" else case.functions  # the lines named are those of the first
    return ask(*(getattr(module, name) for name in names), case.shapes, **options)


def judge(name: str, number: int, limit: float) -> Row:
    """The verdict on a case with the fault of this number, or as it stands (-1), beside what the table expects."""
    case = CASES[name]
    fault = case.faults[number] if number >= 0 else None
    known = {"form": f"{name} {number + 1}" if fault else name, "expected": "wrong" if fault else "right"}
    with tempfile.TemporaryDirectory() as folder:
        path, lines = written(case, fault, folder)

        def describe(verdict: Any) -> Row:
            found = {"said": [cause._asdict() for cause in verdict.causes], "text": verdict.text}
            return found | (compared(verdict, fault, lines) if fault and verdict.verdict == "wrong" else {})

        return verdicts.judged(known, lambda: verify(load(path), case), describe, limit)


def compared(verdict: Any, fault: Fault, lines: range) -> dict[str, Any]:
    """Outputs, line and cause of a form rightly called wrong."""
    ids = [cause.id for cause in verdict.causes]
    fits = [one in fault.causes for one in ids]
    cause = "unknown" if not fits else "named" if all(fits) else "candidate" if any(fits) else "false"
    outputs = {name.removeprefix("d") for name, one in verdict.outputs.items() if one["verdict"] == "wrong"}
    return {
        "outputs": outputs == set(fault.outputs.split()),
        "line": verdict.line_number in lines,
        "cause": cause,
        "found": [verdict.line_number, verdict.line],
        "wanted": list(lines),
    }


def summarise(rows: list[Row]) -> dict[str, Any]:
    """The counts, and the forms behind those that are not as they should be."""

    def forms(some: list[Row], **wanted: object) -> list[str]:
        return [row["form"] for row in those(some, **wanted)]

    found, shown = verdicts.counts(rows, "form", CAUSES), those(rows, expected="wrong", verdict="wrong")
    undecided = [row for row in rows if row["verdict"] not in ("right", "wrong")]
    found |= {"right_refused": forms(rows, expected="right", verdict="wrong")}
    found |= {"decided": len(rows) - len(undecided), "not_decided": {row["form"]: row["verdict"] for row in undecided}}
    found |= {"outputs_exact": len(those(shown, outputs=True)), "outputs_inexact": forms(shown, outputs=False)}
    found |= {"line_wrong": forms(shown, line=False), "cause_unknown": forms(shown, cause="unknown")}
    return found | {"seconds": {kind: verdicts.spent(those(rows, expected=kind)) for kind in ("right", "wrong")}}


if __name__ == "__main__":
    cli.run(main)

"""How good is the verification of any function? Each function of a folder, right as it stands and with its faults.

  python -m experiments.benchmarks.verify_functions                       all, some minutes on 2 CPU cores
  python -m experiments.benchmarks.verify_functions --cases=gru,kepler

catalogue/functions/table.py says what is asked of each, and how it is made wrong: one text of its file is replaced by
another. Line: the one found is among those of the new text. Cause: "named" if every cause offered first is acceptable,
"candidate" if only some of those that tie are, "unknown" if none is offered, "false" if none of those offered is.
Outputs: exactly those are said to be wrong that the table names.
"""

import collections
import importlib.util
import json
import pathlib
import sys
import tempfile
import time
from typing import Any

from absl import flags

from experiments.benchmarks import TimedOut, judged, time_limit
from experiments.benchmarks.catalogue.functions.table import CASES, Case, Fault
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
HERE = pathlib.Path(__file__).parent / "catalogue" / "functions"
flags.DEFINE_string("json", None, "Where the counts and the row of each form go [nowhere].")
flags.DEFINE_list("cases", None, "Only these [all].")
flags.DEFINE_integer("processes", 2, "Worker processes.", lower_bound=1)
flags.DEFINE_float("time_limit", 60.0, "Seconds for one form.", lower_bound=1.0)

COLUMNS = ("form", "expected", "verdict", "outputs", "line", "cause", "seconds")


def main() -> int:
    """Judge every form, show a row for each and the counts."""
    path = writable(FLAGS.json) if FLAGS.json else None
    unknown = set(FLAGS.cases or ()) - set(CASES)
    if unknown:
        raise cli.BadInput(f"--cases: {', '.join(sorted(unknown))} is none of {', '.join(CASES)}")
    names = FLAGS.cases or CASES
    forms = [(name, i, FLAGS.time_limit) for name in names for i in range(-1, len(CASES[name].faults))]
    rows = judged(judge, forms, FLAGS.processes, COLUMNS, 24)
    counts = summarise(rows)
    print(json.dumps(counts, indent=2))
    if path:
        write_json(path, {"counts": counts, "rows": rows, "provenance": provenance()})
    return cli.DONE


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


def judge(name: str, number: int, limit: float) -> dict:
    """The verdict on one form beside what the table expects.

    Args:
      name: of the case.
      number: of its fault; -1 is the function as it stands.
      limit: seconds.
    """
    case = CASES[name]
    fault = case.faults[number] if number >= 0 else None
    found: dict[str, Any] = {"form": f"{name}{'' if fault is None else f' {number + 1}'}"}
    found["expected"] = "right" if fault is None else "wrong"
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path, lines = written(case, fault, folder)
        try:
            with time_limit(limit):
                verdict = verify(load(path), case)
        except (ValueError, TimedOut) as error:
            found |= {"verdict": "refused", "said": " ".join(str(error).split())}
        except Exception as error:  # a fault of the verifier, and to be counted as one
            found |= {"verdict": "crashed", "said": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        else:
            found |= {"verdict": verdict.verdict, "said": [c._asdict() for c in verdict.causes], "text": verdict.text}
            if fault is not None and verdict.verdict == "wrong":
                found |= compared(verdict, fault, lines)
    return found | {"seconds": round(time.perf_counter() - started, 2)}


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


def summarise(rows: list[dict]) -> dict[str, Any]:
    """The counts, and the forms behind those that are not as they should be."""
    right = [row for row in rows if row["expected"] == "right"]
    wrong = [row for row in rows if row["expected"] == "wrong"]
    shown = [row for row in wrong if row["verdict"] == "wrong"]
    causes = collections.Counter(row["cause"] for row in shown)
    seconds = {kind: sorted(row["seconds"] for row in some) for kind, some in (("right", right), ("wrong", wrong))}
    return {
        "right": len(right),
        "right_accepted": sum(row["verdict"] == "right" for row in right),
        "right_refused": [row["form"] for row in right if row["verdict"] == "wrong"],
        "wrong": len(wrong),
        "wrong_judged_wrong": len(shown),
        "wrong_passed": [row["form"] for row in wrong if row["verdict"] == "right"],
        "decided": sum(row["verdict"] in ("right", "wrong") for row in rows),
        "not_decided": {row["form"]: row["verdict"] for row in rows if row["verdict"] not in ("right", "wrong")},
        "outputs_exact": sum(row["outputs"] for row in shown),
        "outputs_inexact": [row["form"] for row in shown if not row["outputs"]],
        "line_right": sum(row["line"] for row in shown),
        "line_wrong": [row["form"] for row in shown if not row["line"]],
        "causes": {name: causes[name] for name in ("named", "candidate", "unknown", "false")},
        "cause_unknown": [row["form"] for row in shown if row["cause"] == "unknown"],
        "false_causes": [row["form"] for row in shown if row["cause"] == "false"],
        "seconds": {k: {"median": s[len(s) // 2], "longest": s[-1]} for k, s in seconds.items() if s},
    }


if __name__ == "__main__":
    cli.run(main)

"""What `verify_people` and `verify_functions` share: each case judged, a row of it beside its table, and the counts."""

import collections
import json
import multiprocessing
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from absl import flags
from tqdm import tqdm

from experiments.benchmarks import TimedOut, time_limit
from experiments.runtime import tables
from twolayer.command import cli
from twolayer.command.files import writable, write_json
from twolayer.command.provenance import provenance

FLAGS = flags.FLAGS
flags.DEFINE_string("json", None, "Where the counts and the row of each case go [nowhere].")
flags.DEFINE_integer("processes", 2, "Worker processes.", lower_bound=1)
flags.DEFINE_float("time_limit", 60.0, "Seconds for one case.", lower_bound=1.0)

Row = dict[str, Any]


def judge_all(judge: Callable[..., Row], tasks: Collection[tuple], columns: Sequence[str], summarise: Callable) -> int:
    """Judge all cases, show their rows and the counts, and write both; returns the exit status.

    Args:
      judge: makes the row of a task and of the seconds that it may take. Each has a fresh process, so that its own
        seconds are those of a command.
      columns: what is shown of a row.
      summarise: rows -> counts.
    """
    path = writable(FLAGS.json) if FLAGS.json else None
    with ProcessPoolExecutor(FLAGS.processes, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = [pool.submit(judge, *task, FLAGS.time_limit) for task in tasks]
        rows = [future.result() for future in tqdm(futures, unit="case")]
    counts = summarise(rows)
    print(tables.text(columns, [[str(row.get(column, "-")) for column in columns] for row in rows]))
    print(json.dumps(counts, indent=2))
    if path:
        write_json(path, {"counts": counts, "rows": rows, "provenance": provenance()})
    return cli.DONE


def judged(case: Row, ask: Callable[[], Any], describe: Callable[[Any], Row], limit: float) -> Row:
    """What is known of a case, the verdict that `ask` returns and what is said of it, or why there is none; seconds."""
    started = time.perf_counter()
    try:
        with time_limit(limit):
            verdict = ask()
    except (ValueError, cli.BadInput, TimedOut) as error:
        found = {"verdict": "refused", "said": [" ".join(str(error).split())]}
    except Exception as error:  # a fault of the verifier, and to be counted as one
        found = {"verdict": "fault", "said": [f"{type(error).__name__}: {' '.join(str(error).split())}"]}
    else:
        found = {"verdict": verdict.verdict} | describe(verdict)
    return case | found | {"seconds": round(time.perf_counter() - started, 2)}


def those(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """The rows with these entries."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def counts(rows: Sequence[Row], name: str, causes: Iterable[str]) -> dict[str, Any]:
    """What is counted of both; `name` is the entry that tells rows apart, and a cause fares as one of `causes`."""
    right, wrong = those(rows, expected="right"), those(rows, expected="wrong")
    shown = those(wrong, verdict="wrong")
    fared = collections.Counter(row["cause"] for row in shown)
    return {
        "right": len(right),
        "right_accepted": len(those(right, verdict="right")),
        "wrong": len(wrong),
        "wrong_judged_wrong": len(shown),
        "wrong_passed": [row[name] for row in those(wrong, verdict="right")],
        "line_right": len(those(shown, line=True)),
        "causes": {cause: fared[cause] for cause in causes},
        "false_causes": [row[name] for row in those(shown, cause="false")],
    }


def spent(rows: Sequence[Row]) -> dict[str, float]:
    """The median and the longest of their seconds."""
    seconds = sorted(row["seconds"] for row in rows)
    return {"median": seconds[len(seconds) // 2], "longest": seconds[-1]} if seconds else {}

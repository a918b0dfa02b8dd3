"""What was measured on an accelerator, beside the limits of its data sheet; what was not says so.

While nothing was measured there is one small table of what will be, beside the least that a data sheet allows.
"""

import functools
from collections.abc import Callable, Mapping

from experiments.benchmarks.device import SHEETS, Sheet, floor
from experiments.benchmarks.device.checks import COMPETITORS, FULL, MANY, OURS, Case, cases
from experiments.benchmarks.peers import Competitor
from experiments.benchmarks.tables import NOT_YET, RESULTS, TABLES, percent, read
from experiments.benchmarks.tables import conditions as machine
from experiments.runtime.tables import markdown

BEFORE = "H200"  # whose limits stand in the tables until something is measured
CASES = cases(FULL, "gpu")
MOMENTS = {"sgd": 0, "adamw": 2}  # of an optimiser, each as large as the parameters
STEPS_OF_AN_EPOCH = 390  # whole batches of 128 in 50,000 images
# What was wanted: words, (networks, K, batch), and a share of the operations in bfloat16 or the seconds of a step.
AIMS = (
    ("75 % of the operations at K = 32768, batch 8192, bfloat16", (1, 32768, 8192), {"share": 0.75}),
    ("6 microseconds a step at K = 128, batch 128", (1, 128, 128), {"seconds": 6e-6}),
    ("1,000 networks of K = 128 in 0.12 s an epoch", (1000, 128, 128), {"seconds": 0.12 / STEPS_OF_AN_EPOCH}),
)


@functools.cache
def result() -> dict:
    """The result file, or an empty one."""
    return read("accelerator") if (RESULTS / "accelerator.json").exists() else {"rows": []}


def sheet() -> Sheet:
    """The data sheet of the device that was measured, or of the one that is waited for."""
    kind = result().get("device", {}).get("kind", BEFORE)
    return next((found for name, found in SHEETS.items() if name in kind), SHEETS[BEFORE])


def conditions() -> str:
    """The device and what it was measured with."""
    found = result()
    if not found["rows"]:
        return f"No accelerator has been measured yet. The limits are those of the data sheet of an {BEFORE}.\n"
    versions = [f"{name} {v}" for name, v in found["versions"].items() if v and ("cu" in name or name == "torch")]
    return f"{', '.join([found['device']['kind'], *versions])}, {found['date'][:10]}.\n\n{machine(found)}\n"


def tables() -> str:
    """Everything that is planned under headings; what there will be, while there is nothing."""
    if not result()["rows"]:
        return waiting()
    return "\n".join(f"### {heading}\n\n{section()}" for heading, section in SECTIONS.items())


def waiting() -> str:
    """A row for each shape beside the least by the data sheet in each precision."""
    rows: dict[str, list[str]] = {}
    for case in sorted((case for case in CASES if case.facts.get("who") == OURS), key=lambda case: case.check):
        networks, hidden, batch, _ = shape(case)
        many = f"{networks} networks, K = {hidden}, an epoch"
        least, by = _least(case)
        words, cell = (many, _epoch(least)) if networks > 1 else (f"K = {hidden}, batch {batch}", _step(least))
        cells = rows.setdefault(words, [""] * len(FULL.precisions))
        cells[FULL.precisions.index(case.arguments["precision"])] = f"{cell}, {by}"
    for case in (case for case in CASES if case.check == "d"):
        least, by = _least(case)
        rows[f"K = {FULL.wide:,}, {case.arguments['optimizer']}"] = ["", "", f"{_step(least)}, {by}"]
    rows["is it right, order and pixels, a profile, matrix products alone"] = ["", "", ""]
    header = ("a step", *(f"least, {precision}" for precision in FULL.precisions), "measured")
    return markdown(header, [(words, *cells, NOT_YET) for words, cells in rows.items()])


def shape(case: Case) -> tuple[int, int, int, str]:
    """Networks, K, batch and precision."""
    given = case.arguments
    return given.get("networks", 1), given["hidden"], given["batch_size"], given["precision"]


def _least(case: Case) -> tuple[float, str]:
    networks, hidden, batch, precision = shape(case)
    moments = MOMENTS.get(case.arguments.get("optimizer", "sgd"), 0)
    return floor(hidden, batch, precision, sheet(), networks, moments)


def _step(seconds: float) -> str:
    us = 1e6 * seconds
    return f"{us:.0f} us" if us >= 100 else f"{us:.2g} us"


def _epoch(seconds: float) -> str:
    return f"{STEPS_OF_AN_EPOCH * seconds:.3g} s"


def _outcome(row: dict) -> str:
    if "apart" in row:
        return "the same" if row["apart"] == 0 else f"{row['apart']:.1e} of their length apart"
    of = f" of {row['entries']:,}" if "entries" in row else ""
    return f"{row['beyond']}{of} beyond their bound; the largest error is {row['worst']:.2g} of it"


def _beside(check: str, competitors: Mapping[str, Competitor], say: Callable[[float], str]) -> str:
    """A row for each shape, a column for each competitor, with the share of the limit; empty is not planned."""
    shapes: dict[tuple, dict[str, Case]] = {}
    for case in CASES:
        if case.check == check:
            shapes.setdefault(shape(case), {})[case.facts["who"]] = case
    rows = []
    for (count, hidden, batch, precision), planned in shapes.items():
        least, by = _least(planned[OURS])

        def time(row: dict, least: float = least) -> str:
            return f"{say(row['step_us'] * 1e-6)} ({_reached(row, least)})"

        words = f"{count} networks, " * (count > 1) + f"K = {hidden}, batch {batch}, {precision}"
        times = [_said(planned[name], time) if name in planned else "" for name in competitors]
        shares = _said(planned[OURS], functools.partial(_shares, precision=precision))
        rows.append((words, *times, f"{say(least)}, {by}", shares))
    labels = (who.label for who in competitors.values())
    header = ("(share of the limit)", *labels, "limit", "ours: operations, memory's rate, compiling")
    return markdown(header, rows)


def _shares(row: dict, precision: str) -> str:
    """A step whose arrays stay in the cache can move more than the memory could."""
    step = row["step_us"] * 1e-6
    operations, rate = row["flops"] / step / getattr(sheet(), precision), row["bytes"] / step / sheet().bandwidth
    return f"{percent(operations)}, {percent(rate)}, {row['compile_s']:.1f} s"


def _reached(row: dict, least: float) -> str:
    return percent(least / (row["step_us"] * 1e-6))


def wide() -> str:
    """Check d: a million hidden units, by time and by memory."""
    rows = []
    for case in (case for case in CASES if case.check == "d"):
        least, by = _least(case)
        columns = (
            lambda row: f"{row['step_us'] / 1e3:.1f} ms",
            functools.partial(_reached, least=least),
            lambda row: f"{row['estimate_bytes'] / 1e9:.1f} GB",
            _measured_bytes,
        )
        time, reached, *memory = (_said(case, column) for column in columns)
        rows.append((case.name, time, f"{1e3 * least:.1f} ms, {by}", reached, *memory))
    return markdown(("", "a step", "limit", "reached", "memory by --dry_run", "memory measured"), rows)


def _measured_bytes(row: dict) -> str:
    earlier = " at most, as much as drawing the parameters" if row["prepared_bytes"] >= row["measured_bytes"] else ""
    return f"{row['measured_bytes'] / 1e9:.1f} GB{earlier}"


def _inside(row: dict) -> str:
    if "slowest" in row:
        operations = (f"{one['of'] or one['name']} {percent(one['share'])}" for one in row["slowest"])
        return f"{row['launches']:.0f} launches a step; {'; '.join(operations)}"
    if "share" in row:
        return f"order and pixels: {percent(row['share'])} of an epoch"
    if "products_us" in row:
        return f"{_step(row['step_us'] * 1e-6)}: " + ", ".join(f"{k} {us:.2g}" for k, us in row["products_us"].items())
    return f"{row['flops_per_second'] / 1e12:.3g} TFLOP/s, {row['bytes_per_second'] / 1e12:.3g} TB/s"


def _listed(checks: str, header: str, say: Callable[[dict], str]) -> str:
    return markdown(("", header), [(case.name, _said(case, say)) for case in CASES if case.check in checks])


def aims() -> str:
    """Aims beside what was measured, in the precision that comes closest."""
    rows = []
    for words, wanted, aim in AIMS:
        ours = [_row(case) for case in CASES if case.facts.get("who") == OURS and shape(case)[:3] == wanted]
        rows.append((words, _nearest([row for row in ours if row and row["status"] == "measured"], **aim)))
    return markdown(("wanted", "measured"), rows)


def _nearest(rows: list[dict], share: float = 0.0, seconds: float = 0.0) -> str:
    """The row nearest to a share of the operations in bfloat16, or to the seconds of a step, in words."""
    rows = [row for row in rows if not share or row["precision"] == "bfloat16"]
    if not rows:
        return NOT_YET
    best = min(rows, key=lambda row: row["step_us"])
    taken = best["step_us"] * 1e-6
    if share:
        reached = best["flops"] / taken / sheet().bfloat16
        return f"{percent(reached)}: {_verdict(reached >= share)}"
    return f"{taken / seconds:.2f} times that, in {best['precision']}: {_verdict(taken <= seconds)}"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def _said(case: Case, say: Callable[[dict], str]) -> str:
    """The row of a case in words, or why there is none."""
    row = _row(case)
    if row is None:
        return NOT_YET
    return say(row) if row["status"] == "measured" else f"**{row['status']}**: {row['note']}"


def _row(case: Case) -> dict | None:
    return next((row for row in result()["rows"] if (row["check"], row["name"]) == (case.check, case.name)), None)


SECTIONS: dict[str, Callable[[], str]] = {
    "Is it right?": lambda: _listed("a", "outcome", _outcome),
    "One network": lambda: _beside("b", COMPETITORS, _step),
    "Many networks": lambda: _beside("c", MANY, _epoch),
    "A million hidden units": wide,
    "Where the time goes": lambda: _listed("efl", "measured", _inside),
}
TABLES |= {f"accelerator_{part.__name__}": part for part in (conditions, aims, tables)}

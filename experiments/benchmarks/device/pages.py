"""What was measured on an accelerator, beside the limits of its data sheet; what was not says so.

While nothing was measured, `tables` is one small table of what will be, beside the least that a data sheet allows.
"""

import functools
from collections.abc import Callable, Iterable, Sequence

from experiments.benchmarks.device.checks import COMPETITORS, FULL, MANY, OURS
from experiments.benchmarks.device.steps import SHEETS, Sheet, floor
from experiments.benchmarks.pages import RESULTS, machine, read
from experiments.runtime.tables import markdown

NOT_YET, NOT_PLANNED = "not measured yet", ""
BEFORE = "H200"  # whose limits stand in the tables until something is measured
MOMENTS = {"sgd": 0, "adamw": 2}  # of an optimiser, each as large as the parameters
STEPS_OF_AN_EPOCH = 390  # whole batches of 128 in 50,000 images
# What was wanted: words, (K, batch, networks), and a share of the operations or the seconds of a step.
AIMS = (
    ("75 % of the operations at K = 32768, batch 8192, bfloat16", (32768, 8192, 1), {"share": 0.75}),
    ("6 microseconds a step at K = 128, batch 128", (128, 128, 1), {"seconds": 6e-6}),
    ("1,000 networks of K = 128 in 0.12 s an epoch", (128, 128, 1000), {"seconds": 0.12 / STEPS_OF_AN_EPOCH}),
)


@functools.cache
def result() -> dict:
    """The result file, or an empty one."""
    return read("accelerator") if (RESULTS / "accelerator.json").exists() else {"rows": []}


def sheet() -> tuple[str, Sheet]:
    """Name and numbers of the device that was measured, or of the one that is waited for."""
    kind = result().get("device", {}).get("kind", BEFORE)
    return next(((kind, found) for name, found in SHEETS.items() if name in kind), (BEFORE, SHEETS[BEFORE]))


def conditions() -> str:
    """The device and what it was measured with."""
    if not result()["rows"]:
        return f"No accelerator has been measured yet. The limits are those of the data sheet of an {BEFORE}.\n"
    found = result()
    versions = {name: v for name, v in found["versions"].items() if v and ("cu" in name or name == "torch")}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{found['device']['kind']}, {listed}, {found['date'][:10]}.{machine(found)}"


def tables() -> str:
    """All of it under headings, or what there will be."""
    if not result()["rows"]:
        return waiting()
    return "\n".join(f"### {heading}\n\n{table()}" for heading, table in SECTIONS.items())


def waiting() -> str:
    """One row for each that will be measured, beside the least by the data sheet in each precision."""
    rows = [(f"one network, K = {hidden}, batch {batch}", *_least(hidden, batch, 1, _microseconds), NOT_YET)
            for batch in FULL.batches for hidden in FULL.hidden]  # fmt: skip
    rows += [
        (f"{count} networks, K = {hidden}, an epoch", *_least(hidden, FULL.batches[0], count, _epoch), NOT_YET)
        for count, hidden in FULL.networks
    ]
    for optimizer, moments in MOMENTS.items():
        seconds, by = _floor_of_wide(moments)
        rows.append(
            (f"one network, K = {FULL.wide:,}, {optimizer}", "", "", f"{_microseconds(seconds)}, {by}", NOT_YET)
        )
    others = "is it right, order and pixels, a profile, matrix products alone"
    header = ("", *(f"least, {precision}" for precision in FULL.precisions), "measured")
    return markdown(header, [*rows, (others, "", "", "", NOT_YET)])


def _least(hidden: int, batch: int, count: int, say: Callable[[float], str]) -> Iterable[str]:
    for precision in FULL.precisions:
        seconds, by = floor(hidden, batch, precision, sheet()[1], count)
        yield f"{say(seconds)}, {by}"


def _microseconds(seconds: float) -> str:
    return f"{_rounded(1e6 * seconds)} us"


def _epoch(seconds: float) -> str:
    return f"{STEPS_OF_AN_EPOCH * seconds:.3g} s"


def _floor_of_wide(moments: int) -> tuple[float, str]:
    return floor(FULL.wide, FULL.batches[0], "bfloat16", sheet()[1], moments=moments)


def right() -> str:
    """Check a: is it right?"""
    names = [f"gradients, {precision}" for precision in (*FULL.precisions, "float64")]
    names += ["XLA's error: scaled bias", "XLA's error: transposed bias"]
    names += ["the same bits twice", "a checkpoint from a CPU"]
    return markdown(("", "outcome"), [(name, _said(_row("a", name), _outcome)) for name in names])


def _outcome(row: dict) -> str:
    if "apart" in row:
        return "the same" if row["apart"] == 0 else f"{row['apart']:.1e} of their length apart"
    of = f" of {row['entries']:,}" if "entries" in row else ""
    return f"{row['beyond']}{of} beyond their bound; the largest error is {row['worst']:.2g} of it"


def steps() -> str:
    """Check b: microseconds of a step, of the peers too, each with its share of the limit."""
    names = [OURS, "graph", "eager", "compiled", "compiled_graph", "loop"]
    shares = ("limit", "our share of the operations", "of the memory's rate")
    header = ("K, batch, precision", *(COMPETITORS[name].label for name in names), *shares, "compiling")
    rows = []
    for precision in FULL.precisions:
        for batch in FULL.batches:
            for hidden in FULL.hidden:
                shape = hidden, batch, precision, 1
                found = {row["who"]: row for row in _steps("b", *shape)}
                planned = {OURS, "graph", "eager"}
                planned |= {"compiled", "compiled_graph"} if precision == "bfloat16" else set()
                planned |= set(names) if shape[:3] in FULL.corners else set()
                least = floor(*shape[:3], sheet()[1])[0]
                times = [_time(found.get(name), least) if name in planned else NOT_PLANNED for name in names]
                compiling = f"{found[OURS]['compile_s']:.1f} s" if _measured(found.get(OURS)) else NOT_YET
                rows.append((f"{hidden}, {batch}, {precision}", *times, *_limit(shape, found.get(OURS)), compiling))
    return "Microseconds a step, and the share of the limit that it reaches:\n\n" + markdown(header, rows)


def networks() -> str:
    """Check c: seconds of an epoch of many networks."""
    shares = ("limit", "our share of the operations", "of the memory's rate")
    header = ("networks, K, precision", *(who.label for who in MANY.values()), *shares)
    rows = []
    for count, hidden in FULL.networks:
        for precision in FULL.precisions:
            shape = hidden, FULL.batches[0], precision, count
            found = {row["who"]: row for row in _steps("c", *shape)}
            seconds, by = floor(*shape[:3], sheet()[1], count)
            times = [_said(found.get(name), functools.partial(_epoch_of, least=seconds)) for name in MANY]
            shares = _limit(shape, found.get(OURS))[1:]
            rows.append((f"{count}, {hidden}, {precision}", *times, f"{_epoch(seconds)}, {by}", *shares))
    return "An epoch of all of them, and the share of the limit that it reaches:\n\n" + markdown(header, rows)


def _epoch_of(row: dict, least: float) -> str:
    return f"{row['epoch_s']:.3g} s ({_share(least, row)})"


def wide() -> str:
    """Check d: a million hidden units."""
    rows = []
    for optimizer, moments in MOMENTS.items():
        row, (least, by) = _row("d", f"K = {FULL.wide}, bfloat16, {optimizer}"), _floor_of_wide(moments)
        reached = _said(row, functools.partial(_share, least))
        step = _said(row, lambda row: f"{row['step_us'] / 1e3:.1f} ms"), f"{1e3 * least:.1f} ms, {by}", reached
        rows.append((f"{FULL.wide:,}, {optimizer}", *step, *(_said(row, say) for say in (_estimate, _measure))))
    return markdown(("K, optimiser", "a step", "limit", "reached", "memory by --dry_run", "memory measured"), rows)


def _estimate(row: dict) -> str:
    return f"{row['estimate_bytes'] / 1e9:.1f} GB"


def _measure(row: dict) -> str:
    earlier = " at most, as much as drawing the parameters" if row["prepared_bytes"] >= row["measured_bytes"] else ""
    return f"{row['measured_bytes'] / 1e9:.1f} GB{earlier}"


def inside() -> str:
    """Checks e and f: the data path, and the slowest operations."""
    rows = []
    for hidden, batch, precision in FULL.corners:
        name = f"K = {hidden}, batch {batch}, {precision}"
        share = _said(_row("e", name), lambda row: f"{100 * row['share']:.0f} % of an epoch")
        rows.append((f"{name}: order and pixels", share))
        rows += [
            (f"{name}: slowest operations, {label}", _said(_row("f", f"{label}, {name}"), _slowest))
            for label in (COMPETITORS[OURS].label, COMPETITORS["graph"].label)
        ]
    count, hidden = FULL.networks[0]
    name = f"twolayer, {count} networks, K = {hidden}, {FULL.precisions[-1]}"
    rows.append((f"{count} networks, K = {hidden}: slowest operations", _said(_row("f", name), _slowest)))
    return markdown(("", "measured"), rows)


def _slowest(row: dict) -> str:
    operations = (f"{one['of'] or one['name']} {100 * one['share']:.0f} %" for one in row["slowest"])
    return f"{row['launches']:.0f} launches a step; {'; '.join(operations)}"


def aims() -> str:
    """Aims beside what was measured, in the precision that comes closest."""
    rows = []
    for words, (hidden, batch, count), wanted in AIMS:
        shapes = [(hidden, batch, precision, count) for precision in FULL.precisions]
        found = [row for shape in shapes for row in _steps("c" if count > 1 else "b", *shape)]
        ours = [row for row in found if row["who"] == OURS and _measured(row)]
        rows.append((words, _nearest(ours, **wanted) if ours else NOT_YET))
    return markdown(("wanted", "measured"), rows)


def _nearest(rows: list[dict], share: float = 0.0, seconds: float = 0.0) -> str:
    """The row nearest to a share of the operations in bfloat16, or to the seconds of a step, in words."""
    if share:
        rows = [row for row in rows if row["precision"] == "bfloat16"]
        reached = max((row["flops"] / (row["step_us"] * 1e-6) / sheet()[1].bfloat16 for row in rows), default=0.0)
        return f"{100 * reached:.0f} %: {_verdict(reached >= share)}"
    best = min(rows, key=lambda row: row["step_us"])
    taken = best["step_us"] * 1e-6
    return f"{taken / seconds:.2f} times that, in {best['precision']}: {_verdict(taken <= seconds)}"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def _limit(shape: tuple[int, int, str, int], row: dict | None) -> tuple[str, ...]:
    """The limit of a step in words, and the shares that were reached of all operations and of the bandwidth.

    A step whose arrays stay in the cache can move more than the memory could.
    """
    seconds, by = floor(*shape[:3], sheet()[1], shape[3])
    limit = f"{_rounded(1e6 * seconds)}, {by}"
    if not row or not _measured(row):
        return limit, NOT_YET, NOT_YET
    step, peak = row["step_us"] * 1e-6, getattr(sheet()[1], shape[2])
    shares = row["flops"] / step / peak, row["bytes"] / step / sheet()[1].bandwidth
    return limit, *(f"{100 * share:.0f} %" for share in shares)


def _time(row: dict | None, least: float) -> str:
    return _said(row, lambda row: f"{_rounded(row['step_us'])} ({_share(least, row)})")


def _share(least: float, row: dict) -> str:
    """How much of the limit of a step a row reaches."""
    return f"{100 * least / (row['step_us'] * 1e-6):.0f} %"


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.2g}"


def _said(row: dict | None, say: Callable[[dict], str]) -> str:
    """A row in words, or why there is none."""
    if row is None:
        return NOT_YET
    return say(row) if _measured(row) else f"**{row['status']}**: {row['note']}"


def _measured(row: dict | None) -> bool:
    return row is not None and row["status"] == "measured"


def _row(check: str, name: str) -> dict | None:
    return next((row for row in result()["rows"] if (row["check"], row["name"]) == (check, name)), None)


def _steps(check: str, hidden: int, batch: int, precision: str, count: int) -> Iterable[dict]:
    wanted: Sequence[object] = (check, hidden, batch, precision, count)
    for row in result()["rows"]:
        names = ("check", "hidden", "batch_size", "precision")
        if "who" in row and (*(row[name] for name in names), row.get("networks", 1)) == tuple(wanted):
            yield row


SECTIONS = {
    "Is it right?": right,
    "One network": steps,
    "Many networks": networks,
    "A million hidden units": wide,
    "Where the time goes": inside,
}
TABLES = {f"accelerator_{table.__name__}": table for table in (conditions, aims, tables)}

"""From measured rows to what is reported: medians, ratios with their spread, the limit, and a table to read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.peers import OURS, TORCH
from experiments.benchmarks.peers.rounds import Row

# Above this share of the CPU in other hands, times say more about the others.
NOISY = 0.05


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes and median absolute deviation."""
    median = float(np.median(values))
    deviation = float(np.median(np.abs(np.asarray(values) - median)))
    return {"median": median, "min": float(min(values)), "max": float(max(values)), "mad": deviation}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """The spread of the ratios, one per round: both sides of a ratio met the same machine."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def summary(rows: list[Row], limits: list[Row], steps: float, others: float | None) -> dict[str, Any]:
    """Everything about one case, for JSON; of many networks at once, the time of one.

    `steps` is the number of whole batches in an epoch, with its fraction.
    """
    for row in rows:
        row.epochs = [seconds / row.competitor.networks for seconds in row.epochs]
    ours = next(row for row in rows if row.name == OURS).epochs
    limit = _limit(limits, steps)
    report = {"rows": [_row(row, ours) for row in rows], "limit": limit, "others_cpu": others}
    if ours and limit.get("rounds"):
        report["share_of_limit"] = ratio(limit["rounds"], ours)
    torch = [row for row in report["rows"] if row["name"] in TORCH and row["slower"]]
    if torch:
        report["best_torch"] = min(torch, key=lambda row: row["epoch_s"]["median"])["name"]
    return report


def _row(row: Row, ours: list[float]) -> dict[str, Any]:
    timed = spread(row.epochs) | {"rounds": row.epochs} if row.epochs else None
    return {
        "name": row.name,
        "label": row.competitor.label,
        "note": row.note or row.competitor.remark,
        "gate": row.gate,
        "epochs_of_a_turn": row.times,
        "epoch_s": timed,
        "slower": ratio(row.epochs, ours) if timed and ours else None,
        "compile_s": _compiling(row),
        "cold_s": row.cold,
    }


def _compiling(row: Row) -> float | None:
    """What the first epoch took longer than the others; their times are those of one network."""
    if row.first is None or not row.epochs:
        return None
    return max(0.0, row.first - float(np.median(row.epochs)) * row.competitor.networks)


def _limit(limits: list[Row], steps: float) -> dict[str, Any]:
    """The products' seconds in each library, and their sum over an epoch with the fastest library for each."""
    timed = [row for row in limits if row.epochs]
    notes = {row.name: row.note for row in limits if row.note}
    if not timed:
        return {"notes": notes}
    products = {
        product: {row.name: float(np.median([detail[product] for detail in row.details])) for row in timed}
        for product in timed[0].details[0]
    }
    fastest = {product: min(seconds, key=seconds.__getitem__) for product, seconds in products.items()}
    details = {row.name: row.details for row in timed}
    rounds = [
        steps * sum(details[library][number][product] for product, library in fastest.items())
        for number in range(len(timed[0].details))
    ]
    return {"notes": notes, "products_s": products, "fastest": fastest, "epoch_s": spread(rounds), "rounds": rounds}


def text(case: dict) -> str:
    """One case for a person."""
    head = f"{'':32}{'epoch s [min, max]':>26}{'x ours [min, max]':>24}{'compile s':>11}{'cold s':>8}"
    lines = [case["title"], head, *map(_line, case["rows"])]
    limit = case["limit"]
    if "epoch_s" in limit:
        fastest = ", ".join(f"{product} {library}" for product, library in limit["fastest"].items())
        lines.append(f"{'limit, the products alone':32}{_numbers(limit['epoch_s'], 4):>26}  {fastest}")
    lines += [f"{f'limit, {library}':32}  {note}" for library, note in limit["notes"].items()]
    if "best_torch" in case:
        best = next(row for row in case["rows"] if row["name"] == case["best_torch"])
        lines.append(f"Fastest PyTorch row: {best['label']}. It takes {_numbers(best['slower'], 2)} times our epoch.")
    if "share_of_limit" in case:
        percent = {key: 100 * value for key, value in case["share_of_limit"].items()}
        lines.append(f"Our epoch runs at {_numbers(percent, 0)} % of the limit.")
    if case["others_cpu"] is not None:
        warning = ": TOO MUCH, do not quote these times" if case["others_cpu"] > NOISY else ""
        lines.append(f"Others used {100 * case['others_cpu']:.1f} % of the CPU while epochs were timed{warning}.")
    return "\n".join(lines)


def _line(row: dict) -> str:
    label, epoch, slower = row["label"], row["epoch_s"], row["slower"]
    if epoch is None:
        return f"{label:32}  {row['note']}"
    times = f"{_numbers(epoch, 4):>26}{_numbers(slower, 2) if slower else '':>24}"
    return f"{label:32}{times}{row['compile_s']:11.2f}{row['cold_s']:8.2f}  {row['note']}".rstrip()


def _numbers(spread: dict[str, float], digits: int) -> str:
    return f"{spread['median']:.{digits}f} [{spread['min']:.{digits}f}, {spread['max']:.{digits}f}]"

"""Times side by side: the benchmark and the scaling of a step."""

from experiments.benchmarks.tables.pages import machine, markdown, read

# What was wanted of the benchmark, by hidden units: times our epoch, and percent of the limit.
RATIOS, SHARES = {32: 3.0, 128: 2.0, 800: 1.5}, {128: 80.0, 800: 80.0}


def benchmark() -> str:
    """Epoch times side by side, from docs/results/benchmark_cpu.json: one row per competitor, one column per width."""
    result = read("benchmark_cpu")
    cases = result["cases"]
    rows = _rows(cases)
    limit = [f"{case['limit']['epoch_s']['median']:.3f} s" for case in cases]
    share = [_wanted(100 * case["share_of_limit"]["median"], SHARES.get(case["hidden"]), "{:.0f} %") for case in cases]
    ratio = [_wanted(_fastest(case)["slower"]["median"], RATIOS.get(case["hidden"]), "{:.1f}") for case in cases]
    rows += [("fastest PyTorch row, times ours", *ratio)]
    xla = [_in_xla(case, case["examples"] / result["flags"]["batch_size"]) for case in cases]
    rows += [("limit: the matrix products alone", *limit), ("share of the limit that our epoch reaches", *share)]
    rows += [("the same products in XLA", *xla)]
    header = ("seconds an epoch (times ours)", *(f"K = {case['hidden']}" for case in cases))
    rounds = len(cases[0]["rows"][0]["epoch_s"]["rounds"])
    remark = f"Medians of {rounds} rounds, of seconds and of ratios; spreads are in the JSON.\n"
    return markdown(header, rows) + machine(result) + remark


def _fastest(case: dict) -> dict:
    """PyTorch's fastest row."""
    return next(row for row in case["rows"] if row["name"] == case["best_torch"])


def _in_xla(case: dict, steps: float) -> str:
    """An epoch's matrix products in XLA, each in its fastest layout, beside the epoch that was wanted."""
    seconds = steps * sum(product["xla"] for product in case["limit"]["products_s"].values())
    if case["hidden"] not in RATIOS:
        return f"{seconds:.3f} s"
    wanted = _fastest(case)["epoch_s"]["median"] / RATIOS[case["hidden"]]
    return f"{seconds:.3f} s, {100 * seconds / wanted:.0f} % of the epoch that was wanted"


def _wanted(found: float, wanted: float | None, form: str) -> str:
    """A number beside the one that was wanted, if one was."""
    if wanted is None:
        return form.format(found)
    return f"{form.format(found)} (wanted {form.format(wanted)}: {'reached' if found >= wanted else '**missed**'})"


def networks() -> str:
    """Many networks at once, from docs/results/benchmark_networks.json."""
    result = read("benchmark_networks")
    cases = result["cases"]
    header = ("seconds an epoch and network (times ours)", *(f"K = {case['hidden']}" for case in cases))
    return markdown(header, _rows(cases)) + machine(result)


def _rows(cases: list[dict]) -> list[tuple[str, ...]]:
    """One row for each competitor, one column for each width."""
    names = [row["name"] for row in cases[0]["rows"]]
    return [(_labelled(cases[0], name), *(_times(case, name) for case in cases)) for name in names]


def _labelled(case: dict, name: str) -> str:
    return next(row["label"] for row in case["rows"] if row["name"] == name)


def _times(case: dict, name: str) -> str:
    row = next(row for row in case["rows"] if row["name"] == name)
    if row["epoch_s"] is None:
        return row["note"]
    slower = f" ({row['slower']['median']:.1f})" if row["slower"] else ""
    return f"{row['epoch_s']['median']:.3f} s{slower}"


def scaling_width() -> str:
    """One network, from docs/results/scaling.json."""
    rows = [
        (f"{r['hidden']}", f"{r['step_us']:.0f}", f"{r['gflops_per_second']:.0f}", f"{r['flops'] / r['bytes']:.0f}")
        for r in _scaling("width")
    ]
    header = ("K", "microseconds a step", "GFLOP/s", "operations a byte, on paper")
    return markdown(header, rows) + machine(read("scaling"))


def scaling_networks() -> str:
    """Networks together, from docs/results/scaling.json: one row for each number of them, one column for each width."""
    found = _scaling("networks")
    widths = list(dict.fromkeys(r["hidden"] for r in found))
    times = {(r["networks"], r["hidden"]): f"{r['step_us']:.0f}" for r in found}
    numbers = list(dict.fromkeys(r["networks"] for r in found))
    rows = [(str(n), *(times.get((n, width), "") for width in widths)) for n in numbers]
    return markdown(("networks; microseconds a step and network", *(f"K = {width}" for width in widths)), rows)


def scaling_devices() -> str:
    """One network on several devices, from docs/results/scaling.json."""
    rows = [(r["mesh"] or "one device", f"{r['step_us']:.0f}") for r in _scaling("devices")]
    return markdown((f"mesh, K = {_scaling('devices')[0]['hidden']}", "microseconds a step"), rows)


def _scaling(kind: str) -> list[dict]:
    return [row for row in read("scaling")["rows"] if row["kind"] == kind]

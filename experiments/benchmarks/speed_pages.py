"""Tables of times: beside others, beside older code, beside limits, and by width, networks and devices."""

from experiments.benchmarks.device.steps import operations
from experiments.benchmarks.pages import RESULTS, machine, read
from experiments.runtime.tables import markdown


def benchmark() -> str:
    """Epoch times side by side, from docs/results/benchmark_cpu.json: one row per competitor, one column per width."""
    result = read("benchmark_cpu")
    cases = result["cases"]
    rows = _competitors(cases)
    rows += [("fastest PyTorch row, times ours", *(f"{_fastest(case)['slower']['median']:.1f}" for case in cases))]
    rows += [("limit: the matrix products alone", *(f"{case['limit']['epoch_s']['median']:.3f} s" for case in cases))]
    share = [f"{100 * case['share_of_limit']['median']:.0f} %" for case in cases]
    rows += [("share of the limit that our epoch reaches", *share)]
    rows += [("the same products in XLA", *(_in_xla(case, result["flags"]["batch_size"]) for case in cases))]
    header = ("seconds an epoch (times ours)", *(f"K = {case['hidden']}" for case in cases))
    rounds = len(cases[0]["rows"][0]["epoch_s"]["rounds"])
    remark = f"Medians of {rounds} rounds, of seconds and of ratios; spreads are in the JSON.\n"
    return markdown(header, rows) + machine(result) + remark


def _fastest(case: dict) -> dict:
    """PyTorch's fastest row."""
    return next(row for row in case["rows"] if row["name"] == case["best_torch"])


def _in_xla(case: dict, batch_size: int) -> str:
    """An epoch's matrix products in XLA, each in its fastest layout."""
    steps = case["examples"] / batch_size
    return f"{steps * sum(product['xla'] for product in case['limit']['products_s'].values()):.3f} s"


def networks() -> str:
    """Many networks at once, from docs/results/benchmark_networks.json."""
    result = read("benchmark_networks")
    cases = result["cases"]
    header = ("seconds an epoch and network (times ours)", *(f"K = {case['hidden']}" for case in cases))
    return markdown(header, _competitors(cases)) + machine(result)


def _competitors(cases: list[dict]) -> list[tuple[str, ...]]:
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


def against() -> str:
    """This code beside an older commit, in one run, from docs/results/against.json."""
    if not (RESULTS / "against.json").exists():
        return "Not measured yet.\n"
    result = read("against")
    kinds = ("", lambda row: row), (", seconds of the CPU", lambda row: row["cpu"])
    rows = [_beside(f"{row['name']}{words}", kind(row)) for row in result["rows"] for words, kind in kinds]
    same = [row["name"] for row in result["rows"] if row.get("same_program")]
    told = f"Both have the same program, to the letter: {'; '.join(same)}.\n" if same else ""
    other = result["other"][:7]
    header = ("least of the rounds", "now", f"commit {other}", "median ratio", "from", "to")
    load = ", ".join(f"{number:.1f}" for number in result["load_average"][:1])
    return markdown(header, rows) + machine(result) + f"Load average at the start: {load}.\n{told}"


def _beside(name: str, row: dict) -> tuple[str, ...]:
    ratios = (f"{row['ratio'][which]:.2f}" for which in ("median", "min", "max"))
    return name, *(f"{row[side]['min']:.3f} s" for side in ("here_s", "there_s")), *ratios


def startup() -> str:
    """The README's first command taken apart, from docs/results/startup.json."""
    if not (RESULTS / "startup.json").exists():
        return "Not measured yet.\n"
    result = read("startup")
    whole = ("from start to exit", "seconds"), ("of the CPU", "cpu_seconds")
    rows = [(words, f"{min(result[name]):.2f} s") for words, name in whole]
    rows += [(row["part"], f"{row['seconds']:.2f} s") for row in result["parts"] if row["seconds"] >= 0.005]
    load = f"Least of {result['rounds']} runs; load average at the start {result['load_average'][0]:.1f}.\n"
    return markdown(("", "seconds"), rows) + machine(result) + load


def limits() -> str:
    """Each row's share of the rate at which this machine did matrix products best, from the results of both tables."""
    cases = read("benchmark_cpu")["cases"]
    together = [case | {"rows": case["rows"][1:]} for case in read("benchmark_networks")["cases"]]  # ours is above
    rate = max(map(_rate, cases))
    least = {case["hidden"]: _flops(case) * case["examples"] / rate for case in cases}
    alone = {case["hidden"]: case["limit"]["epoch_s"]["median"] for case in cases}
    found: dict[str, dict[int, str]] = {}
    for case in (*cases, *together):
        K = case["hidden"]
        for row in case["rows"]:
            share = _percent(least[K], row["epoch_s"]["median"]) if row["epoch_s"] else row["note"]
            found.setdefault(row["label"], {})[K] = share
    rows = [
        ("all products at the best rate: the limit", *(f"{seconds:.3f} s" for seconds in least.values())),
        ("our products, each alone in its best layout", *(_percent(least[K], alone[K]) for K in least)),
        *((label, *(shares.get(K, "") for K in least)) for label, shares in found.items()),
    ]
    best = f"{rate / 1e9:.0f} GFLOP/s, of one of the products at K = {max(cases, key=_rate)['hidden']}"
    header = ("share of the limit that an epoch and network reaches", *(f"K = {K}" for K in least))
    return markdown(header, rows) + f"\nThe best rate is {best}.\n" + machine(read("benchmark_cpu"))


def limits_whole() -> str:
    """The rows of `against` beside the rates of its run, and the first command beside its own work on all cores."""
    rows = []
    if (RESULTS / "against.json").exists():
        result = read("against")
        for row in (row for row in result["rows"] if "hidden" in row):
            reached = ("not measured yet", "not measured yet")
            if "rates" in result:
                flops = row["examples"] * operations(row["hidden"], 1, row["networks"], row["inputs"])
                least = flops / result["rates"]["flops_per_second"]
                reached = f"{least:.3f} s: its products at the best rate", _percent(least, row["here_s"]["min"])
            rows.append((row["name"], f"{row['here_s']['min']:.3f} s", *reached))
    if (RESULTS / "startup.json").exists():
        result = read("startup")
        seconds, cpus = min(result["seconds"]), result["platform"]["cpus"]
        least = min(result["cpu_seconds"]) / cpus
        limit = f"{least:.2f} s: the same work, spread over all cores"
        rows.append(("python -m experiments.train", f"{seconds:.2f} s", limit, _percent(least, seconds)))
    return markdown(("", "least measured", "limit", "reached"), rows)


def _percent(least: float, seconds: float) -> str:
    return f"{100 * least / seconds:.0f} %"


def _flops(case: dict) -> float:
    """Operations of an example in one step, of the live inputs."""
    return 2 * (2 * case["live_inputs"] * case["hidden"] + 3 * case["hidden"] * 10)


def _rate(case: dict) -> float:
    """The best rate of the two large products, in operations a second."""
    products, batch = case["limit"]["products_s"], read("benchmark_cpu")["flags"]["batch_size"]
    least = min(min(products[name].values()) for name in ("Z1", "dW1"))
    return 2 * batch * case["live_inputs"] * case["hidden"] / least

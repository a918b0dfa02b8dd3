"""Tables of times: beside others, beside older code, beside limits, and by width, networks and devices."""

from collections.abc import Iterator, Sequence

from experiments.benchmarks.device import operations
from experiments.benchmarks.tables import NOT_YET, percent, seconds, table

Rows = list[tuple[str, ...]]


@table("benchmark_cpu")
def benchmark(result: dict) -> tuple:
    """Epoch times side by side: one row per competitor, one column per width."""
    cases, steps = result["cases"], [case["examples"] / result["flags"]["batch_size"] for case in result["cases"]]
    in_xla = (sum(found["xla"] for found in case["limit"]["products_s"].values()) for case in cases)
    rows = [
        *_competitors(cases),
        ("fastest PyTorch row, times ours", *(f"{fastest(case)['slower']['median']:.1f}" for case in cases)),
        ("limit: the matrix products alone", *(seconds(case["limit"]["epoch_s"]["median"]) for case in cases)),
        ("share of the limit that our epoch reaches", *(percent(case["share_of_limit"]["median"]) for case in cases)),
        ("the same products in XLA", *(seconds(n * step) for n, step in zip(steps, in_xla, strict=True))),
    ]
    rounds = len(cases[0]["rows"][0]["epoch_s"]["rounds"])
    said = f"Medians of {rounds} rounds, of seconds and of ratios; spreads are in the JSON."
    return ("seconds an epoch (times ours)", *_widths(cases)), rows, said


def fastest(case: dict) -> dict:
    """PyTorch's fastest row."""
    return next(row for row in case["rows"] if row["name"] == case["best_torch"])


@table("benchmark_networks")
def networks(result: dict) -> tuple:
    """Many networks at once."""
    return ("seconds an epoch and network (times ours)", *_widths(result["cases"])), _competitors(result["cases"])


def _widths(cases: Sequence[dict]) -> Iterator[str]:
    return (f"K = {case['hidden']}" for case in cases)


def _competitors(cases: Sequence[dict]) -> Rows:
    """One row for each competitor, one column for each width."""
    labels = [row["label"] for row in cases[0]["rows"]]
    return [
        (label, *(_times(row) for case in cases for row in case["rows"] if row["label"] == label)) for label in labels
    ]


def _times(row: dict) -> str:
    if row["epoch_s"] is None:
        return row["note"]
    slower = f" ({row['slower']['median']:.1f})" if row["slower"] else ""
    return f"{seconds(row['epoch_s']['median'])}{slower}"


@table("scaling")
def scaling_width(result: dict) -> tuple:
    """One network."""
    rows = [
        (f"{r['hidden']}", f"{r['step_us']:.0f}", f"{r['gflops_per_second']:.0f}", f"{r['flops'] / r['bytes']:.0f}")
        for r in _kind(result, "width")
    ]
    return ("K", "microseconds a step", "GFLOP/s", "operations a byte, on paper"), rows


@table("scaling", machine=0)
def scaling_networks(result: dict) -> tuple:
    """Networks together: one row for each number of them, one column for each width."""
    found = _kind(result, "networks")
    widths, numbers = (list(dict.fromkeys(r[name] for r in found)) for name in ("hidden", "networks"))
    times = {(r["networks"], r["hidden"]): f"{r['step_us']:.0f}" for r in found}
    rows = [(str(n), *(times.get((n, width), "") for width in widths)) for n in numbers]
    return ("networks; microseconds a step and network", *(f"K = {width}" for width in widths)), rows


@table("scaling", machine=0)
def scaling_devices(result: dict) -> tuple:
    """One network on several devices."""
    found = _kind(result, "devices")
    rows = [(r["mesh"] or "one device", f"{r['step_us']:.0f}") for r in found]
    return (f"mesh, K = {found[0]['hidden']}", "microseconds a step"), rows


def _kind(result: dict, kind: str) -> list[dict]:
    return [row for row in result["rows"] if row["kind"] == kind]


@table("against")
def against(result: dict) -> tuple:
    """This code beside an older commit, in one run."""
    rows = []
    for row in result["rows"]:
        for words, own in ((row["name"], row), (f"{row['name']}, seconds of the CPU", row["cpu"])):
            ratios = (f"{own['ratio'][which]:.2f}" for which in ("median", "min", "max"))
            rows.append((words, *(seconds(own[side]["min"]) for side in ("here_s", "there_s")), *ratios))
    other = (result["other"] or "unknown")[:7]
    header = ("least of the rounds", "now", f"commit {other}", "median ratio", "from", "to")
    same = "; ".join(row["name"] for row in result["rows"] if row.get("same_program"))
    told = f" Both have the same program, to the letter: {same}." if same else ""
    return header, rows, f"Load average at the start: {result['load_average'][0]:.1f}.{told}"


@table("startup")
def startup(result: dict) -> tuple:
    """The README's first command taken apart."""
    rows = [("from start to exit", f"{min(result['seconds']):.2f} s")]
    rows += [("of the CPU", f"{min(result['cpu_seconds']):.2f} s")]
    rows += [(row["part"], f"{row['seconds']:.2f} s") for row in result["parts"] if row["seconds"] >= 0.005]
    load = f"Least of {result['rounds']} runs; load average at the start {result['load_average'][0]:.1f}."
    return ("", "seconds"), rows, load


@table("benchmark_cpu", "benchmark_networks")
def limits(alone: dict, together: dict) -> tuple:
    """Each row's share of the rate at which this machine did matrix products best."""
    cases, batch_size = alone["cases"], alone["flags"]["batch_size"]
    each = {case["hidden"]: operations(case["hidden"], 1, inputs=case["live_inputs"]) for case in cases}
    rates = {}  # of the better of the two large products, in operations a second
    for case in cases:
        found = min(min(case["limit"]["products_s"][name].values()) for name in ("Z1", "dW1"))
        rates[case["hidden"]] = 2 * batch_size * case["live_inputs"] * case["hidden"] / found
    rate = max(rates.values())
    least = {case["hidden"]: case["examples"] * each[case["hidden"]] / rate for case in cases}
    own = {case["hidden"]: case["limit"]["epoch_s"]["median"] for case in cases}
    rows = [
        ("all products at the best rate: the limit", *map(seconds, least.values())),
        ("our products, each alone in its best layout", *(percent(least[K] / own[K]) for K in least)),
    ]
    shares: dict[str, dict[int, str]] = {}
    for case in (*cases, *together["cases"]):
        for row in case["rows"]:
            reached = percent(least[case["hidden"]] / row["epoch_s"]["median"]) if row["epoch_s"] else row["note"]
            shares.setdefault(row["label"], {}).setdefault(case["hidden"], reached)
    rows += [(label, *(some.get(K, "") for K in least)) for label, some in shares.items()]
    best = (
        f"The best rate is {rate / 1e9:.0f} GFLOP/s, of one of the products at K = {max(rates, key=rates.__getitem__)}."
    )
    return ("share of the limit that an epoch and network reaches", *_widths(cases)), rows, best


@table("against", "startup", machine=0)
def limits_whole(against: dict, startup: dict) -> tuple:
    """The epochs of `against` beside the rates of its run, and the first command beside its own work on all cores."""
    rows = []
    for row in (row for row in against["rows"] if "hidden" in row):
        reached, measured = (NOT_YET, NOT_YET), row["here_s"]["min"]
        if "rates" in against:
            flops = row["examples"] * operations(row["hidden"], 1, row["networks"], row["inputs"])
            least = flops / against["rates"]["flops_per_second"]
            reached = f"{seconds(least)}: its products at the best rate", percent(least / measured)
        rows.append((row["name"], seconds(measured), *reached))
    measured, least = min(startup["seconds"]), min(startup["cpu_seconds"]) / startup["platform"]["cpus"]
    limit = f"{least:.2f} s: the same work, spread over all cores"
    rows.append(("python -m experiments.train", f"{measured:.2f} s", limit, percent(least / measured)))
    rate = against.get("rates", {}).get("flops_per_second")
    said = f"The best rate in the run of the epochs is {rate / 1e9:.0f} GFLOP/s." if rate else ""
    return ("", "least measured", "limit", "reached"), rows, said

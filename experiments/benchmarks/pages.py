"""The tables of README and docs/, each written from the committed result files in docs/results/."""

import json
import pathlib

from experiments.runtime.provenance import processor
from experiments.runtime.tables import markdown

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"


def read(name: str) -> dict:
    """The result file of this name."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def machine(result: dict) -> str:
    """The machine, the versions and the commit that a result comes from."""
    platform, versions, git = result["platform"], result["versions"], result["git"]
    parts = [processor(platform), f"Python {versions['python']}", f"JAX {versions['jax']}"]
    if git:  # it was measured in a checkout
        parts.append(f"commit {git['commit'][:7]}{' with changes' if git['dirty'] else ''}")
    return f"\n{', '.join(parts)}.\n"


def training() -> str:
    """What the training script reaches, from docs/results/training.json."""
    result = read("training")
    rows = [(row["row"], f"`{row['command']}`", _outcome(row)) for row in result["rows"]]
    return markdown(("", "command", "measured"), rows) + machine(result)


def _outcome(row: dict) -> str:
    if "test_accuracy" in row:
        return f"test accuracy {row['test_accuracy']:.4f}, {row['wall_seconds']:.1f} s"
    if "relative_difference" in row:
        return f"largest relative difference of a parameter {row['relative_difference']:.1e}"
    if "identical" in row:
        return "identical metrics and parameters" if row["identical"] else "different"
    if "test_error_percent" in row:
        spread = f"{row['test_error_percent']:.2f} % ± {row['sd']:.2f} (n = {row['n']})"
        return f"test error {spread}, {row['wall_seconds']:.0f} s each"
    return f"{row['wall_seconds']:.1f} s"


def endurance() -> str:
    """What kills and damages cost, from docs/results/endurance.json."""
    result = read("endurance")
    flags, equal, n = result["flags"], sum(run["equal"] for run in result["runs"]), len(result["runs"])
    of = "one run" if n == 1 else f"{n} runs"
    rows = [
        (f"{flags['kills']} SIGKILLs and {flags['terms']} SIGTERMs of {of}", f"{equal} of {n} equal"),
        *_lost_processes(result["pairs"]),
        *(
            (f"{kind}: flipped bits and truncations", ", ".join(f"{count} {what}" for what, count in found.items()))
            for kind, found in result["damages"].items()
        ),
    ]
    return markdown(("", "outcome"), rows)


def _lost_processes(pairs: dict) -> list[tuple[str, str]]:
    rows = [("two processes on loopback, beside one with two devices", "equal" if pairs["equal"] else "different")]
    for number in dict.fromkeys(one["signal"] for one in pairs["lost"]):
        mine = [one for one in pairs["lost"] if one["signal"] == number]
        ended = " and ".join("never" if one["seconds"] is None else f"{one['seconds']:.1f} s" for one in mine)
        after = f"{sum(not one['differs'] for one in mine)} of {len(mine)} equal when repeated"
        rows.append((f"{number} to the first, to the second: the other ends after", f"{ended}; {after}"))
    return rows


def output_relu() -> str:
    """The share of networks that have lost a class, from docs/results/output_relu.json and output_relu_mnist.json."""
    rows = []
    for name, data in (("output_relu", "digits"), ("output_relu_mnist", "MNIST")):
        result = read(name)
        rates = sorted({cell["learning_rate"] for cell in result["cells"]})
        rate = rates[len(rates) // 2]  # the optimiser's own
        for start in (entry for entry in result["start"] if entry["hidden"] == 128):
            cells = {
                c["loss"]: c
                for c in result["cells"]
                if (c["init"], c["hidden"], c["learning_rate"]) == (start["init"], 128, rate)
            }
            shares = [_interval(cells[loss]["lost_class"]) for loss in ("cross_entropy", "quadratic")]
            rows.append(
                (f"{data}, {start['init']}", _interval(start["dead_output"]), *shares, str(result["flags"]["epochs"]))
            )
    header = ("K = 128", "dead output before a step", "class lost, cross-entropy", "class lost, quadratic", "epochs")
    digits, mnist = read("output_relu"), read("output_relu_mnist")
    expected = [100 * result["expected_at_the_start"] for result in (digits, mnist)]
    note = f"\nExpected before a step, at least: {expected[0]:.1f} % on digits, {expected[1]:.2f} % on MNIST."
    note += " 95 % intervals. Training took " + " and ".join(map(_cells_and_time, (digits, mnist)))
    return markdown(header, rows) + f"{note}.\n{machine(mnist)}"


def _cells_and_time(result: dict) -> str:
    cells, data = len(result["cells"]), result["flags"]["dataset"]
    seconds = result["training_seconds"] / cells
    return f"{seconds:.0f} s for each of the {cells} cells on {data}"


def _interval(share: dict) -> str:
    low, high = (100 * end for end in share["interval"])
    return f"{100 * share['share']:.1f} % ({low:.1f} to {high:.1f})"


# What was wanted of the benchmark, by hidden units: times our epoch, and percent of the limit.
RATIOS, SHARES = {32: 3.0, 128: 2.0, 800: 1.5}, {128: 80.0, 800: 80.0}


def benchmark() -> str:
    """Epoch times side by side, from docs/results/benchmark_cpu.json: one row per competitor, one column per width."""
    result = read("benchmark_cpu")
    cases = result["cases"]
    rows = _competitors(cases)
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


def example() -> str:
    """What the verification prints for a wrong derivation, from docs/results/verify_example.txt."""
    return f"```\n{(RESULTS / 'verify_example.txt').read_text()}```\n"


def catalogue() -> str:
    """How the verification fares on derivations it has not seen, from docs/results/verification_catalogue.json."""
    result = read("verification_catalogue")
    singles, doubles, right = result["singles"], result["doubles"], result["right"]
    named = singles["derivations"] - singles["refused"] - singles["honest"]
    bounds = read("verification_bounds")
    rows = [
        ("wrong derivations, one error: killed", f"{singles['killed']} of {singles['derivations']}"),
        ("first wrong step exact", f"{singles['located']} of {singles['located_of']}"),
        ("cause named, from the four gradients alone", f"{singles['unique']} of {named}"),
        ("several causes named, the right one among them", f"{singles['candidates']}"),
        ("only wrong causes named", f"{singles['wrong_name']}"),
        ("two errors at once: killed", f"{doubles['killed']} of {doubles['derivations']}"),
        ("both steps exact", f"{doubles['located']} of {doubles['located_of']}"),
        ("right derivations, formula and program: false alarms", f"{_alarms(right)} of {right['verdicts']}"),
        ("entries beyond their rounding bound", f"{bounds['violations']} of {bounds['entries']:.2g}"),
    ]
    return markdown(("", "measured"), rows) + machine(result["provenance"])


def _alarms(right: dict) -> int:
    return right["formula_alarms"] + right["random_shape_alarms"] + right["program_alarms"]


def verification() -> str:
    """The verification beside other checkers, from docs/results/verification.json."""
    from experiments.benchmarks.checkers.table import table

    result = read("verification")
    header, *rows = table(result)
    return markdown(header, rows) + machine(result)

"""What the training scripts reach, survive and find."""

from experiments.benchmarks.tables.pages import machine, markdown, read


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
        *_pairs(result["pairs"]),
        *(
            (f"{kind}: flipped bits and truncations", ", ".join(f"{count} {what}" for what, count in found.items()))
            for kind, found in result["damages"].items()
        ),
    ]
    return markdown(("", "outcome"), rows)


def _pairs(pairs: dict) -> list[tuple[str, str]]:
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

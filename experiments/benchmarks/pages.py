"""The tables of README and docs/, each written from the committed result files in docs/results/."""

import json
import pathlib

from experiments.runtime.tables import markdown
from twolayer.command.provenance import processor

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


def coverage() -> str:
    """How often 95 % intervals cover, from docs/results/coverage.json: a row for each population and figure."""
    result = read("coverage")
    sizes = sorted({row["n"] for row in result["means"]})
    rows: dict[tuple[str, str], list[str]] = {}
    for row in result["means"]:
        missed = " **missed**" if row["printed"] is not None and row["printed"] < result["wanted"] else ""
        printed = "none" if row["printed"] is None else f"{100 * row['printed']:.0f} %"
        cell = f"{printed}{missed} ({100 * row['t']:.0f} %, {100 * row['bootstrap']:.0f} %)"
        name = f"{row['figure'].replace('_', ' ')}, {row['of']}"
        rows.setdefault((row["population"], name), []).append(cell)
    header = ("as printed (t, bootstrap of the mean)", "", *(f"n = {n}" for n in sizes))
    printed = [row["printed"] for row in result["means"] if row["printed"] is not None]
    missed = sum(covered < result["wanted"] for covered in printed)
    alone, both = (
        ", ".join(f"{100 * row[name]:.0f} %" for row in result["one_order"]) for name in ("one_order", "crossed")
    )
    note = (
        f"\nWanted: {100 * result['wanted']:.0f} % at least; {missed or 'none'} of {len(printed)} "
        f"{'is' if missed == 1 else 'are'} missed. Shares of networks that lost a class: "
        f"{100 * min(row['wilson'] for row in result['shares']):.0f} % at least. Test accuracy over starts and orders: "
        f"from n starts in one order {alone}; from n starts with n orders {both}.\n"
    )
    return markdown(header, [(*names, *cells) for names, cells in rows.items()]) + note + machine(result)


def output_relu() -> str:
    """The shares of networks that have lost a class for good, and that give one to no test image.

    From docs/results/output_relu.json (digits) and output_relu_mnist.json.
    """
    digits, mnist = (read(f"output_relu{name}") for name in ("", "_mnist"))
    rows = [row for result, data in ((digits, "digits"), (mnist, "MNIST")) for row in _lost_rows(result, data)]
    losses = ("cross-entropy", "quadratic")
    header = ("K = 128", "networks", "dead before a step")
    header += tuple(f"{what}, {loss}" for loss in losses for what in ("lost", "not predicted"))
    expected = [100 * result["expected_at_the_start"] for result in (digits, mnist)]
    note = f"\nExpected before a step, at least: {expected[0]:.1f} % on digits, {expected[1]:.2f} % on MNIST. "
    note += "Lost: an output that is zero on every training image. Not predicted: a class given to no test image. "
    note += "Each network has a start and an order of its own; 95 % intervals (Wilson) are over both."
    return markdown(header, rows) + f"{note}\n{machine(mnist)}"


def _lost_rows(result: dict, data: str) -> list[tuple[str, ...]]:
    """A row for each initialisation, of the networks of 128 hidden units at the optimiser's own rate."""
    rates = sorted({cell["learning_rate"] for cell in result["cells"]})
    rows = []
    for start in (entry for entry in result["start"] if entry["hidden"] == 128):
        own = start["init"], 128, rates[len(rates) // 2]
        mine = [cell for cell in result["cells"] if (cell["init"], cell["hidden"], cell["learning_rate"]) == own]
        cells = {cell["loss"]: cell for cell in mine}
        losses, shares = ("cross_entropy", "quadratic"), ("lost_for_good", "not_predicted")
        names = f"{data}, {start['init']}, {result['flags']['epochs']} epochs", f"{mine[0]['networks']:,}"
        found = (_interval(cells[loss][name]) if loss in cells else "not run" for loss in losses for name in shares)
        rows.append((*names, _interval(start["dead_output"]), *found))
    return rows


def _interval(share: dict) -> str:
    low, high = (100 * end for end in share["interval"])
    return f"{100 * share['share']:.1f} % ({low:.1f} to {high:.1f})"


def example() -> str:
    """What the verification prints for a wrong derivation, from docs/results/verify_example.txt."""
    return f"```\n{(RESULTS / 'verify_example.txt').read_text()}```\n"


def people() -> str:
    """The verification on people's files: the verifier before, the first run of today's, and now."""
    columns = [read(f"verify_people{name}")["counts"] for name in ("_before", "_first", "")]
    said = {
        "right files accepted": ("right_accepted", "right"),
        "wrong files judged wrong": ("wrong_judged_wrong", "wrong"),
        "first wrong step right": ("step_right", "wrong_judged_wrong"),
        "line right": ("line_right", "wrong_judged_wrong"),
        "cause named": ("cause_right", "wrong_judged_wrong"),
    }
    rows = [(text, *(f"{one[count]} of {one[total]}" for one in columns)) for text, (count, total) in said.items()]
    rows.append(("wrong files passed as right", *(str(len(one["wrong_passed"])) for one in columns)))
    rows.append(("only false causes", *(str(len(one["false_causes"])) for one in columns)))
    header = ("", "the verifier before", "first run", "now")
    return markdown(header, rows) + machine(read("verify_people")["provenance"])


def catalogue() -> str:
    """How the verification fares on the derivations of the catalogue, in JAX and turned into NumPy."""
    results = [read("verification_catalogue"), read("verification_numpy")]
    columns = [_catalogue(result) for result in results]
    rows = [(text, *(column.get(text, "not run") for column in columns)) for text in columns[0]]
    bounds = read("verification_bounds")
    rows.append(("entries beyond their rounding bound", f"{bounds['violations']} of {bounds['entries']:.2g}", ""))
    return markdown(("", "as JAX", "as NumPy"), rows) + machine(results[0]["provenance"])


def _catalogue(result: dict) -> dict[str, str]:
    """What is said of the parts that were run."""
    said = {}
    if singles := result.get("singles"):
        named = singles["derivations"] - singles["refused"] - singles["honest"]
        said |= {
            "wrong derivations, one error: killed": f"{singles['killed']} of {singles['derivations']}",
            "first wrong step exact": f"{singles['located']} of {singles['located_of']}",
            "cause named, from the four gradients alone": f"{singles['unique']} of {named}",
            "several causes named, the right one among them": f"{singles['candidates']}",
            "only wrong causes named": f"{singles['wrong_name']}",
        }
    if doubles := result.get("doubles"):
        said |= {
            "two errors at once: killed": f"{doubles['killed']} of {doubles['derivations']}",
            "both steps exact": f"{doubles['located']} of {doubles['derivations']}",
        }
    if right := result.get("right"):
        alarms = right["formula_alarms"] + right["random_shape_alarms"] + right["program_alarms"]
        text = "right derivations, formula and program: false alarms"
        said[text] = f"{alarms} of {right['verdicts']}, of {right['derivations']} derivations"
    return said


def verification() -> str:
    """The verification beside other checkers, from docs/results/verification.json."""
    from experiments.benchmarks.checkers.table import table

    result = read("verification")
    header, *rows = table(result)
    return markdown(header, rows) + machine(result)


def functions() -> str:
    """Any function beside finite differences, from verify_functions.json and verify_functions_checkers.json."""
    others, own = read("verify_functions_checkers"), read("verify_functions")
    asked = [row for row in own["rows"] if row["form"] in others["forms"]]
    sides = [[row for row in asked if row["expected"] == side] for side in ("wrong", "right")]
    said = [sum(row["verdict"] == "wrong" for row in side) for side in sides]
    ours = ("twolayer.verification", f"{said[0]} of {len(sides[0])}", f"{said[1]} of {len(sides[1])}", "")
    rows = [
        (r["checker"], f"{r['killed']} of {r['wrong']}", f"{r['alarms']} of {r['right']}", ", ".join(r["survivors"]))
        for r in others["rows"]
    ]
    header = ("", "wrong functions rejected", "right functions rejected", "wrong ones accepted")
    return markdown(header, [ours, *rows]) + machine(others["provenance"])


def results() -> str:
    """A few results of everything, for the README: published numbers beside ours, and the conditions of ours."""
    rows = [_published(*chosen) for chosen in HIGHLIGHTS]
    cases = read("benchmark_cpu")["cases"]
    best = [next(row for row in case["rows"] if row["name"] == case["best_torch"]) for case in cases]
    speed, widths = [f"{row['slower']['median']:.1f}" for row in best], ", ".join(str(case["hidden"]) for case in cases)
    rows.append((f"an epoch of MNIST in PyTorch's fastest form, times ours, K = {widths}", "", ", ".join(speed)))
    kills = read("endurance")
    n = kills["flags"]["kills"] + kills["flags"]["terms"]
    equal = all(run["equal"] for run in kills["runs"])
    rows.append((f"parameters after {n} kills and interruptions", "", "the same bits" if equal else "different"))
    return markdown(("", "published", "ours"), rows)


# Paper, row, what to call it, and the digits worth showing.
HIGHLIGHTS = (
    ("simard2003", "cross_entropy none", "MNIST, 784-800-10: % test error", 2),
    ("simard2003", "headline", "the same with elastic distortions", 2),
    ("nielsen2015", "K=100 default", "MNIST, 100 sigmoids, Nielsen's recipe: % validation accuracy", 2),
    ("zhang2017", "cross_entropy, random labels", "random labels learnt by heart: % training accuracy", 2),
    ("safran2018", "k = 10", "runs of a 10-unit teacher that end in a bad minimum: %", 1),
    ("doubledescent", "label noise, peak", "hidden units at the peak of double descent", 0),
    ("chizat2019", "slope of the weight change", "lazy training: slope of the weight change", 2),
)


def _published(paper: str, name: str, label: str, digits: int) -> tuple[str, ...]:
    row = next(row for row in read(paper)["rows"] if row["row"] == name)
    ours = f"{row['ours']:.{digits}f}"
    if row["sd"] is not None:
        ours += f" ± {row['sd']:.{digits}f}"
    return label, f"{row['published']:g}", f"{ours} (n = {row['n']})"

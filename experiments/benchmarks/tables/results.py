"""Tables of what the project reaches: training, sweeps, kills, verification; and a few results of everything."""

from experiments.benchmarks.tables import RESULTS, TABLES, percent, read, table
from experiments.benchmarks.tables.speed import fastest
from experiments.runtime.tables import share


@table("training")
def training(result: dict) -> tuple:
    """What the training script reaches."""
    return ("", "command", "measured"), [(row["row"], f"`{row['command']}`", _outcome(row)) for row in result["rows"]]


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


@table("tabular")
def tabular(result: dict) -> tuple:
    """Scores on small tables beside those of scikit-learn's network of the same width."""
    rows = []
    for row in result["rows"]:
        scores = (f"{row[who]['mean']:.3f} ± {row[who]['sd']:.3f}" for who in ("ours", "sklearn"))
        times = (f"{row['seconds'][who]:.2f} s" for who in ("ours", "ours_first", "sklearn"))
        rows.append((f"{row['table'].replace('_', ' ')}, {row['score']}", *scores, *times))
    n, epochs = result["rows"][0]["n"], result["rows"][0]["epochs"]
    said = f"Mean and deviation of {n} splits; {epochs} epochs of ours, theirs as it comes."
    return ("", "ours", "scikit-learn", "a fit of ours", "the first, which compiles", "a fit of theirs"), rows, said


@table("endurance", machine=0)
def endurance(result: dict) -> tuple:
    """What kills and damages cost."""
    flags, pairs = result["flags"], result["pairs"]
    equal, n = sum(run["equal"] for run in result["runs"]), len(result["runs"])
    of = "one run" if n == 1 else f"{n} runs"
    rows = [(f"{flags['kills']} SIGKILLs and {flags['terms']} SIGTERMs of {of}", f"{equal} of {n} equal")]
    if pairs:
        same = "equal" if pairs["equal"] else "different"
        rows.append(("two processes on loopback, beside one with two devices", same))
    for number in dict.fromkeys(one["signal"] for one in pairs.get("lost", ())):
        mine = [one for one in pairs["lost"] if one["signal"] == number]
        ended = " and ".join("never" if one["seconds"] is None else f"{one['seconds']:.1f} s" for one in mine)
        after = f"{sum(not one['differs'] for one in mine)} of {len(mine)} equal when repeated"
        rows.append((f"{number} to the first, to the second: the other ends after", f"{ended}; {after}"))
    for kind, found in result["damages"].items():
        outcomes = ", ".join(f"{count} {what}" for what, count in found.items())
        rows.append((f"{kind}: flipped bits and truncations", outcomes))
    return ("", "outcome"), rows


@table("coverage")
def coverage(result: dict) -> tuple:
    """How often 95 % intervals cover: a row for each population and figure."""
    wanted, sizes = result["wanted"], sorted({row["n"] for row in result["means"]})
    rows: dict[tuple[str, str], list[str]] = {}
    for row in result["means"]:
        missed = " **missed**" if row["printed"] is not None and row["printed"] < wanted else ""
        printed = "none" if row["printed"] is None else percent(row["printed"])
        cell = f"{printed}{missed} ({percent(row['t'])}, {percent(row['bootstrap'])})"
        rows.setdefault((row["population"], f"{row['figure'].replace('_', ' ')}, {row['of']}"), []).append(cell)
    printed = [row["printed"] for row in result["means"] if row["printed"] is not None]
    missed = sum(covered < wanted for covered in printed)
    alone, both = (", ".join(percent(row[name]) for row in result["one_order"]) for name in ("one_order", "crossed"))
    said = (
        f"Wanted: {percent(wanted)} at least; {missed or 'none'} of {len(printed)} {'is' if missed == 1 else 'are'} "
        f"missed. Shares of networks that lost a class: {percent(min(row['wilson'] for row in result['shares']))} at "
        f"least. Test accuracy over starts and orders: from n starts in one order {alone}; from n starts with n orders "
        f"{both}."
    )
    header = ("as printed (t, bootstrap of the mean)", "", *(f"n = {n}" for n in sizes))
    return header, [(*names, *cells) for names, cells in rows.items()], said


@table("output_relu_mnist", "output_relu_mnist_quadratic", "output_relu", machine=2)
def output_relu(mnist: dict, quadratic: dict, digits: dict) -> tuple:
    """The shares of networks that have lost a class for good, and that give one to no test image."""
    mnist = mnist | {"cells": mnist["cells"] + quadratic["cells"]}  # of the same starts
    rows = [row for result, data in ((digits, "digits"), (mnist, "MNIST")) for row in _lost_rows(result, data)]
    header = ("K = 128", "networks", "dead before a step")
    losses = ("cross-entropy", "quadratic")
    header += tuple(f"{what}, {loss}" for loss in losses for what in ("lost", "not predicted"))
    expected = [100 * result["expected_at_the_start"] for result in (digits, mnist)]
    said = (
        f"Expected before a step, at least: {expected[0]:.1f} % on digits, {expected[1]:.2f} % on MNIST. Lost: an "
        "output that is zero on every training image. Not predicted: a class given to no test image. Each network has "
        "a start and an order of its own; 95 % intervals (Wilson) are over both."
    )
    return header, rows, said


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
        found = (share(cells[loss][name]) if loss in cells else "not run" for loss in losses for name in shares)
        rows.append((*names, share(start["dead_output"]), *found))
    return rows


def example() -> str:
    """What the verification prints for a wrong derivation, from docs/results/verify_example.txt."""
    return f"```\n{(RESULTS / 'verify_example.txt').read_text()}```\n"


TABLES["example"] = example


@table("verify_people", "verify_people_before", "verify_people_first")
def people(now: dict, before: dict, first: dict) -> tuple:
    """On people's files: the verifier before, the first run of today's, and now."""
    columns = [result["counts"] for result in (before, first, now)]
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
    return ("", "the verifier before", "first run", "now"), rows


@table("verification_catalogue", "verification_numpy", "verification_bounds")
def catalogue(jax: dict, numpy: dict, bounds: dict) -> tuple:
    """On the derivations of the catalogue, in JAX and turned into NumPy."""
    columns = [_catalogue(result) for result in (jax, numpy)]
    rows = [(text, *(column.get(text, "not run") for column in columns)) for text in columns[0]]
    rows.append(("entries beyond their rounding bound", f"{bounds['violations']} of {bounds['entries']:.2g}", ""))
    return ("", "as JAX", "as NumPy"), rows


def _catalogue(result: dict) -> dict[str, str]:
    """What is said of the parts that were run."""
    found = {part: dict(result.get(part) or {}) for part in ("singles", "doubles", "right")}
    if one := found["singles"]:
        one["named"] = one["derivations"] - one["refused"] - one["honest"]
    if right := found["right"]:
        right["alarms"] = right["formula_alarms"] + right["random_shape_alarms"] + right["program_alarms"]
    return {text: form.format(**found[part]) for part, text, form in SAID if found[part]}


ALARMS = "{alarms} of {verdicts}, of {derivations} derivations"
SAID = (
    ("singles", "wrong derivations, one error: killed", "{killed} of {derivations}"),
    ("singles", "first wrong step exact", "{located} of {located_of}"),
    ("singles", "cause named, from the four gradients alone", "{unique} of {named}"),
    ("singles", "several causes named, the right one among them", "{candidates}"),
    ("singles", "only wrong causes named", "{wrong_name}"),
    ("doubles", "two errors at once: killed", "{killed} of {derivations}"),
    ("doubles", "both steps exact", "{located} of {derivations}"),
    ("right", "right derivations, formula and program: false alarms", ALARMS),
)


@table("verification")
def verification(result: dict) -> tuple:
    """Beside other checkers."""
    from experiments.benchmarks.checkers import table as checkers

    header, *rows = checkers.table(result)
    return header, rows


@table("verify_functions_checkers", "verify_functions", machine=2)
def functions(others: dict, own: dict) -> tuple:
    """Any function, beside finite differences."""
    asked = [row for row in own["rows"] if row["form"] in others["forms"]]
    sides = [[row for row in asked if row["expected"] == side] for side in ("wrong", "right")]
    said = [f"{sum(row['verdict'] == 'wrong' for row in side)} of {len(side)}" for side in sides]
    rows = [("twolayer.verification", *said, "")]
    for r in others["rows"]:
        found = f"{r['killed']} of {r['wrong']}", f"{r['alarms']} of {r['right']}", ", ".join(r["survivors"])
        rows.append((r["checker"], *found))
    return ("", "wrong functions rejected", "right functions rejected", "wrong ones accepted"), rows


@table("benchmark_cpu", "endurance", machine=0)
def results(speed: dict, kills: dict) -> tuple:
    """A few results of everything, for the README: published numbers beside ours, and the conditions of ours."""
    rows = [_published(*chosen) for chosen in HIGHLIGHTS]
    slower = ", ".join(f"{fastest(case)['slower']['median']:.1f}" for case in speed["cases"])
    widths = ", ".join(str(case["hidden"]) for case in speed["cases"])
    rows.append((f"an epoch of MNIST in PyTorch's fastest form, times ours, K = {widths}", "", slower))
    n, equal = kills["flags"]["kills"] + kills["flags"]["terms"], all(run["equal"] for run in kills["runs"])
    rows.append((f"parameters after {n} kills and interruptions", "", "the same bits" if equal else "different"))
    return ("", "published", "ours"), rows


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
    spread = "" if row["sd"] is None else f" ± {row['sd']:.{digits}f}"
    return label, f"{row['published']:g}", f"{row['ours']:.{digits}f}{spread} (n = {row['n']})"

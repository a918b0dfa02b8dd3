"""What the verification says, and how often it is right."""

from experiments.benchmarks.tables.pages import RESULTS, machine, markdown, read


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

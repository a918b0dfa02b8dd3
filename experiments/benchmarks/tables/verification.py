"""Tables of how good the verifier is: on the catalogue, on people's files, and beside other checkers."""

from experiments.benchmarks.tables import RESULTS, TABLES, table


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

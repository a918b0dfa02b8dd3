"""What a verdict looks like on the terminal and in the report: the facts are there, and fit on one screen."""

import dataclasses
import io
import json
import re

import pytest

from experiments.verification import equations, lines, screen, wording
from experiments.verification.report import Source, markdown
from twolayer.verification.verdict import (
    LEAVES,
    STEPS,
    Cause,
    Counterexample,
    Formula,
    Program,
    Rounding,
    StepVerdict,
    Verdict,
)

NAME = "homework.py: cross_entropy, output relu, mean"
MASK = Cause(
    "mask_of_other_layer", "The mask of the output layer is used for the hidden layer.", "dZ1", "dZ1 = dO1 * (Z1 > 0)"
)
HALF = Cause("half", "A factor 2 is kept, although the loss has 1/2.", "dO2", "dO2 = (O2 - y) / m")
TEXT = "def gradients(params, x, y):\n    dZ1 = dO1 * (\n        Z2 > 0)\n    return {}\n"


def parts(names, **others):
    return {name: StepVerdict(others.get(name, "right"), where="returned") for name in names}


def programs(verdict="right", reason=None):
    steps = tuple(Rounding(step, eta=1.25, error_over_bound=0.02, bound_over_entry=1e-5) for step in STEPS)
    agreement = {"jit": "right", "vmap": "right", "sharding": "one device"}
    return tuple(Program(name, verdict, steps, agreement, reason) for name in ("float64", "float32", "bfloat16"))


def right(**changes):
    formula = Formula("right", 2.3e-15, degree=12, draws=24, patterns=16, literals={"0.1": "1/10"})
    zero = {"relu_at_zero": {"hidden": "0", "output": "1/2"}, "unknown": {"hidden": "None"}}
    verdict = Verdict("right", parts(LEAVES), parts(STEPS), None, (), formula, programs(), zero, seconds=1.5)
    return dataclasses.replace(verdict, **changes)


def wrong(*causes, **changes):
    example = Counterexample(
        sizes={"m": 1, "d": 1, "K": 2, "C": 2},
        inputs={"W1": [[1], [-1]], "b1": [0, 0], "W2": [[1, 0], [0, 1]], "b2": [0, 0.5], "x": [[2]], "y": [[1, 0]]},
        forward={"Z1": [[2, -2]], "O1": [[2, 0]], "Z2": [[2, 0.5]], "O2": [[2, 0.5]]},
        quantity="dZ1",
        index=(0, 1),
        yours=0.25,
        right=0,
    )
    verdict = Verdict(
        "wrong",
        parts(LEAVES, dW1="wrong", db1="wrong"),
        parts(STEPS, dZ1="wrong"),
        "dZ1",
        causes or (MASK,),
        Formula("wrong", 0.0, degree=12, draws=4, patterns=2),
        counterexample=example,
    )
    return dataclasses.replace(verdict, **changes)


def rows(text):
    """The table of steps, each row in words."""
    return {line[:3]: line.split() for line in text.splitlines() if line[:4].rstrip() in STEPS}


def test_a_right_derivation_is_calm():
    text = screen.render(right(), NAME)
    first, second, *rest = text.splitlines()
    assert first == "RIGHT: dW1, db1, dW2, db2 are the gradient of the loss"
    assert second == f"{NAME}; 1.5 s"
    assert len(rest) <= 10 and not rows(text)
    assert "24 draws" in text and "16 activation patterns" in text and "below 1e-14" in text
    assert "ReLU'(0) hidden 0, output 1/2" in text
    assert "unknown" not in text
    assert "1/10" not in text  # everyone reads 0.1 so


def test_each_precision_says_its_error_and_its_agreement():
    text = screen.render(right(), NAME)
    for precision in ("float64", "float32", "bfloat16"):
        (line,) = [line for line in text.splitlines() if f"PROGRAM  {precision}" in line]
        assert "right" in line and "eta <= 1.3 (dO2)" in line
    assert text.count("jit, vmap agree; sharding: one device\n") == 3


def test_a_literal_that_is_no_short_decimal_is_told():
    formula = dataclasses.replace(right().formula, literals={"0.1": "1/10", "0.14285714285714285": "1/7"}, left_out=1)
    text = " ".join(screen.render(right(formula=formula), NAME).split())
    assert "0.14285714285714285 as 1/7" in text and "1/10" not in text
    assert "1 draw left out" in text


def test_a_scale_that_is_paid_back_is_no_error():
    steps = parts(STEPS) | {"dO2": StepVerdict("right", scale="m")}
    text = screen.render(right(steps=steps), NAME)
    assert text.startswith("RIGHT") and "dO2 carries m, paid back" in text


def test_a_wrong_derivation_says_where_why_and_shows_a_case():
    text = screen.render(wrong(), NAME, source=TEXT)
    assert text.startswith("WRONG at dZ1: The mask of the output layer is used for the hidden layer\n")
    table = rows(text)
    assert list(table) == list(STEPS)
    assert table["dZ1"] == ["dZ1", "wrong", "returned"]
    assert table["dW1"] == ["dW1", "right", "wrong", "returned"]
    assert "yours  dZ1 = dO1 * (Z2 > 0)   (line 2)" in text
    assert "right  dZ1 = dO1 * (Z1 > 0)" in text
    assert "m = 1, d = 1, K = 2, C = 2" in text
    assert "W1 = [[1], [-1]]" in text and "Z2 = [[2, 0.5]]" in text
    assert "dZ1[0, 1]: yours 0.25, right 0" in text
    assert "refuted exactly" in text


def test_the_line_is_quoted_only_where_there_is_one():
    assert lines.assigned(TEXT, "dZ1") == (2, "dZ1 = dO1 * (Z2 > 0)")
    assert lines.assigned(TEXT + "dZ1 = 0\n", "dZ1") is None
    assert lines.assigned(TEXT, "dW1") is None
    assert lines.assigned("not Python", "dZ1") is None


def test_alternatives_are_shown_as_such():
    text = screen.render(wrong(MASK, dataclasses.replace(HALF, explanation=1)), NAME)
    assert text.startswith("WRONG at dZ1: 2 different causes explain it equally well\n")
    assert "Any one of these 2" in text
    assert re.search(r"\(a\) +at dZ1: The mask", text) and re.search(r"\(b\) +at dO2: A factor 2", text)


def test_two_errors_at_once_are_numbered():
    text = screen.render(wrong(MASK, HALF, first_wrong_step="dO2"), NAME)
    assert text.startswith("WRONG at dO2: A factor 2 is kept") and "1/2; the first of 2 errors" in text
    assert "2 errors at once:" in text
    assert re.search(r"1\. +at dO2", text) and re.search(r"2\. +at dZ1", text)
    assert "right  dO2 = (O2 - y) / m" in text and "right  dZ1 = dO1 * (Z1 > 0)" in text


def test_without_a_cause_no_name_is_made_up():
    text = screen.render(dataclasses.replace(wrong(), causes=()), NAME)
    assert text.startswith("WRONG at dZ1: the error enters here; nothing in the catalogue explains it\n")


def test_a_wrong_program_with_a_right_formula():
    beyond = (Rounding("dW1", eta=900.0, error_over_bound=30.0, bound_over_entry=1e-5),)
    program = [dataclasses.replace(part, steps=beyond) for part in programs("wrong", "sums in float16")]
    text = screen.render(right(verdict="wrong", program=tuple(program)), NAME)
    assert text.startswith("WRONG: the formula is not refuted, but in float64 the program is off")
    assert "sums in float16" in text and "the error of dW1 is 30 times its bound" in text


def test_the_loss_that_it_is_right_for_comes_first():
    said = "Your gradient is right for the sum; you declared the mean."
    text = screen.render(dataclasses.replace(wrong(), causes=(), loss=said), NAME)
    assert text.startswith(f"WRONG at dZ1: {said[:-1]}\n") and text.count(said[:-1]) == 1
    assert f"LOSS     {said}" in screen.render(wrong(loss=said), NAME)


def test_missing_leaves_are_named_with_their_formula():
    leaves = parts(LEAVES) | {"db1": StepVerdict("not_derived", reason="not derived; dZ1.sum(0) follows from dZ1")}
    text = screen.render(right(verdict="not_derived", leaves=leaves), NAME)
    assert text.startswith("NOT DERIVED: db1 is missing; the others are right\n")
    assert re.search(r"db1 +not derived; dZ1\.sum\(0\) follows", text)
    assert rows(text)["db2"][2] == "right"


def test_undecided_names_the_operation():
    leaves = parts(LEAVES, dW1="undecided")
    leaves["dW1"] = StepVerdict("undecided", reason="log has no algebraic meaning (homework.py:7)")
    text = screen.render(right(verdict="undecided", leaves=leaves), NAME)
    assert text.startswith("UNDECIDED: dW1: log has no algebraic meaning (homework.py:7)")
    assert text.count("homework.py:7") == 1


@pytest.mark.parametrize("colour", [False, True])
def test_it_fits_on_one_screen_whatever_is_found(colour):
    long = "word " * 100
    causes = [dataclasses.replace(MASK, text=long, correction="x" * 300, explanation=i) for i in range(9)]
    steps = {name: StepVerdict("wrong", "m" * 40, long, "found" * 30) for name in STEPS}
    example = dataclasses.replace(wrong().counterexample, inputs={"x": [[1.5] * 50] * 50})
    verdict = wrong(*causes, steps=steps, counterexample=example, notes=(long,) * 9, program=programs(), loss=long)
    text = screen.render(verdict, "n" * 200, source=TEXT, colour=colour)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert len(plain.splitlines()) <= 40
    assert max(map(len, plain.splitlines())) <= 100
    assert "dZ1[0, 1]: yours 0.25, right 0" in plain  # cut is what is long, not what is wanted
    assert "..." in plain


def test_colours_change_nothing_else():
    plain, coloured = (screen.render(wrong(), NAME, colour=colour) for colour in (False, True))
    assert "\x1b" not in plain and "\x1b[31;1mWRONG at dZ1\x1b[0m: The mask" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize(("terminal", "no_color", "wanted"), [(True, "", True), (True, "1", False), (False, "", False)])
def test_colour_is_for_terminals_whose_users_want_it(monkeypatch, terminal, no_color, wanted):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    assert screen.wants_colour(stream) is wanted


def test_odds_are_rounded_to_the_safe_side():
    odds = {2.3e-15: "below 1e-14", 1e-18: "below 1e-17", 0.0: "probability 0", 9.99e-16: "below 1e-15"}
    for probability, said in odds.items():
        formula = dataclasses.replace(right().formula, error_probability=probability)
        assert said in " ".join(wording.formula(formula))


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (-2, "-2"), (0.5, "0.5"), (1 / 3, "0.333333"), (1e20, "1e+20")]
)
def test_numbers_are_short(value, text):
    assert wording.number(value) == text


def source(**changes):
    fields = {"name": "homework.py", "text": TEXT, "loss": "cross_entropy", "output": "relu", "reduction": "mean"}
    return Source(**fields | changes, versions={"jax": "0.10.2", "torch": None})


def test_the_report_has_the_equations_and_the_verdict_of_every_step():
    text = markdown(wrong(), source())
    assert text.startswith("# homework.py: WRONG at dZ1\n\nThe mask of the output layer")
    table = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line[2:6].strip() in STEPS}
    assert list(table) == list(STEPS)
    assert r"$\mathrm{d}Z_1 = \mathrm{d}O_1 \odot \mathbf{1}[Z_1 > 0]$" in table["dZ1"] and "**wrong**" in table["dZ1"]
    assert "dZ1 = dO1 * (Z2 > 0)    # line 2, as it is\ndZ1 = dO1 * (Z1 > 0)    # as it should be" in text
    assert r"W_1 = \begin{pmatrix} 1 \\ -1 \end{pmatrix}" in text
    assert "| dZ1[0, 1] | 0.25 | 0 |" in text
    assert "jax 0.10.2" in text and "torch" not in text
    assert text.count("$$") % 2 == 0 and "\n\n\n" not in text


def test_the_report_of_a_right_derivation_says_what_was_proved():
    text = markdown(right(loss="Your loss is the mean.", notes=("a*b",)), source(name="a_b.py"))
    assert r"# a\_b.py: RIGHT" in text and r"a\*b" in text
    assert "Schwartz" in text and "below 1e-14" in text and "| 0.1 | 1/10 |" in text
    assert "| float32 | dW1 | 1.25 | 0.02 | 1e-05 |" in text
    assert "## Cause" not in text and "counterexample" not in text


def test_code_with_a_fence_does_not_end_the_report():
    assert "\n````python\n" in markdown(right(), source(text='"""\n```\n"""\n'))


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("output", ["relu", "identity"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_equations_are_those_of_the_declared_loss(loss, output, reduction):
    steps = equations.steps(loss, output, reduction)
    assert tuple(steps) == STEPS == tuple(equations.SHAPES)
    assert (
        (r"\frac{1}{m}" in steps["dO2"]) == (r"\frac{1}{m}" in equations.loss(loss, reduction)) == (reduction == "mean")
    )
    assert ("softmax" in steps["dO2"]) == (loss == "cross_entropy")
    assert ("Z_2 > 0" in steps["dZ2"]) == (output == "relu")
    for text in [*steps.values(), *equations.network(output), equations.loss(loss, reduction)]:
        assert text.count("{") == text.count("}")


def test_a_verdict_survives_json():
    assert json.loads(json.dumps(wrong().to_json()))["first_wrong_step"] == "dZ1"

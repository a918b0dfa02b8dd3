"""What a verdict looks like on the terminal and in the report: the facts are there, and fit on one screen."""

import dataclasses
import io
import json
import re

import pytest

from twolayer.command import equations, screen, wording
from twolayer.command.report import Source as Judged
from twolayer.command.report import markdown
from twolayer.verification.problem import LEAVES, STEPS
from twolayer.verification.programs.source import Source
from twolayer.verification.verdict import (
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
    "mask_of_other_layer",
    "The mask of the output layer is used for the hidden layer.",
    "dZ1",
    "dZ1 = dO1 * (Z1 > 0)",
    line=2,
    variable="delta",
)
HALF = Cause("half", "A factor 2 is kept, although the loss has 1/2.", "dO2", "dO2 = (O2 - y) / m")
TEXT = "def gradients(params, x, y):\n    delta = dO1 * (Z2 > 0)\n    return {}\n"


def parts(names, **others):
    return {name: StepVerdict(others.get(name, "right"), where="returned") for name in names}


def programs(verdict="right", reason=None):
    steps = tuple(Rounding(step, eta=1.25, error_over_bound=0.02, bound_over_entry=1e-5) for step in STEPS)
    agreement = {"jit": "right", "vmap": "right", "sharding": "one device"}
    return tuple(Program(name, verdict, steps, agreement, reason) for name in ("float64", "float32", "bfloat16"))


def right(**changes):
    formula = Formula("right", points=24, patterns=16, sizes=4)
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
        parts(STEPS, dZ1="wrong") | {"dZ1": StepVerdict("wrong", where="found", variable="delta", line=2)},
        "dZ1",
        causes or (MASK,),
        Formula("wrong", points=4, patterns=2, sizes=1),
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
    assert "FORMULA  right; equal to 2^-200 (60 digits) at 24 points, 16 activation patterns, 4 sizes" in text
    assert "prove" not in text
    assert "ReLU'(0) hidden 0, output 1/2" in text
    assert "unknown" not in text


def test_each_precision_says_its_error_and_its_agreement():
    text = screen.render(right(), NAME)
    for precision in ("float64", "float32", "bfloat16"):
        (line,) = [line for line in text.splitlines() if f"PROGRAM  {precision}" in line]
        assert "right" in line and "eta <= 1.3 (dO2)" in line
    assert text.count("jit, vmap agree; sharding: one device\n") == 3


def test_rounded_literals_and_points_left_out_are_told():
    formula = dataclasses.replace(right().formula, rounded=("0.3989423",), left_out=1)
    text = " ".join(screen.render(right(formula=formula), NAME).split())
    assert "up to the rounding of 0.3989423" in text and "1 point left out" in text


def test_guards_have_a_line_of_their_own():
    guards = ("differs from the declared loss by the guard 1e-08 at line 5, by at most 2e-08 relative",)
    formula = dataclasses.replace(right().formula, guards=guards)
    text = screen.render(right(formula=formula), NAME)
    assert text.splitlines()[0].endswith("; but for a guard") and f"GUARD    {guards[0]}\n" in text
    refused = " ".join(screen.render(wrong(formula=dataclasses.replace(formula, verdict="wrong")), NAME).split())
    assert f"GUARD {guards[0]}; without it the formula is right: --allow_guards accepts it" in refused
    assert "guard 1e-08" in markdown(right(formula=formula), source()).replace("\\", "")


def test_a_scale_that_is_paid_back_is_no_error():
    steps = parts(STEPS) | {"dO2": StepVerdict("right", scale="m")}
    text = screen.render(right(steps=steps), NAME)
    assert text.startswith("RIGHT") and "dO2 carries m, paid back" in text


def test_a_wrong_derivation_says_where_why_and_shows_a_case():
    text = screen.render(wrong(), NAME, source=TEXT)
    assert text.startswith("WRONG at dZ1, line 2: delta should be dL/dZ1: The mask of the output layer is ")
    table = rows(text)
    assert list(table) == list(STEPS)
    assert table["dZ1"] == ["dZ1", "wrong", "found", "line", "2:", "delta"]
    assert table["dW1"] == ["dW1", "right", "wrong", "returned"]
    assert "yours  delta = dO1 * (Z2 > 0)   (line 2)" in text
    assert "right  dZ1 = dO1 * (Z1 > 0)" in text
    assert "m = 1, d = 1, K = 2, C = 2" in text
    assert "W1 = [[1], [-1]]" in text and "Z2 = [[2, 0.5]]" in text
    assert "dZ1[0, 1]: yours 0.25, right 0" in text
    assert "FORMULA  wrong; proved different; tried at 4 points" in text


PLACES = {
    "a variable": ({}, "WRONG at dZ1, line 2: delta should be dL/dZ1: "),
    "a range": ({"since": 1, "variable": None}, "WRONG at dZ1, between line 1, right, and line 2: "),
    "no variable": ({"variable": None}, "WRONG at dZ1, line 2 or before: "),
    "no line": ({"variable": None, "line": None}, "WRONG at dZ1: "),
    "the forward pass": ({"leaf": "forward", "variable": "a1"}, "WRONG at dZ1, line 2: "),
}


@pytest.mark.parametrize("case", PLACES)
def test_the_headline_names_the_line_as_far_as_it_is_known(case):
    changes, said = PLACES[case]
    text = screen.render(wrong(dataclasses.replace(MASK, **changes)), NAME, source=TEXT)
    assert text.startswith(f"{said}The mask")
    assert ("delta = dO1 * (Z2 > 0)   (line 2)" in " ".join(text.split("\n"))) == (changes.get("line", 2) is not None)


def test_a_line_of_a_notebook_is_counted_in_its_cell():
    place = Source("homework.ipynb", "# In [1]:\nimport numpy\n# In [2]:\n\ndelta = 1\n").line
    text = screen.render(wrong(dataclasses.replace(MASK, line=5)), NAME, source="1\n2\n3\n4\n5", place=place)
    assert text.startswith("WRONG at dZ1, cell 2, line 2: delta should be dL/dZ1: ")


def test_the_place_is_that_of_the_cause_that_is_told():
    far = dataclasses.replace(MASK, leaf="dO2", line=9)
    text = screen.render(wrong(far, dataclasses.replace(HALF, line=None)), NAME)
    assert "line 9: delta should be dL/dO2: The mask" in " ".join(text.split())


def test_two_steps_that_are_one_variable_are_one_cause():
    one, same = (dataclasses.replace(MASK, leaf=leaf, explanation=i) for i, leaf in enumerate(("dO2", "dZ2")))
    assert wording.explanations(wrong(one, same)) == [[one]]
    other = dataclasses.replace(same, line=3)
    assert wording.explanations(wrong(one, other)) == [[one], [other]]


def test_alternatives_are_shown_as_such():
    text = screen.render(wrong(MASK, dataclasses.replace(HALF, explanation=1)), NAME)
    assert text.startswith("WRONG at dZ1, line 2: delta should be dL/dZ1: The mask")
    assert "layer; or another of 2 causes, which explain it equally well" in " ".join(text.split())
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
    said = "right for the file's own loss, the sum; you declared the mean"
    text = screen.render(wrong(Cause("loss", said, "loss", ""), loss="the file's own loss is the sum"), NAME)
    assert text.startswith(f"WRONG for the declared loss: {said}\n") and "LOSS" not in text
    assert "LOSS     the file's own loss is the sum\n" in screen.render(
        wrong(loss="the file's own loss is the sum"), NAME
    )


def test_the_files_own_loss_is_in_the_headline():
    first = screen.render(right(standard="twice the mean of the quadratic loss"), NAME).split("\n\n")[0]
    assert "of the loss of the file, which is twice the mean of the quadratic loss" in " ".join(first.split())


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
    assert "\x1b" not in plain and "\x1b[31;1mWRONG at dZ1, line 2: delta should be dL/dZ1\x1b[0m: The" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize(("terminal", "no_color", "wanted"), [(True, "", True), (True, "1", False), (False, "", False)])
def test_colour_is_for_terminals_whose_users_want_it(monkeypatch, terminal, no_color, wanted):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    assert screen.wants_colour(stream) is wanted


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (-2, "-2"), (0.5, "0.5"), (1 / 3, "0.333333"), (1e20, "1e+20")]
)
def test_numbers_are_short(value, text):
    assert wording.number(value) == text


def source(**changes):
    fields = {"name": "homework.py", "text": TEXT, "loss": "cross_entropy", "output": "relu", "reduction": "mean"}
    return Judged(**fields | changes, versions={"jax": "0.10.2", "torch": None})


def test_the_report_has_the_equations_and_the_verdict_of_every_step():
    text = markdown(wrong(), source())
    assert text.startswith("# homework.py: WRONG at dZ1, line 2: delta should be dL/dZ1\n\nThe mask of the output")
    table = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line[2:6].strip() in STEPS}
    assert list(table) == list(STEPS)
    assert (
        r"$\mathrm{d}Z_1 = \mathrm{d}O_1 \odot f'(Z_1), \quad f'(z) = [z > 0]$" in table["dZ1"]
        and "**wrong**" in table["dZ1"]
    )
    assert "`delta`, line 2" in table["dZ1"]
    assert "delta = dO1 * (Z2 > 0)    # line 2, as it is\ndZ1 = dO1 * (Z1 > 0)    # as it should be" in text
    assert r"W_1 = \begin{pmatrix} 1 \\ -1 \end{pmatrix}" in text
    assert "| dZ1[0, 1] | 0.25 | 0 |" in text
    assert "jax 0.10.2" in text and "torch" not in text
    assert text.count("$$") % 2 == 0 and "\n\n\n" not in text


def test_the_report_of_a_right_derivation_says_what_was_tested():
    text = markdown(right(loss="Your loss is the mean.", notes=("a*b",)), source(name="a_b.py"))
    assert r"# a\_b.py: RIGHT" in text and r"a\*b" in text
    assert "agreement to 2^-200, 60 digits, at every point" in text and "24 points" in text
    assert "| float32 | dW1 | 1.25 | 0.02 | 1e-05 |" in text
    assert "## Cause" not in text and "counterexample" not in text


def test_the_report_by_the_files_own_loss_has_no_other_in_it():
    standard = "twice the mean of the quadratic loss"
    text = markdown(right(standard=standard), source(loss="own"))
    assert f"the gradient of the file's own loss, {standard}, of a two-layer network" in text
    assert r"$\mathrm{d}O_2 = \partial L / \partial O_2$" in text and "$$\nL\n$$" not in text


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
    assert ("g'(Z_2)" in steps["dZ2"]) == (output == "relu")
    for text in [*steps.values(), *equations.network(output), equations.loss(loss, reduction)]:
        assert text.count("{") == text.count("}")


def test_a_verdict_survives_json():
    assert json.loads(json.dumps(wrong().to_json()))["first_wrong_step"] == "dZ1"

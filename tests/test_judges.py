"""The judges above the search: the reference derivative, one judge for any question, rules, entries, the network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.handmade import changed
from twolayer.activations import Activation
from twolayer.losses import Function
from twolayer.starts import Scheme
from twolayer.updates import Direction
from twolayer.verification.custom_rules import verify_rule
from twolayer.verification.derivatives import Outer, drawn_at, equal, second, spec_of, verify_gradient
from twolayer.verification.entries import NotRight, verify_entry
from twolayer.verification.evidence.cases import gather, subject
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import EXAMPLE, At, Question
from twolayer.verification.evidence.shapes import arguments
from twolayer.verification.formula_and_program import Checks, leaf_verdicts, place_of, summarise, verdict_on, watched
from twolayer.verification.judgement import judge
from twolayer.verification.numbers import literals
from twolayer.verification.numbers.balls import Ball, balls, floats, precision
from twolayer.verification.problem import LEAVES, Setting
from twolayer.verification.programs import Refused
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.programs.numpy_code import File, from_function
from twolayer.verification.reference import OraclesDisagree, Reference, is_real, is_table, leaves, names, weighted
from twolayer.verification.rounding.bounded import Bounded
from twolayer.verification.rounding.compared import Compared, wrong_steps
from twolayer.verification.verdict import Cause


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def point(**values):
    arrays = {name: exactly(np.asarray(v, float)) for name, v in values.items()}
    return At("ordinary", {"n": 2}, arrays)


# The right derivative.


def energy(w, x):
    return np.sin(x @ w) + w[0] ** 3


W, X = np.array([0.5, -1.5]), np.array([2.0, 0.25])
GRADIENT = {"w": np.cos(X @ W) * X + [3 * W[0] ** 2, 0], "x": np.cos(X @ W) * W}
SPEC = arguments({"w": "n", "x": "n"})
VALUES, ONE = point(w=W, x=X).values, {"": np.asarray(Ball(1), object)}


@pytest.mark.parametrize("kind", ["record", "jax", "differences", "jax differences"])
def test_the_reference_is_the_gradient_by_hand(kind):
    program = JaxProgram(lambda w, x: jnp.sin(x @ w) + w[0] ** 3) if "jax" in kind else from_function(energy)
    reference = Reference(program, SPEC)
    reference.by_differences = "differences" in kind
    for path, array in reference.cotangents(VALUES, ONE).items():
        np.testing.assert_allclose(floats(array), GRADIENT[path], rtol=1e-14)
    reference.check(VALUES, ONE)
    twice = reference.cotangents(VALUES, {"": np.asarray(Ball(2), object)})
    np.testing.assert_allclose(floats(twice["w"]), 2 * GRADIENT["w"], rtol=1e-14)


def test_the_second_derivative_along_a_direction():
    v = np.array([1, -2])
    way, slope = {"w": balls(v)}, -np.sin(X @ W) * (X @ v)
    right = {"w": slope * X + [6 * W[0], 0], "x": slope * W + np.cos(X @ W) * v}
    for program in (from_function(energy), JaxProgram(lambda w, x: jnp.sin(x @ w) + w[0] ** 3)):
        for path, array in second(Reference(program, SPEC), VALUES, ONE, way).items():
            np.testing.assert_allclose(floats(array), right[path], rtol=1e-12)


def test_oracles_that_disagree_are_said():
    reference = Reference(from_function(energy), SPEC)
    wrong = {path: balls(array) for path, array in (GRADIENT | {"x": -GRADIENT["x"]}).items()}
    reference.cotangents = lambda values, outer: wrong
    with pytest.raises(OraclesDisagree, match=r"the derivative by [wx] and the difference quotient disagree"):
        reference.check(VALUES, ONE)
    with pytest.raises(Refused, match="returned no real number"):
        Reference(from_function(lambda w, x: 3), SPEC).value(VALUES)


def test_a_nan_of_a_branch_not_taken_is_mended_by_differences():
    program = JaxProgram(lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / x).sum())
    found = Reference(program, arguments({"x": "n"})).cotangents({"x": balls([0, 1])}, ONE)["x"]
    np.testing.assert_allclose(floats(found), [0, np.cos(1) - np.sin(1)], atol=1e-14)


def test_results_by_their_paths():
    array = balls([1, 2])
    found = leaves({"a": array, "b": (array, Ball(3)), "c": None, "t": [[Ball(1), Ball(2)]]})
    assert {path: a.shape for path, a in found.items()} == {"a": (2,), "b[0]": (2,), "b[1]": (), "t": (1, 2)}
    assert list(leaves(array)) == [""] and leaves(None) == {}
    assert is_table([1.0, 2]) and is_table([[1.0], [2.0]]) and not is_table([[1.0], [2.0, 3.0]]) and not is_table([])
    assert is_real(array) and not is_real(np.array([1, 2], object)) and is_real(np.array([]))
    assert weighted({"a": array, "b": array}, {"a": balls([3, 4]), "b": balls([1, 0])}) == 12
    with pytest.raises(Refused, match=r"an output has shape \(2,\) at some numbers and \(1,\) at others"):
        weighted({"a": array}, {"a": balls([1])})


def test_the_arguments_that_are_judged(as_users_call_it):
    spec = arguments({"p": {"W": "n", "b": ""}, "x": "n", "n": np.array([1])})
    assert names(spec, None) == ["p.W", "p.b", "x"] and names(spec, 0) == ["p.W", "p.b"] and names(spec, (-2,)) == ["x"]
    for argnums, said in (
        (2, "names n, which holds no floats"),
        (5, "argument 5, and there are 3"),
        ("p", "'p' is none"),
    ):
        with pytest.raises(Refused, match=said):
            names(spec, argnums)


def test_cotangents_are_drawn_once_in_the_structure_of_the_output():
    outer = Outer(Reference(from_function(lambda w, x: (w, x.sum())), SPEC), seed=0)
    at = point(w=W, x=X)
    first, second_ = outer.structured(at)
    assert first.shape == (2,) and second_.shape == () and outer(at) is outer(at)
    assert outer(point(w=W, x=X))["[0]"][0] != first[0]
    whole = floats(drawn_at(at._replace(kind=EXAMPLE), np.random.default_rng(0), (50,)))
    assert set(whole) == {1, 2}
    assert list(spec_of([W, X], None, energy).parts) == ["w", "x"] and list(spec_of([W], None, max).parts) != ["w"]


# One judge for any question.


def clipped(x):
    return np.where(x > 1.5, 1.5, x)


def asked(right):
    spec, program = arguments({"x": "n"}), from_function(clipped)
    return Question(
        "equal", spec, lambda at: {"value": program.run(at.values["x"]).result},
        lambda at: {"value": right(at.values["x"])}, program,
    )  # fmt: skip


def test_the_judge_enters_branches_and_its_text_says_all():
    found = judge(asked(lambda x: np.where(x > 1.5, Ball(1.5), x)), strict=True, seed=0)
    assert found.verdict == "right" and set(found.branches.values()) == {"both"}
    assert found.text.startswith("RIGHT: clipped, equal\n  value        right\n")
    wrong = judge(asked(lambda x: np.where(x > 1.5, Ball(2.5), x)), strict=False, seed=0)
    assert wrong.verdict == "wrong" and "value[0]: yours 1.5, right 2.5 (n = 1)" in wrong.text
    assert "print(clipped(x)[0])  # 1.5, and 2.5 is right" in wrong.text
    rounded = equal(lambda x: x * 0.3989422804, lambda x: x * 0.3989422804014, {"x": "n"})
    assert rounded.verdict == "right" and any("up to the rounding of 0.3989422804" in note for note in rounded.notes)


def test_a_narrow_piece_between_two_thresholds_is_entered():
    found = equal(lambda x: np.where((x > 0.5) & (x < 0.502), 2 * x, x), lambda x: x, {"x": ""})
    assert found.outputs["value"] == {"verdict": "wrong", "reason": "only on a branch that few numbers enter"}


def test_a_side_that_is_never_entered_leaves_a_strict_verdict_open():
    def guarded(x):
        return x if (x * x).sum() >= 0 else 2 * x

    verdicts = [equal(guarded, lambda x: x, {"x": "n"}, strict=strict) for strict in (False, True)]
    assert [one.verdict for one in verdicts] == ["right", "undecided"]
    assert verdicts[0].notes[0].startswith("never entered on the other side: line ")
    found = verify_gradient(lambda x: (x**2).sum(), lambda x: {"x": 2 * x, "dx": 2 * x}, {"x": "n"})
    assert found.verdict == "right"


# Rules.


def test_a_rule_is_held_against_its_plain_program():
    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (2 * x**2 * g,))
    found = verify_rule(cube, {"x": ""})
    assert {name: one["verdict"] for name, one in found.outputs.items()} == {"value": "right", "dx": "wrong"}
    assert "2/3 times the derivative of the plain program" in found.outputs["dx"]["reason"]
    expected = verify_rule(cube, {"x": ""}, expects={"x": lambda x, g: 2 * x**2 * g})
    assert expected.verdict == "right"
    for f, said in ((3, "3 is no function"), (jnp.sin, "there is no custom rule in it")):
        with pytest.raises(Refused, match=said):
            verify_rule(f, {"x": ""})


# Entries of one's own.

CUBE = Activation("cube", value="Z**3", derivative="3 * Z**2", latex="", latex_derivative="")


def entry(kind, given):
    return verify_entry(kind, given, outputs=3, regression=True)


def test_an_entry_that_is_right_says_in_what():
    assert entry("activation", CUBE) == "the derivative is that of the value, to 60 digits"
    assert entry("init", Scheme(W1=lambda d, K: 1 / d, W2=lambda K, C: 0)) == "its variances are finite"
    assert entry("optimizer", Direction("optax.scale_by_adam()", 0.1)).startswith(
        "its first step goes along the gradient"
    )
    assert entry("loss", squares(1, 2)).startswith("the residual is the derivative of the value")


def squares(axis, factor):
    return Function("squares", lambda O2, y: (((O2 - y) ** 2).sum(axis=axis), factor * (O2 - y)))


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("activation", CUBE._replace(derivative="2 * Z**2"), "^is wrong: the derivative: .*: yours "),
        ("loss", squares(1, 1), "^is wrong: the residual: .*: yours "),
        ("loss", squares(0, 2), r"value must be \(4,\) and residual \(4, 3\), they are \(3,\)"),
        ("init", Scheme(W1=lambda d, K: -1.0, W2=lambda K, C: 1), "the variance of W1 is -1.0"),
        ("optimizer", Direction("optax.scale(-1.0)", 0.1), "its first step goes against the gradient"),
        ("optimizer", Direction("optax.scale(float('nan'))", 0.1), "its first step is not finite"),
        ("init", Scheme(W1=lambda d, K: 1 / 0, W2=lambda K, C: 1), r"^cannot be computed \(ZeroDivisionError"),
    ],
)
def test_an_entry_that_is_not_right_is_told_why(kind, given, said):
    with pytest.raises(NotRight, match=said):
        entry(kind, given)


# The network.

TEXT = """import numpy as np


def gradients(params, x, y):
    W1, b1, W2, b2 = params
    Z1 = x @ W1.T + b1
    O1 = np.maximum(Z1, 0)
    dZ2 = (O1 @ W2.T + b2 - y) / len(x)
    dZ1 = (dZ2 @ W2) * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}
"""
SETTING = Setting("quadratic", "identity", "mean")
CHECKS = Checks(None, (), None, 0, 1, True, False, lambda stage: None)


def derivation(*changes, setting=SETTING):
    return subject(File("homework.py", changed(TEXT, *changes)).program("gradients"), setting)


def test_the_verdict_on_a_derivation_and_how_much_was_tried():
    found = verdict_on(derivation(), CHECKS)
    assert found.verdict == "right" and found.counterexample is None and found.first_wrong_step is None
    assert found.conventions == {"relu_at_zero": {"hidden": "0"}} and found.formula.sizes >= 4
    assert found.formula.patterns > 16 and found.formula.points > 100
    wrong = verdict_on(derivation(('"db2": dZ2.sum(0)', '"db2": dZ2.sum(0) / 2')), CHECKS)
    assert (wrong.verdict, wrong.first_wrong_step, wrong.line_number) == ("wrong", "db2", 10)
    assert wrong.line.startswith('return {"dW1"') and wrong.counterexample.quantity == "db2"
    at_one = verdict_on(derivation(("/ len(x)", "/ (len(x) + (len(x) == 1))")), CHECKS)
    assert at_one.verdict == "wrong" and "m = 1" in at_one.causes[-1].text


def test_the_verdict_on_each_leaf():
    missing = derivation(('"db1": dZ1.sum(0), ', ""))
    found = leaf_verdicts(missing, cases := gather(missing))
    assert (found["db1"].verdict, found["db1"].reason) == ("not_derived", "it should be db1 = dZ1.sum(axis=0)")
    assert [found[leaf].verdict for leaf in LEAVES if leaf != "db1"] == ["right"] * 3
    said = summarise(found, {}, cases, SETTING)
    assert (said.verdict, said.left_out, said.rounded) == ("not_derived", 0, ())
    open_ = derivation(('"db2": dZ2.sum(0)', '"db2": np.array([float(1e-9 * len(x)) + 0 * g for g in dZ2.sum(0)])'))
    assert leaf_verdicts(open_, gather(open_))["db2"].verdict == "wrong"
    literals.rounded.clear()
    literals.rounded.add(0.3989422804)
    assert summarise(found, {}, cases, SETTING).rounded == ("0.3989422804",)
    without = leaf_verdicts(missing._replace(setting=SETTING._replace(biases=False)), cases)
    assert without["db1"].reason == "the declared network has no biases"


def test_the_line_of_a_cause_and_a_case_with_the_variables():
    one = derivation()
    cause = Cause("sign", "", "dZ1", "", line=9, variable="dZ1")
    assert place_of(one, cause) == {"line": "dZ1 = (dZ2 @ W2) * (Z1 > 0)", "line_number": 9, "variable": "dZ1"}
    assert place_of(one, None) == place_of(one, dataclasses.replace(cause, line=None)) == {}
    shown = {local.name: local.line for local in watched(one, gather(one)).locals}
    assert (shown["Z1"], shown["O1"], shown["dZ1"]) == (6, 7, 9) and watched(one, []) is None


# An array of a program beside its exact value.


def test_an_error_is_held_against_its_bound():
    right = Bounded(np.array([1.0, -2.0, 0.0]), np.array([1e-3, 1e-3, 0.0]), np.array([2.0, 2.0, 0.0]))
    near, far = (Compared("dW1", np.array(mine), right) for mine in ([1.0005, -2.0, 0.0], [1.0, -2.01, np.nan]))
    assert near.beyond.tolist() == [False] * 3 and far.beyond.tolist() == [False, True, True]
    assert far.error[2] == np.inf and wrong_steps([near, far, far]) == ("dW1",) and wrong_steps([near]) == ()
    found = near.rounding(1e-4)
    assert (found.step, found.bound_over_entry) == ("dW1", 0.00075)
    assert (found.eta, found.error_over_bound) == pytest.approx((2.5, 0.5))
    worst = Compared("db1", np.array([1.0, -2.01, 0.0]), right).disagreement("is right")
    assert worst == "db1[1] is -2.01, and -2 is right; rounding explains a difference of 0.001"

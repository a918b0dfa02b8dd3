"""The search for wrong lines: which explanations a derivation has, that hold at all of its points."""

from fractions import Fraction

import flint
import numpy as np
import pytest

from experiments.benchmarks.catalogue.base import source
from experiments.benchmarks.catalogue.in_numpy import in_numpy
from twolayer.verification import verify
from twolayer.verification.evidence.calls import squeezed
from twolayer.verification.evidence.cases import gather, known_well, subject, usable
from twolayer.verification.explain.forwards import wrong_forwards
from twolayer.verification.explain.search import confirm, explanations, telling
from twolayer.verification.explain.walk import Walks
from twolayer.verification.numbers.balls import Ball, balls
from twolayer.verification.numbers.literals import simplest_rational
from twolayer.verification.problem import LEAVES, Setting
from twolayer.verification.programs.numpy_code import File


def derivation(changes, loss="quadratic", output="relu", steps=False):
    """A NumPy derivation with other right-hand sides in some of its slots."""
    text = in_numpy(source(loss, output, "mean", "rows", changes, steps=steps))
    return File("homework.py", text).program("gradients")


def explained(changes, loss="quadratic", output="relu", steps=False):
    """The wrong steps with their ids and constants, of each explanation; and the factors left at the leaves."""
    program, setting = derivation(changes, loss, output, steps), Setting(loss, output, "mean")
    cases = gather(subject(program, setting))
    literals = tuple(dict.fromkeys(simplest_rational(abs(n)) for n in program.literals()))
    found = explanations(setting, cases, literals)
    return [([(c.step, c.line and c.line.id, c.literal) for c in one.wrong], one) for one in found]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"dZ1": "dO1"}, ("dZ1", "mask_missing")),
        ({"dO1": "dZ2 @ jnp.abs(W2)"}, ("dO1", "absolute_weights")),
        ({"db1": "jnp.sign(dZ1.sum(axis=0))"}, ("db1", "gradient_sign")),
    ],
)
def test_one_wrong_line_is_the_only_explanation(changes, wrong):
    ((found, one),) = explained(changes)
    assert [(step, id) for step, id, _ in found] == [wrong]
    assert one.forward is None and set(one.totals.values()) == {1}


def test_two_wrong_lines_are_both_found_and_a_factor_is_left_at_its_leaf():
    ((found, one),) = explained({"dZ1": "dO1", "db2": "2 * dZ2.sum(axis=0)"})
    assert [(step, id) for step, id, _ in found] == [("dZ1", "mask_missing")]
    assert one.totals == {"dW2": 1, "db2": 2, "dW1": 1, "db1": 1} and one.errors == 2


@pytest.mark.parametrize("constant", ["0.25", "1e-6", "1e-8"])
def test_a_decay_of_any_size_is_solved_for_exactly(constant):
    ((found, _),) = explained({"db1": f"dZ1.sum(axis=0) + {constant} * b1"})
    assert found == [("db1", "phantom_l2", Fraction(constant))]


def test_lines_that_follow_from_a_wrong_forward_pass_are_not_wrong_once_more():
    """A consistent network without ReLU has one error; the right mask on top of it makes another forward pass."""
    ((found, one),) = explained({"O1": "Z1", "dZ1": "dO1"})
    assert found == [] and one.forward.id == "hidden_relu_missing" and one.errors == 1
    ((found, other),) = explained({"O1": "Z1"})
    assert found == [] and other.forward.id == "hidden_relu_missing" and other.forward != one.forward
    assert all(
        line.id == "right" for f in wrong_forwards(Setting("quadratic", "relu", "mean")) for line in f.lines.values()
    )


def test_what_no_line_explains_has_no_explanation_of_the_leaves_but_an_unknown_step_where_it_is_shown():
    changes = {"dO2": "(O2 - y) ** 3 / m"}
    assert explained(changes) == []
    ((found, one),) = explained(changes, steps=True)
    assert found == [("dO2", None, None)] and one.unknown == 1


def test_an_explanation_of_some_points_is_none_of_all():
    """The mask is missing at the patterns where it does nothing: there the right derivation explains it."""
    program, setting = derivation({"dZ1": "dO1"}), Setting("quadratic", "relu", "mean")
    cases = usable(gather(subject(program, setting)))
    right = [case for case in cases if not telling([case])]
    assert 0 < len(right) < len(cases)
    ((_, wrong),) = explained({"dZ1": "dO1"})
    nothing = explanations(setting, right, ())
    assert nothing == []  # nothing is wrong there
    assert confirm(wrong, setting, cases, ()) is not None
    other = Walks(setting, telling(cases), ())
    way = next(way for way in other.walk(other.start(), 1))
    assert [choice.step for choice in way.choices if choice.wrong] == ["dZ1"]


def test_a_way_ends_where_its_leaves_need_more_wrong_lines_than_it_has():
    program, setting = derivation({"dW2": "0 * W2", "db2": "0 * b2"}), Setting("quadratic", "relu", "mean")
    search = Walks(setting, telling(gather(subject(program, setting))), ())
    start = search.start()
    assert search._lost(start, start.scope | _right(search, start, ("dO2", "dZ2")), "2") == 2
    assert not any(search.walk(start, 1)) and any(search.walk(start, 2))


def _right(search, start, steps):
    scope = dict(start.scope)
    for step in steps:
        scope[step] = search.step(step, start.right[step], scope, None)
    return scope


def test_an_error_whose_numbers_cancel_is_named_with_more_bits():
    """At large outputs 1 - A2 has no digits left in what the code computes, and dO2 is Y / A2 - (1 - Y) / (1 - A2)."""
    path = "experiments/benchmarks/catalogue/people/minus_before_one_term.py"
    options = {"loss": "binary_cross_entropy", "output": "identity", "precisions": (), "counterexample": False}
    (cause,) = verify(path, **options).causes
    assert (cause.id, cause.leaf) == ("term_sign", "dO2")


def test_numbers_are_known_well_by_their_largest():
    wide, sharp = Ball(flint.arb(1, 2.0**-20)), Ball(3)
    assert known_well(balls([sharp, 2])) and known_well(balls([]))
    assert not known_well(balls([wide, wide]))
    assert not known_well(balls([wide])) and known_well(balls([float(2**200), 1]))


@pytest.mark.parametrize(("shape", "wanted"), [((), (1,)), ((5,), (1, 5)), ((1, 5), (5,)), ((5, 1), (5,))])
def test_axes_of_one_are_no_fault(shape, wanted):
    assert squeezed(np.zeros(shape), wanted).shape == wanted


@pytest.mark.parametrize(("shape", "wanted"), [((), (2,)), ((3, 5), (5, 3)), ((15,), (5, 3))])
def test_other_shapes_stay(shape, wanted):
    assert squeezed(np.zeros(shape), wanted).shape == shape


def test_a_squeezed_bias_gradient_is_right_where_there_is_one_unit():
    path = "experiments/benchmarks/catalogue/people/squeezed_biases.py"
    found = verify(path, loss="quadratic", output="identity", reduction="sum", precisions=())
    assert found.verdict == "right" and set(found.leaves) == set(LEAVES)


def test_a_bias_gradient_with_an_entry_for_each_example_has_the_wrong_axis():
    found = verify(derivation({"db1": "dZ1.sum(axis=1)"}), loss="quadratic", precisions=(), counterexample=False)
    assert [(cause.id, cause.leaf) for cause in found.causes] == [("wrong_axis", "db1")]
    assert "(7,) where b1 is (K,) = (11,)" in found.causes[0].text


@pytest.mark.parametrize(
    "changes", [{"Z1": ("x", "(x - x.mean(axis=0, keepdims=True))")}, {"O1": "jnp.clip(Z1, 0, 6)"}]
)
def test_an_error_of_the_forward_pass_is_not_blamed_on_what_comes_after(changes):
    found = verify(derivation(changes, steps=True), loss="quadratic", precisions=(), counterexample=False)
    assert {cause.leaf for cause in found.causes} == {"forward"} and found.first_wrong_step == "dO2"

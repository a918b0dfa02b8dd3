"""Where a derivation of the network is tested beyond ordinary points: ties, sizes, guards, its own loss, an example."""

from fractions import Fraction

import numpy as np
import pytest

from tests import oracles
from tests.handmade import changed
from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.calls import Call
from twolayer.verification.evidence.cases import gather, subject
from twolayer.verification.evidence.counterexample import smallest
from twolayer.verification.evidence.elsewhere import at_sizes, at_ties, kinked, on_batch
from twolayer.verification.evidence.guards import without, without_guards
from twolayer.verification.evidence.own_loss import Standard, describe
from twolayer.verification.numbers.balls import floats
from twolayer.verification.problem import LEAVES, Setting, Sizes
from twolayer.verification.programs import Refused
from twolayer.verification.programs.numpy_code import File

SETTING = Setting("quadratic", "identity", "mean")
TEXT = """import numpy as np


def gradients(params, x, y):
    W1, b1, W2, b2 = params
    m = len(x)
    Z1 = x @ W1.T + b1
    O1 = np.maximum(Z1, 0)
    O2 = O1 @ W2.T + b2
    dZ2 = (O2 - y) / m
    dO1 = dZ2 @ W2
    dZ1 = dO1 * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}
"""


def derivation(*changes, setting=SETTING):
    """The derivation with other texts in it, ready to be asked at points."""
    return subject(File("homework.py", changed(TEXT, *changes)).program("gradients"), setting)


RIGHT = derivation()


# The smallest counterexample.


@pytest.mark.parametrize(
    ("change", "quantity", "sizes"),
    [
        (("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1"), "db1", {"d": 1, "K": 1, "C": 1, "m": 1}),
        (("(O2 - y) / m", "O2 - y"), "dW2", {"d": 1, "K": 1, "C": 1, "m": 2}),
        (('"db1": dZ1.sum(0)', '"db1": dO1.sum(0)'), "db1", {"d": 1, "K": 1, "C": 1, "m": 1}),
    ],
)
def test_the_smallest_counterexample_is_one_by_loops_too(change, quantity, sizes):
    found = smallest(derivation(change), LEAVES)
    assert found.sizes == sizes
    numbers = [np.array(found.inputs[name]) for name in where.INPUTS]
    assert all(abs(array).max() <= 1 for array in numbers)
    space = {}
    exec(TEXT.replace(*change), space)
    mine = space["gradients"](numbers[:4], *numbers[4:])
    right = dict(
        zip(LEAVES, oracles.gradients(numbers[:4], *numbers[4:], "quadratic", "identity", "mean"), strict=True)
    )
    assert found.quantity == quantity
    at = found.index
    assert (found.yours, found.right) == (mine[quantity][at], right[quantity][at]) and found.yours != found.right
    Z1 = numbers[4] @ numbers[0].T + numbers[1]
    assert found.forward["Z1"] == Z1.tolist() and (Z1 != 0).all()  # nothing is a matter of convention


def test_of_several_wrong_entries_the_worst_is_shown():
    one = derivation(('"db1": dZ1.sum(0)', '"db1": dZ1.sum(0) + (len(W1) > 1) * (1 + np.arange(len(W1)))'))
    found = smallest(one, LEAVES)
    assert found.sizes["K"] == 2 and found.index == (1,) and found.yours - found.right == 2


def test_a_right_derivation_has_no_counterexample_and_a_rare_error_one_of_powers_of_ten():
    assert smallest(RIGHT, LEAVES) is None
    rare = derivation(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1 * (Z1 > 0) * (abs(x).max() < 5000)"))
    assert smallest(rare, LEAVES) is None
    found = smallest(rare, LEAVES, scaled=True)
    assert found.quantity in ("dW1", "db1") and np.abs(found.inputs["x"]).max() >= 5000


# Ties.


def said(findings):
    return [(one.verdict, one.step, one.text) for one in findings]


@pytest.mark.parametrize(
    ("mask", "wanted", "findings"),
    [
        ("(Z1 > 0)", None, [("right", None, "hidden 0")]),
        ("(Z1 >= 0)", None, [("right", None, "hidden 1")]),
        ("np.where(Z1 == 0, 0.5, Z1 > 0)", None, [("right", None, "hidden 1/2")]),
        ("(Z1 >= 0)", Fraction(0), [("wrong", "dZ1", "at Z1 = 0 the mask is 1; you asked for 0")]),
        (
            "(Z1 > 0) + 2 * (Z1 == 0)",
            None,
            [("wrong", "dZ1", "at Z1 = 0 the mask is 2: a subgradient of ReLU lies in")],
        ),
        ("np.where(Z1 == 0, np.nan, Z1 > 0)", None, [("wrong", "dZ1", "at Z1 = 0 dW1, db1 are NaN or infinite")]),
    ],
)
def test_the_mask_at_a_tie_is_named(mask, wanted, findings):
    found = said(at_ties(derivation(("dO1 * (Z1 > 0)", f"dO1 * ({mask})")), LEAVES, ["hidden"], wanted))
    assert [one[:2] for one in found[: len(findings)]] == [one[:2] for one in findings]
    assert found[0][2].startswith(findings[0][2])


def test_a_mask_that_is_not_the_same_in_all_gradients_is_wrong():
    change = ('"db1": dZ1.sum(0)', '"db1": (dO1 * (Z1 >= 0)).sum(0)')
    ((verdict, step, text),) = said(at_ties(derivation(change), LEAVES, ["hidden"], None))
    assert (verdict, step) == ("wrong", "dZ1") and "the mask is 0 in dW1 and 1 in db1: it must be one number" in text
    assert said(at_ties(derivation(change), LEAVES, [], None)) == []


def test_the_layers_with_a_kink():
    assert kinked(SETTING) == ["hidden"] and kinked(Setting("quadratic", "relu", "mean")) == ["hidden", "output"]
    assert kinked(Setting("quadratic", "identity", "mean", "tanh")) == []


# Sizes, and a batch.

ONE_OUTPUT = ("dZ2 = (O2 - y) / m", "dZ2 = (O2 - y) / m if len(W2) > 1 else (O2 - y) / (2 * m)")


def test_a_size_of_one_and_a_large_one_are_tried():
    assert list(at_sizes(RIGHT, LEAVES, LEAVES)) == []
    (one,) = at_sizes(derivation(ONE_OUTPUT), LEAVES, LEAVES)
    assert (one.verdict, one.step, one.leaves) == ("wrong", "dO2", LEAVES)
    assert one.text == "right at other sizes, wrong at C = 1: the code depends on its sizes"
    (block,) = at_sizes(derivation(("dO1 = dZ2 @ W2", "dO1 = dZ2 @ W2 * (len(x) < 100)")), LEAVES, LEAVES)
    assert "m = 128" in block.text and block.leaves == ("dW1", "db1") and block.step == "dO1"
    (raised,) = at_sizes(derivation(("m = len(x)", "m = len(x)\n    assert m > 1, 'one'")), LEAVES, LEAVES)
    assert raised.verdict == "right" and raised.text.startswith("not judged at m = 1, where it does not run: ")


def test_a_batch_is_judged_exactly():
    rng = np.random.default_rng(0)
    params = [rng.normal(size=shape) for shape in ((4, 3), (4,), (2, 4), (2,))]
    batch = (params, rng.normal(size=(6, 3)), rng.normal(size=(6, 2)))
    (note,) = on_batch(RIGHT, batch)
    assert (note.verdict, note.text) == ("right", "exact on the 6 examples")
    Z1 = batch[1] @ params[0].T + params[1]
    assert ((Z1 > 0) & (Z1 < 0.5)).any()
    wrong, note = on_batch(derivation(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1 * (Z1 > 0.5)")), batch)
    assert (wrong.verdict, wrong.step, wrong.leaves) == ("wrong", "dW1", ("dW1", "db1"))
    assert note.text == "dW1, db1 differ"
    open_ = list(on_batch(derivation(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = np.packbits(dO1) if m == 6 else dO1")), batch))
    assert [one.verdict for one in open_] == ["undecided"] * 4 + ["right"] and "np.packbits" in open_[0].text


# Guards.


@pytest.mark.parametrize(
    ("line", "bare", "guards"),
    [
        ("a = np.log(p + 1e-8)", "a = np.log(p + 0.0)", [(1, "1e-08", 0.0)]),
        ("a = np.clip(p, 1e-7, 1 - 1e-7)", "a = np.clip(p, 0.0, 1 - 0.0)", [(1, "1e-07", 0.0)] * 2),
        ("a = np.clip(p, 0.001, 0.999)", "a = np.clip(p, 0.0, 1.0)", [(1, "0.001", 0.0), (1, "0.999", 1.0)]),
        ("eps = 1e-12\nb = p + eps", "eps = 0.0\nb = p + eps", [(1, "1e-12", 0.0)]),
        ("def f(z, eps=1e-5): return z", "def f(z, eps=0.0):\n    return z", [(1, "1e-05", 0.0)]),
        ("a = 1e-4 * p", "a = 1e-4 * p", []),
        ("a = p > 1e-4", "a = p > 1e-4", []),
        ("rate = 1e-4", "rate = 1e-4", []),
        ("a = p + 0.01", "a = p + 0.01", []),
        ("a = np.exp(1e-4)", "a = np.exp(1e-4)", []),
    ],
)
def test_a_guard_is_a_small_constant_that_is_added_or_clipped_at(line, bare, guards):
    assert without_guards(line) == (bare, guards)


def test_a_derivation_that_is_right_but_for_its_guard_says_so():
    entropy = Setting("binary_cross_entropy", "identity", "mean")
    plain = ("dZ2 = (O2 - y) / m", "p = 1 / (1 + np.exp(-O2)); dZ2 = (p - y) / m")
    guarded = ("dZ2 = (O2 - y) / m", "p = 1 / (1 + np.exp(-O2) + 1e-6); dZ2 = (p - y) / m")
    one = derivation(guarded, setting=entropy)
    found = without(one, gather(one))
    assert found.said[0].startswith("differs from the declared loss by the guard 1e-06 at line 10, by at most ")
    change = float(found.said[0].split("at most ")[1].split()[0])
    assert 1e-9 < change < 1e-5 and "1e-06" not in found.subject.program.source
    assert without(derivation(plain, setting=entropy), []) is None  # none
    wrong = derivation((guarded[0], guarded[1].replace("(p - y)", "(p + y)")), setting=entropy)
    assert without(wrong, gather(wrong)) is None  # and something else is wrong


# The own loss.

LOSS = """import numpy as np


def loss(params, x, y):
    W1, b1, W2, b2 = params
    O2 = np.maximum(x @ W1.T + b1, 0) @ W2.T + b2
    return {}
"""
SIZES = (Sizes(3, 4, 2, 5), Sizes(2, 3, 4, 3))


def standard(value, declared=SETTING):
    return Standard(File("homework.py", LOSS.replace("{}", value)).program("loss"), Call(), declared, SIZES)


@pytest.mark.parametrize(
    ("value", "said", "declared"),
    [
        ("((O2 - y) ** 2).sum() / 2 / len(x)", "the mean of the quadratic loss, output identity", True),
        ("((O2 - y) ** 2).sum() / 2", "the sum of the quadratic loss, output identity", False),
        ("((O2 - y) ** 2).sum() / len(x)", "twice the mean of the quadratic loss, output identity", False),
        ("((O2 - y) ** 2).mean() / 2", "1/C times the mean of the quadratic loss, output identity", False),
        ("((np.maximum(O2, 0) - y) ** 2).sum() / 2 / len(x)", "the mean of the quadratic loss, output relu", False),
        ("((O2 - y) ** 4).sum()", "not the mean of the quadratic loss, output identity, nor a multiple of it", False),
    ],
)
def test_the_own_loss_is_said_in_words(value, said, declared):
    own = standard(value)
    assert own.said().startswith(said) and own.is_declared == declared


def test_squares_of_parameters_in_the_own_loss_are_taken_off():
    own = standard("((O2 - y) ** 2).sum() / len(x) + 0.05 * (W1 ** 2).sum() + 0.05 * (W2 ** 2).sum()")
    assert own.said().endswith("output identity, plus 0.05 times the squares of W1 and W2")
    assert own.decays() == {"W1": "0.1", "W2": "0.1"} and own.terms(SIZES[0]).constant == 2
    assert not standard("((O2 - y) ** 2).sum() / 2 / len(x) + 0.05 * (W1 ** 2).sum()").is_declared
    assert own.correction("dW1", "dW1 = dZ1.T @ x") == "dW1 = dZ1.T @ x + 0.1 * W1"
    assert own.correction("dO2", "dO2 = (O2 - y) / m") == "dO2 = 2 * (O2 - y) / m"
    point = where.points(SETTING, SIZES[0], "ordinary", 1)[0]
    mine = {"dW1": 2 * point.right["dW1"] + point.right["W1"] / 10, "db1": 2 * point.right["db1"]}
    for name, array in own.normalised(mine, point, 256).items():
        np.testing.assert_allclose(floats(array), floats(point.right[name]), rtol=1e-14, atol=1e-16)


def test_the_gradient_of_the_own_loss_is_that_of_loops():
    own, point = standard("((O2 - y) ** 2).sum() / 2 / len(x)"), where.points(SETTING, SIZES[0], "ordinary", 1)[0]
    params = [point.floats[name] for name in where.INPUTS[:4]]
    right = oracles.gradients(params, point.floats["x"], point.floats["y"], "quadratic", "identity", "mean")
    for mine, array in zip(own.gradient(point).values(), right, strict=True):
        np.testing.assert_allclose(floats(mine), array, rtol=1e-12)


@pytest.mark.parametrize(
    ("value", "said"), [("O2", r"returned an array of shape \(3, 4\)"), ("'low'", "it returned a str")]
)
def test_a_loss_that_is_no_number_is_refused(value, said):
    with pytest.raises(Refused, match=f"loss must return one number; .*{said}"):
        standard(value)


def test_a_loss_in_words():
    setting = Setting("cross_entropy", "relu", "sum", "tanh", biases=False)
    assert describe(setting) == "the sum of cross-entropy, output relu, hidden tanh, no biases"

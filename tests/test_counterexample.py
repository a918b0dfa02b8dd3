"""The smallest case at which a derivation is wrong, checked by running both sides again at that case."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from handmade import LINES, WRONG, derivation
from oracles import forward
from oracles import gradients as loops

from twolayer.losses import LOSSES, OF_LABELS
from twolayer.network import Params
from twolayer.verification.counterexample import smallest
from twolayer.verification.reference import Setting

# Without the annotation checks: an interpreter defines functions as it goes, and each would be compiled into a check.
pytestmark = pytest.mark.usefixtures("float64", "as_users_call_it")
LEAVES = ("dW1", "db1", "dW2", "db2")
every_loss = pytest.mark.parametrize("loss", LOSSES)


def find(loss, output="relu", names=LEAVES, leaf_or_step=None, steps=(), **changes):
    gradients = derivation(loss, output, steps, **changes)
    found = smallest(gradients, Setting(loss, output, "mean"), names, leaf_or_step)
    if found is not None:
        check(found, gradients, loss, output)
    return found


def check(found, gradients, loss, output):
    """All that is shown is so: the forward pass, the right number by loops, and the derivation's own."""
    inputs = {name: np.array(a, np.float64) for name, a in found.inputs.items()}
    params, x, y = Params(*(inputs[name] for name in Params._fields)), inputs["x"], inputs["y"]
    K, d, C, m = *params.W1.shape, len(params.b2), len(x)
    assert found.sizes == {"d": d, "K": K, "C": C, "m": m} and y.shape == (m, C)
    trace = forward(params, x, output)
    for name, a in zip(("Z1", "O1", "Z2", "O2"), trace, strict=True):
        np.testing.assert_allclose(found.forward[name], a, 1e-13)
    assert np.all(trace[0]) and (output == "identity" or np.all(trace[2])), "a kink"
    yours = np.asarray(gradients(params, x, y)[found.quantity])
    assert found.yours == pytest.approx(yours[found.index], 1e-13)
    if found.quantity in LEAVES:
        target = y.argmax(axis=1) if loss in OF_LABELS else y
        right = dict(zip(LEAVES, loops(params, x, target, loss, output, "mean"), strict=True))
        assert found.right == pytest.approx(right[found.quantity][found.index], 1e-13)
    assert abs(found.yours - found.right) > 1e-12 * abs(found.right)


def numbers(found):
    return np.concatenate([np.ravel(a) for a in found.inputs.values()])


@pytest.mark.parametrize(("loss", "output"), [("quadratic", "relu"), ("cross_entropy", "identity")])
def test_none_for_a_right_derivation(loss, output):
    everything = ("dO2", "dZ2", "dO1", "dZ1")
    assert find(loss, output, (*LEAVES, *everything), steps=everything) is None
    columns = {name: lambda s, line=LINES[name]: line(s) for name in everything}
    gradients = derivation(loss, output, everything, **columns)

    def turned(params, x, y):
        result = gradients(params, x, y)
        return result | {name: result[name].T for name in everything}

    assert smallest(turned, Setting(loss, output, "mean"), (*LEAVES, *everything)) is None


@pytest.mark.parametrize(("name", "loss"), list(zip(WRONG, itertools.cycle(LOSSES), strict=False)))
def test_wrong_derivations(name, loss):
    step, line, spoiled = WRONG[name]
    found = find(loss, **{step: line})
    assert found.quantity in spoiled.split()
    # What goes wrong between examples needs two of them; cross-entropy needs two classes.
    examples = 2 if name in ("1/m missing", "only the last example", "mean of the bias") else 1
    assert found.sizes == {"d": 1, "K": 1, "C": 2 if loss == "cross_entropy" else 1, "m": examples}
    assert set(numbers(found)) <= {*range(-3, 4)} or "threshold" in name
    assert np.count_nonzero(numbers(found)) <= 4 + 2 * examples


def test_an_example_by_hand():
    """Z1 = 1 and O2 = Z2 = 1 against y = 0 in both examples: dW2 is the mean of two ones, and the sum is 2."""
    found = find("quadratic", dO2=lambda s: s.residual)
    assert found.inputs == {"W1": [[0]], "b1": [1], "W2": [[0]], "b2": [1], "x": [[0], [0]], "y": [[0], [0]]}
    assert (found.quantity, found.index, found.yours, found.right) == ("dW2", (0, 0), 2.0, 1.0)


def test_equal_logits_are_preferred():
    """P = 1/2: nobody needs to compute an exponential, and two more numbers are a small price."""
    found = find("cross_entropy", "identity", db1=lambda s: 0 * s.b1)
    assert len(set(found.forward["O2"][0])) == 1 and (found.yours, abs(found.right)) == (0, 0.5)


def test_transposes_need_two_by_two():
    found = find("cross_entropy", dO1=lambda s: s.dZ2 @ s.W2.T)
    assert found.sizes["K"] == found.sizes["C"] == 2 and found.quantity in ("dW1", "db1")


def test_a_factor_that_only_thirds_show():
    found = find("quadratic", dO2=lambda s: s.residual * round(1 / s.m, 4))
    assert found.sizes["m"] == 3 and found.yours == pytest.approx(found.right, 1e-3)


@every_loss
def test_a_threshold_shows_at_small_numbers_only(loss):
    found = find(loss, dZ1=lambda s: s.dO1 * (s.Z1 > 1e-4))
    assert 0 < np.min(np.array(found.forward["Z1"])) <= 1e-4
    digits = {f"{number:e}".split("e")[0] for number in np.abs(numbers(found))}
    assert digits <= {f"{digit}.000000" for digit in range(4)}


def test_the_step_or_leaf_that_was_asked_for():
    loss = "cross_entropy"
    wrong = {"steps": ("dZ1", "dO2"), "dO2": lambda s: -s.residual / s.m}
    assert find(loss, names=("dW1", "db1"), **wrong).quantity in ("dW1", "db1")
    assert find(loss, names=(*LEAVES, "dO2"), **wrong).quantity == "dO2"
    assert find(loss, leaf_or_step="dZ1", **wrong).quantity == "dZ1"
    assert find(loss, leaf_or_step="dO1", **wrong) is None


def test_what_no_number_can_refute():
    """A difference that only shows at a kink is a convention, and a NaN is no number."""
    assert find("quadratic", dZ1=lambda s: s.dO1 * (s.Z1 >= 0)) is None
    assert find("quadratic", dZ1=lambda s: LINES["dZ1"](s) * (s.m / s.m) + 0 * jnp.where(s.Z1 == 2, jnp.nan, 0)) is None


def test_a_program_that_only_numpy_can_run():
    def gradients(params, x, y):
        Z1 = np.array(x) @ params.W1.T + params.b1
        if x[0, 0] == 3:
            raise RuntimeError("not at three")
        Z2 = np.maximum(Z1, 0) @ params.W2.T + params.b2
        return {"db2": ((Z2 - y) * (Z2 > 0)).sum(axis=0)}

    found = smallest(gradients, Setting("quadratic", "relu", "mean"))
    check(found, gradients, "quadratic", "relu")
    assert found.sizes == {"d": 1, "K": 1, "C": 1, "m": 2} and found.quantity == "db2"


def test_a_program_for_one_size_only():
    def gradients(params, x, y):
        return {"db1": (x @ jnp.ones((784, 128))).sum(axis=0)}

    assert smallest(gradients, Setting("quadratic", "relu", "mean")) is None


def test_params_may_be_returned():
    def gradients(params, x, y):
        return Params(*derivation("quadratic", dO2=lambda s: 2 * s.residual / s.m)(params, x, y).values())

    assert smallest(gradients, Setting("quadratic", "relu", "mean")).sizes["m"] == 1

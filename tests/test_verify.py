"""What a user sees: the verdict on a derivation, what is refused and in which words, conventions, the own loss."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handmade import WRONG, derivation

from experiments.benchmarks.catalogue import RIGHT
from twolayer.network import Params
from twolayer.verification import Verdict, verify
from twolayer.verification.evidence import points
from twolayer.verification.problem import LEAVES, STEPS
from twolayer.verification.programs import RaisedInside, Refused

pytestmark = pytest.mark.usefixtures("as_users_call_it")

right = derivation("quadratic")


def judged(gradients, loss="quadratic", **options):
    return verify(gradients, loss=loss, precisions=(), **options)


def changed(**leaves):
    """The right derivation, some of its leaves replaced by functions of themselves."""

    def gradients(params, x, y):
        result = right(params, x, y)
        return result | {name: f(result[name]) for name, f in leaves.items()}

    return gradients


def without(*names):
    return lambda params, x, y: {name: leaf for name, leaf in right(params, x, y).items() if name not in names}


# --- right and wrong ---


@pytest.mark.parametrize("number", range(12))
def test_correct_rewrites_are_right(number):
    """Twelve of them, drawn at random once and for all."""
    entry = RIGHT[np.random.default_rng(3).permutation(len(RIGHT))[number]]
    found = judged(entry.function(), entry.loss, output=entry.output, reduction=entry.reduction)
    assert found.verdict == "right" and found.causes == () and found.first_wrong_step is None, entry
    assert {leaf.verdict for leaf in found.leaves.values()} == {"right"}
    assert "wrong" not in {step.verdict for step in found.steps.values()}
    layers = found.conventions["relu_at_zero"]
    assert layers["hidden"] == entry.tie and layers.get("output", entry.tie) == entry.tie


@pytest.mark.parametrize("name", list(WRONG)[::3])
def test_wrong_ones_are_wrong_in_the_leaves_that_they_spoil_and_shown_at_a_small_case(name):
    step, line, spoiled = WRONG[name]
    found = judged(derivation("cross_entropy", **{step: line}), "cross_entropy")
    assert found.verdict == "wrong" and found.first_wrong_step == step
    assert {leaf for leaf in LEAVES if found.leaves[leaf].verdict == "wrong"} == set(spoiled.split())
    assert found.counterexample.yours != found.counterexample.right


def test_the_verdict_as_json_is_what_the_contract_says():
    for gradients in (right, changed(dW2=lambda a: 2 * a), without("db1")):
        found = judged(gradients)
        data = json.loads(json.dumps(found.to_json()))
        assert data["verdict"] in ("right", "wrong", "undecided", "not_derived")
        assert list(data["leaves"]) == list(LEAVES) and list(data["steps"]) == list(STEPS)
        assert all("verdict" in entry for entry in (*data["leaves"].values(), *data["steps"].values()))
        assert data["first_wrong_step"] == found.first_wrong_step and data["seconds"] == found.seconds > 0
        assert all(cause.keys() >= {"id", "text", "leaf"} for cause in data["causes"])
        assert set(data) == {field.name for field in dataclasses.fields(Verdict)}
    assert judged(changed(dW2=lambda a: 2 * a)).to_json()["causes"][0]["leaf"] == "dW2"


def test_the_same_seed_gives_the_same_verdict_and_another_seed_the_same_causes():
    def told(seed):
        return dataclasses.replace(judged(derivation("quadratic", dZ1=lambda s: s.dO1), seed=seed), seconds=0.0)

    first, again, other = told(1), told(1), told(2)
    assert first == again
    assert (first.causes, first.leaves, first.first_wrong_step) == (other.causes, other.leaves, other.first_wrong_step)


def test_the_verdict_says_how_much_was_tested_and_up_to_which_literals():
    scaled = derivation("quadratic", dO2=lambda s: s.residual * (1 / s.m) * 0.1 * 10)
    once, twice = judged(scaled).formula, judged(scaled, effort=2).formula
    assert once.verdict == "right" and once.patterns > 90 and once.sizes == 4
    assert twice.points > once.points >= once.patterns and once.rounded == ()
    rounded = judged(derivation("quadratic", dO2=lambda s: s.residual / s.m * (0.3333333 * 3)))
    assert (rounded.verdict == "right" and rounded.formula.rounded == ("0.9999999",)) or rounded.verdict == "wrong"
    said = []
    judged(right, progress=said.append)
    assert said[:2] == ["running", "exact arithmetic"]


# --- what is not derived, and what has no algebra ---


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_missing_leaf_is_not_derived_and_its_formula_is_told(leaf):
    found = judged(without(leaf))
    assert found.verdict == "not_derived" and found.leaves[leaf].verdict == "not_derived"
    formulas = {"dW1": "dW1 = dZ1.T @ x", "db1": "db1 = dZ1.sum(axis=0)", "dW2": "dW2 = dZ2.T @ O1"}
    assert formulas.get(leaf, "db2 = dZ2.sum(axis=0)") in found.leaves[leaf].reason
    assert {found.leaves[name].verdict for name in LEAVES if name != leaf} == {"right"}


def test_a_wrong_leaf_weighs_more_than_a_missing_one_and_nothing_at_all_is_not_derived():
    wrong = changed(dW2=lambda a: -a)
    found = judged(lambda *batch: {name: a for name, a in wrong(*batch).items() if name != "db1"})
    assert found.verdict == "wrong" and found.leaves["db1"].verdict == "not_derived"
    assert judged(lambda params, x, y: {}).verdict == "not_derived"
    assert judged(lambda params, x, y: right(params, x, y) | {"dW1": None}).leaves["dW1"].verdict == "not_derived"


def test_a_complex_gradient_is_not_judged():
    found = judged(changed(dW2=lambda a: a + 0j))
    assert found.verdict == "undecided" and "complex" in found.leaves["dW2"].reason
    assert judged(changed(dW2=lambda a: jnp.real(jnp.fft.ifft(jnp.fft.fft(a))))).verdict == "right"
    found = judged(lambda params, x, y: {"dW2": np.ones(params["W2"].shape) * 1j})
    assert found.verdict == "undecided" and "complex" in found.leaves["dW2"].reason


def unknown(a):
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(a, f"int{8 * a.itemsize}"), a.dtype)


def test_an_operation_that_is_not_known_leaves_it_undecided_and_is_named_with_its_line():
    found = judged(changed(dW1=unknown))
    assert found.verdict == "undecided" and found.causes == ()
    assert f"bitcast_convert_type at test_verify.py:{unknown.__code__.co_firstlineno + 1}" in found.leaves["dW1"].reason


def test_roots_logarithms_and_powers_are_numbers_like_others():
    def same(a):
        for root in (jnp.sqrt, lambda a: a**0.5, lambda a: 1 / jax.lax.rsqrt(a)):
            a = root(a * a) * jnp.sign(a)
        return jnp.log(jnp.exp(a))

    assert judged(changed(db2=same)).verdict == "right"
    assert judged(changed(db2=lambda a: 1.0001 * same(a))).leaves["db2"].verdict == "wrong"


def test_another_base_of_the_softmax_is_wrong():
    def gradients(params, x, y):
        Z1 = x @ params.W1.T + params.b1
        O1 = jnp.maximum(Z1, 0)
        E = 2.0 ** (O1 @ params.W2.T + params.b2)  # and not the exp that it should be
        dZ2 = (E / E.sum(axis=1, keepdims=True) - y) / len(x)
        dZ1 = dZ2 @ params.W2 * (Z1 > 0)
        return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}

    found = judged(gradients, "cross_entropy", output="identity")
    assert found.verdict == "wrong" and found.first_wrong_step == "dO2"


def by_root(off=1.0, others=lambda a: a):
    """The mean taken by 1 / sqrt(m), twice: a float64 literal that is no fraction."""

    def gradients(params, x, y):
        root = math.sqrt(len(x)) * off
        summed = {name: leaf * len(x) for name, leaf in right(params, x, y).items()}
        return {name: leaf / root / root for name, leaf in summed.items()} | {"db1": others(summed["db1"] / len(x))}

    return gradients


def test_a_literal_of_many_digits_is_a_rounded_number():
    found = judged(by_root())
    assert found.verdict == "right"
    for off in (2.0, 1 + 1e-9):
        found = judged(by_root(off))
        assert found.verdict == "wrong" and {leaf.verdict for leaf in found.leaves.values()} == {"wrong", "right"}
    found = judged(by_root(others=lambda a: 2 * a))
    assert found.leaves["db1"].verdict == "wrong" and found.leaves["dW2"].verdict == "right"


def test_an_order_that_rounding_decides_is_left_undecided():
    def gradients(params, x, y):
        order = jnp.argsort(jnp.stack([x.sum(), x.sum() / 3 * 3]))
        return {name: leaf + 0.0 * order[0] for name, leaf in right(params, x, y).items()}

    found = verify(gradients, loss="quadratic", precisions=())
    assert found.verdict == "undecided" and "too close" in found.leaves["dW1"].reason


@pytest.mark.parametrize("f", [lambda a: a + jnp.nan, lambda a: a / 0, lambda a: a / 0 * 0], ids=["nan", "inf", "0/0"])
def test_what_is_not_finite_is_refused_with_its_name(f):
    with pytest.raises(Refused, match=r"dW1 is not finite at any of \d+ inputs of ordinary size"):
        judged(changed(dW1=f))


def test_integers_are_numbers():
    assert judged(changed(db1=lambda a: jnp.zeros(a.shape, int))).leaves["db1"].verdict == "wrong"
    assert judged(changed(db1=lambda a: np.zeros(a.shape))).causes[0].id == "zero"


# --- the own loss ---


def network(params, x, output="relu"):
    Z2 = jnp.maximum(x @ params["W1"].T + params["b1"], 0) @ params["W2"].T + params["b2"]
    return jnp.maximum(Z2, 0) if output == "relu" else Z2


def squares(params, x, y, output="relu"):
    return ((network(params, x, output) - y) ** 2).sum(axis=1) / 2


def cross_entropies(params, x, y):
    return -(y * jax.nn.log_softmax(network(params, x))).sum(axis=1)


YOURS = "the file's own loss is the mean of the quadratic loss, output relu"
DECAY = "plus 1e-06 times the squares of W1"
OWN = {
    "the declared one": ("quadratic", lambda *a: squares(*a).mean(), None),
    "cross-entropy": ("cross_entropy", lambda *a: cross_entropies(*a).mean(), None),
    "the sum": ("quadratic", lambda *a: squares(*a).sum(), "the file's own loss is the sum"),
    "without its 1/2": ("quadratic", lambda *a: 2 * squares(*a).mean(), "the file's own loss is twice the mean"),
    "the mean over all": ("quadratic", lambda *a: squares(*a).mean() / a[2].shape[1], "is 1/C times the mean"),
    "another loss": (
        "cross_entropy",
        lambda *a: squares(*a).mean(),
        "the file's own loss is the mean of the quadratic loss, output relu",
    ),
    "with decay": (
        "quadratic",
        lambda p, *a: squares(p, *a).mean() + 1e-6 * (p.W1**2).sum(),
        "plus 1e-06 times the squares of W1",
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_the_own_loss_is_checked_against_the_declared_one(name):
    loss, own_loss, said = OWN[name]
    found = judged(derivation(loss), loss, own_loss=own_loss)
    assert found.verdict == ("right" if said is None else "wrong")
    assert ("is the declared one" if said is None else said) in found.loss
    assert [cause.leaf for cause in found.causes] == ([] if said is None else ["loss"])
    assert {leaf.verdict for leaf in found.leaves.values()} == {"right"}, "the derivation itself is right"


def test_a_derivation_of_its_own_loss_is_told_that_only_the_declaration_differs():
    found = judged(derivation("quadratic", dO2=lambda s: s.residual), own_loss=lambda *a: squares(*a).sum())
    assert found.verdict == "wrong" and [cause.id for cause in found.causes] == ["loss"]
    assert found.loss == "the file's own loss is the sum; you declared the mean of the quadratic loss, output relu"
    other = judged(derivation("quadratic", dO2=lambda s: -s.residual), own_loss=lambda *a: squares(*a).sum())
    assert "right for" not in other.loss


def test_the_own_loss_is_the_standard_where_none_is_declared():
    twice = derivation("quadratic", dO2=lambda s: 2 * s.residual / s.m)
    found = verify(twice, own_loss=lambda *a: 2 * squares(*a).mean(), precisions=())
    assert found.verdict == "right" and found.standard == "twice the mean of the quadratic loss, output relu"
    found = verify(derivation("quadratic"), loss="own", own_loss=lambda *a: 2 * squares(*a).mean(), precisions=())
    assert found.verdict == "wrong" and found.causes[0].id == "half"


BAD_LOSSES = {
    "one for each example": (squares, r"one number; it returned an array of shape \(7,\)"),
    "no number": (lambda *a: None, "loss must return one number"),
    "an exception": (lambda params, x, y: x @ y, "test_verify.py:.* raised (Type|Value)Error"),
}


@pytest.mark.parametrize("name", BAD_LOSSES)
def test_an_own_loss_that_is_no_loss_is_refused(name):
    own_loss, said = BAD_LOSSES[name]
    with pytest.raises(Refused, match=said) as raised:
        judged(right, own_loss=own_loss)
    assert "\n" not in str(raised.value)


def test_another_loss_is_recognised_on_targets_of_its_own():
    """Cross-entropy has the gradient softmax - y for one-hot targets only; those of the quadratic loss are real."""
    found = judged(right, own_loss=lambda *a: cross_entropies(*a).mean())
    assert "the file's own loss is the mean of cross-entropy, output relu" in found.loss


def distance(params, x, y):
    """The quadratic loss through a root."""
    O1 = jax.nn.relu(x @ params.W1.T + params.b1)
    return jnp.linalg.norm(jax.nn.relu(O1 @ params.W2.T + params.b2) - y) ** 2 / (2 * len(x))


def test_an_own_loss_through_a_root_is_the_declared_one():
    found = judged(right, own_loss=distance)
    assert found.verdict == "right" and found.causes == () and "is the declared one" in found.loss
    other = judged(right, own_loss=lambda *a: 1.0001 * distance(*a))
    assert other.verdict == "wrong" and [cause.id for cause in other.causes] == ["loss"]
    assert "1.0001 times" in other.loss


# --- NumPy code ---


def in_numpy(params, x, y, dZ1=lambda dO1, Z1: dO1 * (Z1 > 0), dO2=lambda r, m: r / m, sign=1):
    Z1 = x @ params.W1.T + params.b1
    O1 = np.maximum(Z1, 0)
    Z2 = O1 @ params.W2.T + params.b2
    dZ2 = dO2(np.maximum(Z2, 0) - y, len(x)) * (Z2 > 0)
    d = dZ1(dZ2 @ params.W2, Z1)
    return {"dW1": d.T @ x, "db1": d.sum(0), "dW2": sign * dZ2.T @ O1, "db2": dZ2.sum(0)}


def test_numpy_code_is_judged_as_jax_code_is():
    found = judged(in_numpy)
    assert found.verdict == "right" and found.formula.verdict == "right"
    assert {leaf.verdict for leaf in found.leaves.values()} == {"right"} and found.conventions["relu_at_zero"]
    found = verify(in_numpy, loss="quadratic", precisions=("float64", "float32"))
    assert [one.verdict for one in found.program] == ["right", "right"]


NUMPY_WRONG = {
    "a leaf": (dict(sign=-1), {"dW2"}, "dW2", "sign"),
    "a layer": (dict(dZ1=lambda dO1, Z1: dO1), {"dW1", "db1"}, "dZ1", "mask_missing"),
    "all": (dict(dO2=lambda r, m: r), set(LEAVES), "dO2", "reduction"),
}


@pytest.mark.parametrize("name", NUMPY_WRONG)
def test_wrong_numpy_code_is_wrong_in_its_leaves_with_step_cause_and_line(name):
    changes, spoiled, first, cause = NUMPY_WRONG[name]
    found = judged(functools.partial(in_numpy, **changes))
    assert found.verdict == "wrong" and found.first_wrong_step == first
    assert {leaf for leaf in LEAVES if found.leaves[leaf].verdict == "wrong"} == spoiled
    assert cause in [one.id for one in found.causes]
    begins = in_numpy.__code__.co_firstlineno
    assert begins < found.line_number <= begins + 6


SHAPES = {
    "a kept axis": lambda a: a[None],
    "a column": lambda a: a[:, None],
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_bias_gradient_of_another_shape_is_judged_and_that_is_said(name):
    found = judged(changed(db1=SHAPES[name]))
    assert found.verdict == "right" and "db1 has shape" in " ".join(found.notes)
    assert judged(changed(db1=lambda a: 2 * SHAPES[name](a))).verdict == "wrong"


def test_one_number_for_all_biases_is_wrong_with_its_cause():
    found = judged(changed(db2=lambda a: a.sum()))
    assert found.verdict == "wrong" and found.first_wrong_step == "db2"
    assert "one number" in found.leaves["db2"].reason and found.causes[0].id == "wrong_axis"


def test_weights_in_out_are_accepted_and_one_transposed_leaf_is_wrong():
    found = judged(changed(dW1=lambda a: a.T, dW2=lambda a: a.T))
    assert found.verdict == "right" and "(in, out)" in " ".join(found.notes)
    found = judged(changed(dW1=lambda a: a.T))
    assert found.verdict == "wrong" and "transposed" in found.leaves["dW1"].reason


def test_the_own_loss_of_numpy_code_is_checked_too():
    def loss(params, x, y):
        O2 = np.maximum(np.maximum(x @ params.W1.T + params.b1, 0) @ params.W2.T + params.b2, 0)
        return ((O2 - y) ** 2).sum() / 2 / len(x)

    assert "is the declared one" in judged(in_numpy, own_loss=loss).loss


# --- where one of the sizes is one ---


@pytest.mark.parametrize("letter", "dKCm")
def test_code_that_is_wrong_at_one_input_unit_output_or_example_is_wrong(letter):
    def gradients(params, x, y):
        size = {"d": x.shape[1], "K": len(params.b1), "C": len(params.b2), "m": len(x)}[letter]
        return {name: a * (2 if size == 1 else 1) for name, a in right(params, x, y).items()}

    found = judged(gradients)
    assert found.verdict == "wrong" and found.first_wrong_step == "dO2"
    assert [cause.id for cause in found.causes] == ["sizes"] and f"wrong at {letter} = 1" in found.causes[0].text
    assert {leaf.verdict for leaf in found.leaves.values()} == {"wrong"}


def test_a_squeeze_broadcasts_where_there_is_one_output():
    def gradients(params, x, y):
        Z1 = x @ params.W1.T + params.b1
        O1 = jnp.maximum(Z1, 0)
        dZ2 = (O1 @ params.W2.T + params.b2).squeeze() - y
        dZ2 = dZ2 if dZ2.shape == y.shape else dZ2.mean(axis=1, keepdims=True)
        dZ1 = dZ2 @ params.W2 * (Z1 > 0)
        return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}

    found = judged(gradients, output="identity", reduction="sum")
    assert found.verdict == "wrong" and "C = 1" in found.causes[0].text


def test_code_that_gives_nan_for_one_example_is_wrong():
    def gradients(params, x, y):
        others = jnp.asarray(len(x) - 1.0)
        return {name: leaf * others / others for name, leaf in right(params, x, y).items()}

    found = judged(gradients)
    assert found.verdict == "wrong" and "m = 1" in found.causes[0].text


def test_code_that_does_not_run_for_one_output_is_right_and_that_is_said():
    def gradients(params, x, y):
        if y.shape[1] == 1:
            raise NotImplementedError("one output")
        return right(params, x, y)

    found = judged(gradients)
    assert found.verdict == "right" and len(found.notes) == 1
    assert found.notes[0].startswith("not judged at C = 1, where it does not run") and "one output" in found.notes[0]


# --- conventions at the kink ---


def at_zero(hidden=0.0, output=0.0, loss="quadratic"):
    """ReLU'(0) in both layers."""
    return derivation(
        loss, dZ1=lambda s: s.dO1 * jnp.heaviside(s.Z1, hidden), dZ2=lambda s: s.dO2 * jnp.heaviside(s.Z2, output)
    )


@pytest.mark.parametrize(("hidden", "output"), [("0", "1"), ("1/2", "0"), ("1", "1/2"), ("1/4", "1/4")])
def test_any_subgradient_at_the_kink_is_right_and_named(hidden, output):
    numbers = {"0": 0.0, "1/4": 0.25, "1/2": 0.5, "1": 1.0}
    found = judged(at_zero(numbers[hidden], numbers[output]))
    assert found.verdict == "right"
    assert found.conventions == {"relu_at_zero": {"hidden": hidden, "output": output}}


def test_a_convention_that_was_asked_for_is_demanded_of_each_layer():
    assert judged(at_zero(0.5, 0.5), relu_at_zero="1/2").verdict == "right"
    for numbers, step in (((1.0, 0.0), "dZ1"), ((0.0, 1.0), "dZ2")):
        found = judged(at_zero(*numbers), relu_at_zero="0")
        assert found.verdict == "wrong" and found.first_wrong_step == step and found.steps[step].verdict == "wrong"
        assert [(cause.id, cause.leaf) for cause in found.causes] == [("relu_at_zero", step)]
        assert "is 1; you asked for 0" in found.causes[0].text
        assert {leaf.verdict for leaf in found.leaves.values()} == {"right"}


def test_what_is_no_subgradient_is_wrong():
    for number in (2.0, -1.0):
        found = judged(at_zero(number))
        assert found.verdict == "wrong" and "subgradient" in found.causes[0].text


def with_masks(mask, **instead):
    """ReLU'(0) = 0, and other masks of the same layer: `mask` of Z1 and of Z2, `instead` of single leaves."""

    def gradients(params, x, y):
        Z1 = x @ params.W1.T + params.b1
        O1 = jnp.maximum(Z1, 0)
        Z2 = O1 @ params.W2.T + params.b2
        leaves = {}
        for leaf in LEAVES:
            one = instead.get(leaf, mask)
            dZ2 = (jnp.maximum(Z2, 0) - y) / len(x) * one(Z2)
            dZ1 = dZ2 @ params.W2 * one(Z1)
            of, by = (dZ2, O1) if leaf[2] == "2" else (dZ1, x)
            leaves[leaf] = of.T @ by if leaf[1] == "W" else of.sum(axis=0)
        return leaves

    return gradients


def positive(Z):
    return Z > 0


@pytest.mark.parametrize("leaves", [LEAVES, LEAVES[:1], LEAVES[2:3]])
def test_a_division_by_zero_at_a_tie_is_wrong(leaves):
    found = judged(with_masks(positive, **dict.fromkeys(leaves, lambda Z: (Z + abs(Z)) / (2 * Z))))
    assert found.verdict == "wrong" and "NaN" in found.causes[0].text
    assert found.first_wrong_step in ("dZ1", "dZ2") and found.leaves[leaves[0]].verdict == "wrong"


def test_a_mask_by_division_is_wrong_at_its_own_step():
    found = judged(derivation("quadratic", dZ2=lambda s: s.dO2 * (s.O2 / s.Z2)))
    assert found.verdict == "wrong" and found.first_wrong_step == "dZ2"


@pytest.mark.parametrize(
    "mask",
    [
        lambda Z: jnp.where(Z == 0, 0, jnp.maximum(Z, 0) / jnp.where(Z == 0, 1, Z)),
        lambda Z: jnp.where(Z > 0, jnp.maximum(Z, 0) / Z, 0),
        lambda Z: jnp.maximum(jnp.sign(Z), 0),
    ],
)
def test_a_guarded_division_is_right(mask):
    found = judged(with_masks(mask))
    assert found.verdict == "right" and found.conventions == {"relu_at_zero": {"hidden": "0", "output": "0"}}


@pytest.mark.parametrize(("leaf", "slope"), [*zip(LEAVES, (1.0, -3.0, -3.0, 1.0), strict=True)])
def test_two_masks_at_one_tie_are_wrong(leaf, slope):
    """No subgradient has one slope in one gradient and another in the next, though each may be in [0, 1]."""
    found = judged(with_masks(positive, **{leaf: lambda Z: jnp.heaviside(Z, slope)}))
    assert found.verdict == "wrong" and "it must be one number" in found.causes[0].text
    assert f"{slope:g} in {leaf}" in found.causes[0].text and found.leaves[leaf].verdict == "wrong"


def test_a_gradient_that_is_wrong_at_ties_alone_is_wrong():
    def gradients(params, x, y):
        Z1 = x @ params.W1.T + params.b1
        return {name: a + (Z1 == 0).any() for name, a in right(params, x, y).items()}

    assert judged(gradients).verdict == "wrong"


def test_a_mask_that_is_no_number_at_a_tie_is_not_right():
    found = judged(with_masks(lambda Z: jnp.where(Z == 0, jnp.arange(Z.shape[1]) % 2, Z > 0)))
    assert found.verdict in ("undecided", "wrong") and found.verdict != "right"


def test_a_layer_whose_bias_gradient_is_wrong_has_no_convention():
    assert list(judged(changed(db1=lambda a: 2 * a)).conventions["relu_at_zero"]) == ["output"]


def test_a_wrong_mask_has_no_convention():
    assert list(judged(derivation("quadratic", dZ1=lambda s: s.dO1)).conventions["relu_at_zero"]) == ["output"]


def test_an_output_without_relu_has_no_convention():
    found = judged(derivation("quadratic", "identity"), output="identity", relu_at_zero="0")
    assert found.verdict == "right" and list(found.conventions["relu_at_zero"]) == ["hidden"]


# --- what is refused ---


def raises(params, x, y):
    raise RuntimeError("on\ntwo lines")


def writes(params, x, y):
    jax.experimental.io_callback(print, None, x)
    return right(params, x, y)


def does_not_fit(params, x, y):
    return {"db1": x.reshape(3, 1000) @ params.W1}


REFUSED = {
    "a key in lower case": (lambda p, x, y: {"dw1": p.W1}, "the key 'dw1'; did you mean 'd"),
    "an unknown key": (lambda p, x, y: {"foo": p.W1}, "the key 'foo'; the names are dO2, dZ2"),
    "a list": (lambda p, x, y: [p.W1], "must return a dict .* returned a list"),
    "nothing": (lambda p, x, y: None, "must return a dict .* returned a NoneType"),
    "a weight of another shape": (changed(dW2=lambda a: a[:, :2]), r"dW2 has shape \(5, 2\) where W2 is \(C, K\)"),
    "an exception": (raises, "test_verify.py:.*RuntimeError: on two lines"),
    "shapes that fit nowhere": (does_not_fit, r"x.reshape\(3, 1000\) @ params.W1}. raised (Type|Value)Error"),
    "a side effect": (writes, "side effects .*: it must only compute"),
    "too many arguments": (lambda p, x: {}, r"gradients takes \(p, x\), it must take \(params, x, y\)"),
    "an attribute of nothing": (lambda p, x, y: {"dW1": p.W3}, "AttributeError: .*W3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_refused_in_one_line(name):
    gradients, said = REFUSED[name]
    with pytest.raises(Refused, match=said) as raised:
        judged(gradients)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, RaisedInside) == ("raised" in str(raised.value) or name == "an exception")


@pytest.mark.parametrize("option", ["loss", "output", "reduction", "activation", "relu_at_zero"])
def test_unknown_options_are_refused_with_the_known_ones(option):
    with pytest.raises(ValueError, match=f"{option}='third' is not known; choose one of: "):
        judged(right, **{option: "third"})


def test_what_is_no_function_and_unknown_precisions_are_refused():
    with pytest.raises(ValueError, match=r"gradients must be a function .*, got NoneType"):
        judged(None)
    with pytest.raises(ValueError, match="precisions='float8' is not known; choose one of: "):
        verify(right, loss="quadratic", precisions=("float8",))


def test_a_kernel_is_judged_as_it_is_interpreted():
    from jax.experimental import pallas as pl

    def doubled(a):
        def kernel(a_ref, out_ref):
            out_ref[...] = 2 * a_ref[...]

        return pl.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct(a.shape, a.dtype), interpret=True)(a)

    assert judged(changed(dW2=lambda a: doubled(a) / 2)).verdict == "right"
    assert judged(changed(dW2=doubled)).causes[0].id == "half"


def test_results_may_be_params_and_params_may_be_indexed():
    assert judged(lambda *batch: Params(*right(*batch).values())).verdict == "right"

    def indexed(params, x, y):
        return right(Params(params["W1"], params["b1"], params[2], params[3]), x, y)

    assert judged(indexed).verdict == "right"


# --- sizes ---


SIZE_DEPENDENT = {
    "the mean over sixteen at most": (lambda s: s.residual / min(s.m, 16), "m = 128"),
    "another line for the common width": (lambda s: s.residual / s.m * (2 if len(s.W1) == 128 else 1), "K = 128"),
    "another line for many classes": (lambda s: s.residual / s.m * (0 if s.y.shape[1] > 20 else 1), "C = 26"),
}


@pytest.mark.parametrize("name", SIZE_DEPENDENT)
def test_code_that_looks_at_its_sizes_is_wrong_where_it_goes_wrong(name):
    line, said = SIZE_DEPENDENT[name]
    found = judged(derivation("quadratic", dO2=line))
    assert found.verdict == "wrong" and found.first_wrong_step == "dO2"
    assert [cause.id for cause in found.causes] == ["sizes"] and said in found.causes[0].text
    assert {leaf.verdict for leaf in found.leaves.values()} == {"wrong"}


def test_a_float32_of_the_right_number_is_the_right_number():
    found = judged(derivation("quadratic", dO2=lambda s: s.residual * np.float32(1 / s.m)))
    assert found.verdict == "right"
    found = judged(derivation("quadratic", dO2=lambda s: s.residual * np.float32(1 / s.m + 1e-6)))
    assert found.verdict == "wrong"


@pytest.mark.parametrize("wrong", [False, True])
def test_code_with_sizes_built_in_is_judged_at_them_with_a_note(wrong, monkeypatch):
    inner, d = (derivation("quadratic", dZ1=lambda s: s.dO1), 28) if wrong else (right, 784)
    monkeypatch.setattr(points, "MNIST", points.MNIST._replace(d=d))  # what is wrong is searched for at few inputs

    def flattens(params, x, y):
        return inner(params, x.reshape(-1, d), y.reshape(-1, 10))

    found = judged(flattens)
    assert found.verdict == ("wrong" if wrong else "right")
    assert [cause.id for cause in found.causes] == (["mask_missing"] if wrong else [])
    (note,) = found.notes
    assert f"d={d}" in note and "C=10" in note and "test_verify.py" in note


def test_code_for_one_output_is_judged_at_one_output():
    found = judged(lambda params, x, y: right(params, x, y.reshape(len(x), 1)))
    assert found.verdict == "right" and f"C={points.ONE_OUTPUT.C}" in found.notes[0]


SQUARE = {
    "transpose": ({"dO1": lambda s: s.dZ2 @ s.W2.T}, "dO1"),
    "w1_for_w2": ({"dO1": lambda s: s.dZ2 @ s.W1}, "dO1"),
    "wrong_axis": ({"db1": lambda s: s.dZ1.sum(axis=1) + 0 * s.b1}, "db1"),
}


@pytest.mark.parametrize("cause", SQUARE)
def test_an_error_of_shapes_is_wrong_with_its_cause_as_it_shows_where_all_sizes_are_equal(cause):
    changes, step = SQUARE[cause]
    found = judged(derivation("quadratic", **changes))
    assert found.verdict == "wrong" and found.first_wrong_step == step
    assert cause in [one.id for one in found.causes]
    assert "raised TypeError" in found.notes[0]

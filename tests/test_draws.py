"""Where formulas are tested, and the right answer there: no sign in doubt, nothing vacuous, all scales and patterns."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from handmade import derivation

from twolayer.activations import ACTIVATIONS
from twolayer.losses import LOSSES, OF_LABELS, REDUCTIONS
from twolayer.verification import draws, evidence, reference, verify
from twolayer.verification.draws import LARGEST_LOGIT, ONE_OUTPUT, PRIME_SIZES, SMALL, SQUARE, Sizes
from twolayer.verification.numbers.field import P
from twolayer.verification.numbers.opaque import opaque_mask
from twolayer.verification.reference import (
    HIDDEN,
    OUTPUTS,
    OraclesDisagree,
    Setting,
    check_oracles,
    over_the_field,
    truth,
)
from twolayer.verification.verdict import LEAVES, STEPS

pytestmark = pytest.mark.usefixtures("float64", "as_users_call_it")

every_loss = pytest.mark.parametrize("loss", LOSSES)
every_kind = pytest.mark.parametrize("kind", [draws.ordinary, draws.extreme])
SETTINGS = [Setting(*names) for names in itertools.product(LOSSES, OUTPUTS, REDUCTIONS, HIDDEN)]
every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=" ".join)
MANY = 60


def drawn(kind, loss, sizes=PRIME_SIZES[0], count=MANY, seed=0, output="relu", hidden="relu"):
    return kind(np.random.default_rng(seed), sizes, count, loss, output, hidden)


def terms(s):
    """Sums of the absolute terms of Z1 and Z2, and Z1 and Z2, draw by draw."""
    Z1 = np.einsum("nik,njk->nij", s.x, s.W1) + s.b1[:, None]
    O1 = Z1.clip(0)
    Z2 = np.einsum("nij,nkj->nik", O1, s.W2) + s.b2[:, None]
    size1 = np.einsum("nik,njk->nij", abs(s.x), abs(s.W1)) + abs(s.b1)[:, None]
    return (size1, np.einsum("nij,nkj->nik", O1, abs(s.W2)) + abs(s.b2)[:, None]), (Z1, Z2)


def point_of(kind, setting, sizes, count=3, seed=0):
    names = setting.loss, setting.output, setting.hidden
    shadows = drawn(kind, setting.loss, sizes, count, seed, *names[1:])
    return over_the_field(np.random.default_rng(seed), sizes, shadows, *names)


def test_sizes_are_distinct_odd_primes_so_that_factors_and_transposes_show():
    for sizes in PRIME_SIZES:
        assert len(set(sizes)) == 4
        assert all(n > 2 and all(n % k for k in range(2, n)) for n in sizes)
    products = {
        (a**i * b**j) for sizes in PRIME_SIZES for a, b in itertools.combinations(sizes, 2) for i, j in [(1, 1)]
    }
    assert not products & {n for sizes in PRIME_SIZES for n in sizes}
    assert len(set(SQUARE)) == 1 and SMALL.d >= SMALL.m and ONE_OUTPUT.C == 1


@every_loss
@every_kind
@pytest.mark.parametrize("sizes", [PRIME_SIZES[1], SQUARE, SMALL], ids=str)
def test_rounding_decides_no_sign_and_units_of_both_layers_are_on_in_one_example(kind, loss, sizes, monkeypatch):
    monkeypatch.setattr(draws, "MARGIN", wide := max(0.003, 10 * draws.MARGIN))  # narrow ones are missed by chance
    s = drawn(kind, loss, sizes)
    assert all(len(part) == MANY and np.isfinite(part).all() for part in s)
    for size, Z in zip(*terms(s), strict=True):
        assert (abs(Z) > 0.99 * wide * size).all()
    _, (Z1, Z2) = terms(s)
    assert ((Z1 > 0).any(axis=2) & (Z2 > 0).any(axis=2)).any(axis=1).all()


@every_kind
def test_targets_are_one_hot_for_cross_entropy_and_real_otherwise(kind):
    y = drawn(kind, "cross_entropy").y
    assert set(np.unique(y)) == {0, 1} and (y.sum(axis=2) == 1).all()
    assert y.any(axis=(0, 1)).all(), "each class occurs"
    assert len(np.unique(drawn(kind, "quadratic").y)) == MANY * 5 * 7


@every_loss
def test_the_same_seed_gives_the_same_draws_and_another_seed_others(loss):
    for kind in (draws.ordinary, draws.extreme):
        first, again, other = (drawn(kind, loss, count=2, seed=seed) for seed in (1, 1, 2))
        for a, b, c in zip(first, again, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert (a != c).any()


@every_loss
def test_extreme_draws_span_the_scales_of_every_threshold(loss):
    """Of x, Z1, Z2 and of the residual, from 1e-12 to 1e12; as far as exp allows for the cross-entropies."""
    s = drawn(draws.extreme, loss, count=200)
    _, (Z1, Z2) = terms(s)
    if loss == "binary_cross_entropy":
        assert abs(Z2).max() <= LARGEST_LOGIT * (1 + 1e-9)
    for array in {"cross_entropy": (s.x, Z1, Z2), "quadratic": (s.x, Z1, Z2, s.y)}.get(loss, (s.x, Z1)):
        scales = np.log10(abs(array).max(axis=(1, 2)))
        assert scales.min() < -10 and scales.max() > 10
        assert np.histogram(scales, 6, (-12, 12))[0].all()
    if loss == "quadratic":
        assert ((abs(s.y) / abs(Z2)).max(axis=(1, 2)) < 1e-6).any(), "the target is lost against the prediction"


def test_extreme_logits_differ_by_no_more_than_float64_can_exponentiate():
    s = drawn(draws.extreme, "cross_entropy", count=200)
    _, (_, Z2) = terms(s)
    assert (Z2.max(axis=2) - Z2.min(axis=2) <= 2 * LARGEST_LOGIT + 1e-3).all()
    offset = abs(Z2).max(axis=(1, 2)) > 1e3
    assert 0.1 < offset.mean() < 0.5, "a softmax that is not shifted overflows there"


@every_loss
def test_ordinary_draws_show_units_on_and_off_in_both_layers(loss):
    on = draws.patterns(drawn(draws.ordinary, loss))
    assert on.any(axis=0).all() and not on.all(axis=0).any()
    assert len(np.unique(on, axis=0)) == MANY


@pytest.mark.parametrize("sizes", [SMALL, Sizes(1, 2, 3, 1), Sizes(2, 1, 2, 2)], ids=str)
@every_loss
def test_every_pattern_that_can_occur_occurs_once(loss, sizes):
    """Examples with equal O1 have equal Z2: those of which every hidden unit is off. All other patterns can occur."""
    _, K, C, m = sizes
    possible = set()
    for hidden in itertools.product((False, True), repeat=m * K):
        off = [not any(hidden[i * K : (i + 1) * K]) for i in range(m)]
        for outputs in itertools.product((False, True), repeat=m * C):
            dead = {outputs[i * C : (i + 1) * C] for i in range(m) if off[i]}
            if len(dead) <= 1:
                possible.add((*hidden, *outputs))
    s = draws.every_pattern(np.random.default_rng(0), sizes, loss)
    found = [tuple(map(bool, row)) for row in draws.patterns(s)]
    assert len(found) == len(set(found))
    assert set(found) == possible


@every_loss
def test_at_the_kinks_ties_are_exact_and_nothing_else_is_near(loss):
    hidden, output, zeros = draws.kinks(np.random.default_rng(0), PRIME_SIZES[0], 5, loss)
    _, (Z1, Z2) = terms(hidden)
    assert (Z1[:, 0] == 0).all() and (abs(Z1[:, 1:]) > 0).all() and (Z2[:, 0] > 0).all()
    assert hidden.x[:2, 0].any(axis=1).all() and not hidden.x[2:, 0].any()
    _, (Z1, Z2) = terms(output)
    assert (Z2[:, 0] == 0).all() and (abs(Z2[:, 1:]) > 0).all() and Z1.all() and output.W2[:, :, 0].all()
    assert not any(Z.any() for Z in terms(zeros)[1])


@pytest.mark.parametrize("hidden", ["relu", "sigmoid"])
def test_ties_are_exact_in_other_units_too(hidden):
    """A program may scale its inputs or weights first, and add in any order."""
    _, s, _ = draws.kinks(np.random.default_rng(0), PRIME_SIZES[0], 5, "quadratic", "relu", hidden)
    Z1 = sum((s.x[..., None, i] / 3) @ (s.W1[:, :, i] * 3)[:, None] for i in reversed(range(3))) + s.b1[:, None]
    O1 = np.maximum(Z1, 0) if hidden == "relu" else 1 / (1 + np.exp(-Z1))
    Z2 = ((O1 * 0.7) @ s.W2.swapaxes(1, 2) + 0.7 * s.b2[:, None]) / 0.7
    assert not Z2[:, 0].any()


# --- the right answer ---


def loops(setting, params, x, y):
    """All cotangents as numbers, by loops: the residual, and sums of products."""
    target = y.argmax(axis=1) if setting.loss in OF_LABELS else y
    Z1, O1, Z2, O2 = oracles.forward(params, x, setting.output, setting.hidden)
    w = oracles.factors(len(x), setting.reduction, None)
    dO2 = np.array([w[i] * np.array(oracles.residual(O2[i], target[i], setting.loss)) for i in range(len(x))])
    dZ2 = dO2 * np.vectorize(oracles.slope)(Z2, setting.output)
    dO1 = np.array([[sum(g * v for g, v in zip(row, column, strict=True)) for column in params[2].T] for row in dZ2])
    found = {
        "Z1": Z1,
        "O1": O1,
        "Z2": Z2,
        "O2": O2,
        "dO2": dO2,
        "dZ2": dZ2,
        "dO1": dO1,
        "dZ1": dO1 * np.vectorize(oracles.slope)(Z1, setting.hidden),
    }
    leaves = oracles.gradients(params, x, target, *setting[:3], hidden=setting.hidden)
    return found | dict(zip(LEAVES, leaves, strict=True))


@every_setting
def test_the_eight_cotangents_are_those_of_the_loops(setting):
    values, lost = truth(setting, point := point_of(draws.ordinary, setting, PRIME_SIZES[1], 2))
    assert not lost.any() and set(values) == {"Z1", "O1", "Z2", "O2", *STEPS}
    for i in range(2):
        *params, x, y = (part[i] for part in point.shadows)
        for name, right in loops(setting, params, x, y).items():
            np.testing.assert_allclose(values[name].shadow[i], right, rtol=1e-11, atol=1e-13, err_msg=name)


@every_setting
def test_no_step_is_vacuous_at_any_draw(setting):
    """All eight cotangents are other than zero somewhere, so an error in any of them shows."""
    for kind, sizes in ((draws.ordinary, PRIME_SIZES[1]), (draws.extreme, PRIME_SIZES[1])):
        values, _ = truth(setting, point_of(kind, setting, sizes, 5))
        for step in STEPS:
            element = values[step].element
            assert not opaque_mask(element).any()
            assert (element != 0).reshape(5, -1).any(axis=1).all(), step


@every_setting
def test_both_oracles_agree(setting):
    point = point_of(draws.ordinary, setting, PRIME_SIZES[1])
    check_oracles(setting, point, truth(setting, point)[0])


@pytest.mark.parametrize("leaf", LEAVES)
def test_one_wrong_entry_at_one_draw_makes_the_oracles_disagree(leaf):
    setting = Setting("cross_entropy", "relu", "mean")
    point = point_of(draws.ordinary, setting, SMALL)
    values, _ = truth(setting, point)
    element = values[leaf].element.copy()
    element[1].flat[-1] = (element[1].flat[-1] + 1) % P
    with pytest.raises(OraclesDisagree, match=f"{leaf} of"):
        check_oracles(setting, point, values | {leaf: values[leaf]._replace(element=element)})


@jax.custom_jvp
def leaky_backwards(a):
    return jnp.maximum(a, 0)


leaky_backwards.defjvp(lambda a, da: (leaky_backwards(*a), jnp.where(a[0] > 0, da[0], 0.01 * da[0])))


@pytest.fixture
def nothing_remembered():
    reference.backward_jaxpr.cache_clear()
    evidence._right.cache_clear()
    yield
    reference.backward_jaxpr.cache_clear()
    evidence._right.cache_clear()


def test_a_broken_reference_judges_nobody(monkeypatch, nothing_remembered):
    """A ReLU whose derivative is wrong deceives jax.grad, and not the derivative of the forward pass."""
    assert verify(derivation("quadratic"), loss="quadratic", precisions=()).verdict == "right"
    monkeypatch.setattr(jax, "leaky_backwards", leaky_backwards, raising=False)
    monkeypatch.setitem(ACTIVATIONS, "relu", ACTIVATIONS["relu"]._replace(stable="jax.leaky_backwards(Z)"))
    evidence._right.cache_clear()
    reference.backward_jaxpr.cache_clear()
    with pytest.raises(OraclesDisagree, match="dW1"):
        verify(derivation("quadratic"), loss="quadratic", precisions=())


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("output", OUTPUTS)
def test_what_goes_into_a_sigmoid_stays_within_float64(output, hidden):
    """Or exp leaves it and the draw counts for nothing."""
    for kind in (draws.ordinary, draws.extreme):
        Z1, Z2 = draws.forward(drawn(kind, "quadratic", output=output, hidden=hidden), hidden)
        for Z, name in ((Z1, hidden), (Z2, output)):
            assert name != "sigmoid" or abs(Z).max() <= LARGEST_LOGIT * (1 + 1e-9)
            assert kind is draws.ordinary or abs(Z).max(axis=(1, 2)).min() < 1e-6

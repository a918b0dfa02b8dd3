"""Any derivative: each public question, asked of right and wrong functions, and of bad ones."""

import dataclasses
import itertools
import math
import textwrap

import numpy as np
import pytest

from twolayer.verification import assert_right, equal, verify_gradient, verify_hvp, verify_rule, verify_vjp

LINEAR = {"w": "d", "x": "m d"}


def loss(w, x):
    return (np.tanh(x @ w) ** 2).sum()


def gradients(w, x):
    h = np.tanh(x @ w)
    delta = 2 * h * (1 - h**2)
    return {"w": x.T @ delta}


def without_slope(w, x):
    h = np.tanh(x @ w)
    delta = 2 * h
    return {"w": x.T @ delta}


def test_a_gradient_is_right_at_every_size_or_wrong_with_its_line_and_cause():
    right = verify_gradient(loss, gradients, LINEAR)
    assert right.verdict == "right" and right.outputs == {"dw": {"verdict": "right", "reason": None}}
    wrong = verify_gradient(loss, without_slope, LINEAR)
    assert wrong.verdict == "wrong" and wrong.line == "delta = 2 * h"
    assert [cause.id for cause in wrong.causes] == ["derivative_missing"]


def test_the_assertion_shows_the_screen():
    verdict = verify_gradient(loss, without_slope, LINEAR)
    with pytest.raises(AssertionError) as raised:
        assert_right(verdict)
    assert verdict.text in str(raised.value) and "delta = 2 * h" in verdict.text
    assert_right(verify_gradient(loss, gradients, LINEAR))


def polar(r, t):
    return r * np.cos(t), r * np.sin(t)


def polar_swapped(r, t, g):
    return np.cos(t) * g[1] + np.sin(t) * g[0], r * (np.cos(t) * g[1] - np.sin(t) * g[0])


def gauss_newton(x, v):
    return 4 * x**2 * v


def halved(params, x):
    return {"params": {"W": x.T @ (x @ params["W"])}}


EXAMPLES = {
    "gradient": lambda: verify_gradient(loss, without_slope, LINEAR),
    "pullback": lambda: verify_vjp(polar, polar_swapped, {"r": "n", "t": "n"}),
    "hvp": lambda: verify_hvp(lambda x: 0.5 * ((x**2 - 1) ** 2).sum(), gauss_newton, {"x": "n"}),
    "nested": lambda: verify_gradient(
        lambda params, x: ((x @ params["W"]) ** 2).sum(), halved, {"params": {"W": "d k"}, "x": "m d"}
    ),
}


@pytest.mark.parametrize("question", EXAMPLES)
def test_the_counterexample_is_small_code_that_gives_the_wrong_number(question, capsys):
    shown = EXAMPLES[question]().text.split("import numpy as np\n")[1]
    exec(textwrap.dedent(shown), dict(globals()))
    printed, said = capsys.readouterr().out, shown.split("# ")[1].split(", and ")
    right = said[1].split(" is right")[0]
    assert float(printed) == pytest.approx(float(said[0]), abs=1e-5) and float(right) != pytest.approx(float(said[0]))
    assert len(shown) < 300


def test_a_verdict_is_data():
    import json

    found = json.loads(json.dumps(verify_gradient(loss, without_slope, LINEAR).json()))
    assert found["verdict"] == "wrong" and found["causes"][0]["id"] == "derivative_missing"


def test_a_pullback_takes_the_cotangent_in_the_structure_of_the_output():
    def polar(r, t):
        return r * np.cos(t), r * np.sin(t)

    def pullback(r, t, g):
        return np.cos(t) * g[0] + np.sin(t) * g[1], r * (np.cos(t) * g[1] - np.sin(t) * g[0])

    def swapped(r, t, g):
        return np.cos(t) * g[1] + np.sin(t) * g[0], r * (np.cos(t) * g[1] - np.sin(t) * g[0])

    assert verify_vjp(polar, pullback, {"r": "n", "t": "n"}).verdict == "right"
    found = verify_vjp(polar, swapped, {"r": "n", "t": "n"})
    assert {name: one["verdict"] for name, one in found.outputs.items()} == {"dr": "wrong", "dt": "right"}


def test_a_hessian_vector_product_and_its_gauss_newton_part():
    import jax.numpy as jnp

    def residual(x):
        return 0.5 * ((x**2 - 1) ** 2).sum()

    assert verify_hvp(residual, lambda x, v: (6 * x**2 - 2) * v, {"x": "n"}).verdict == "right"
    assert verify_hvp(residual, gauss_newton, {"x": "n"}).verdict == "wrong"
    found = verify_hvp(lambda x: 0.5 * jnp.sum((x**2 - 1) ** 2), gauss_newton, {"x": "n"})
    assert "gauss_newton" in {cause.id for cause in found.causes}, found.text


def test_equal_functions():
    def by_hand(x):
        total = 0.0
        for value in x:
            total += math.exp(value)
        return math.log(total)

    assert verify_equal(by_hand, lambda x: np.log(np.exp(x).sum())) == "right"
    assert verify_equal(by_hand, lambda x: np.log(np.exp(x).mean())) == "wrong"
    assert verify_equal(lambda x: (x, x), lambda x: x) == "wrong"


def verify_equal(f, g):
    return equal(f, g, {"x": "n"}).verdict


def test_domains_keep_to_where_a_function_is_defined():
    def entropy(p):
        return -(p * np.log(p)).sum()

    def gradient(p):
        return -np.log(p) - 1

    assert verify_gradient(entropy, gradient, {"p": "n"}, domains={"p": "positive"}).verdict == "right"
    assert verify_gradient(entropy, gradient, {"p": "n"}, domains=["unit"]).verdict == "right"


def test_labels_are_integers_that_index():
    def picked(z, labels):
        return -z[np.arange(len(labels)), labels].sum()

    def gradient(z, labels):
        dz = np.zeros_like(z)
        dz[np.arange(len(labels)), labels] = -1
        return dz

    shapes, domains = {"z": "m c", "labels": "m"}, {"labels": "labels:c"}
    assert verify_gradient(picked, gradient, shapes, domains=domains).verdict == "right"


def test_expects_says_what_is_meant_to_differ():
    def detached(w, x):
        return {"w": x.T @ (2 * np.tanh(x @ w) * (1 - np.tanh(x @ w) ** 2)), "x": np.zeros_like(x)}

    assert verify_gradient(loss, detached, LINEAR).verdict == "wrong"
    assert verify_gradient(loss, detached, LINEAR, expects={"x": "zero"}).verdict == "right"
    assert verify_gradient(loss, detached, LINEAR, expects={"x": lambda w, x: x}).verdict == "wrong"


def test_argnums_name_what_must_be_returned():
    def both(w, x):
        return x @ w

    def first(w, x, g):
        return x.T @ g

    assert verify_vjp(both, first, LINEAR, argnums=0).verdict == "right"
    assert verify_vjp(both, lambda w, x, g: (x.T @ g, np.outer(g, w)), LINEAR).verdict == "right"
    with pytest.raises(ValueError, match="1 arrays for the 2 arguments"):
        verify_vjp(both, lambda w, x, g: (x.T @ g,), LINEAR)
    missing = verify_gradient(loss, gradients, LINEAR, argnums=(0, 1))
    assert missing.verdict == "not_derived" and missing.outputs["dx"]["verdict"] == "not_derived"


def test_nested_arguments_are_named_by_their_paths():
    def affine(params, x):
        return ((x @ params.W + params["b"]) ** 2).sum()

    def by_mapping(params, x):
        d = 2 * (x @ params["W"] + params.b)
        return {"params": {"W": x.T @ d, "b": d.sum(0)}}

    def by_path(params, x):
        d = 2 * (x @ params["W"] + params.b)
        return {"params.W": x.T @ d, "params.b": d.mean(0)}

    shapes = {"params": {"W": "d k", "b": "k"}, "x": "m d"}
    assert verify_gradient(affine, by_mapping, shapes).verdict == "right"
    found = verify_gradient(affine, by_path, shapes)
    assert found.outputs["dparams.W"]["verdict"] == "right" and found.outputs["dparams.b"]["verdict"] == "wrong"


def test_a_branch_that_was_never_entered_is_named_and_strict_says_undecided():
    def never(x):
        return np.where(x**2 < -1, 0, x**2).sum()

    def gradient(x):
        return np.where(x**2 < -1, 7, 2 * x)

    found = verify_gradient(never, gradient, {"x": "n"})
    assert found.verdict == "right" and set(found.branches.values()) == {"only false"}
    assert "never entered" in found.text
    assert verify_gradient(never, gradient, {"x": "n"}, strict=True).verdict == "undecided"
    assert verify_gradient(loss, gradients, LINEAR, strict=True).verdict == "right"


def rectified(W, b, x):
    return np.maximum(x @ W + b, 0).sum()


LAYER = {"W": "d k", "b": "k", "x": "m d"}
RARE = {
    "a large number": lambda z: np.where(z > 20, 1.5, 1.0) * (z > 0),
    "a number between two that are close": lambda z: np.where((z > 2) & (z < 2.01), 1.5, 1.0) * (z > 0),
    "a very large number": lambda z: np.where(z > 1e25, 1.5, 1.0) * (z > 0),
    "a very small number": lambda z: np.where((z > 0) & (z < 1e-7), 0.0, z > 0),
    "more rows than a block": lambda z: (z > 0) * (1.0 + (len(z) > 64)),
    "a tie, beyond any subgradient": lambda z: np.where(z == 0, 2.0, z > 0),
}


@pytest.mark.parametrize("what", RARE)
def test_an_error_on_a_rare_branch_is_found(what):
    mask_of = RARE[what]

    def gradient(W, b, x):
        mask = mask_of(x @ W + b)
        return {"W": x.T @ mask, "b": 1.0 * mask.sum(0)}

    found = verify_gradient(rectified, gradient, LAYER)
    assert {name: one["verdict"] for name, one in found.outputs.items()} == {"dW": "wrong", "db": "wrong"}


@pytest.mark.parametrize("at_zero", [0.0, 0.25, 1.0])
def test_any_subgradient_is_right_at_a_tie_and_is_named(at_zero):
    def gradient(W, b, x):
        z = x @ W + b
        mask = np.where(z == 0, at_zero, z > 0)
        return {"W": x.T @ mask, "b": 1.0 * mask.sum(0)}

    found = verify_gradient(rectified, gradient, LAYER)
    assert found.verdict == "right" and "a subgradient" in found.text


def test_a_value_at_a_tie_must_be_the_limit_where_there_is_one():
    def cardinal_sine(x):
        return np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))

    def zero_at_zero(x):
        return np.where(x == 0, 0.0, np.sin(x) / np.where(x == 0, 1.0, x))

    assert equal(cardinal_sine, cardinal_sine, {"x": "n"}).verdict == "right"
    assert equal(zero_at_zero, cardinal_sine, {"x": "n"}).outputs["value"]["reason"] == "only at a kink"
    assert equal(lambda x: 1.0 * (x > 0), lambda x: 1.0 * (x >= 0), {"x": "n"}).verdict == "right"


def test_a_large_number_that_masks_stands_for_infinity():
    mask = np.triu(np.ones((4, 4)), 1) > 0

    def masked(s):
        e = np.exp(np.where(mask, -1e9, s) - np.where(mask, -1e9, s).max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def right(s, g):
        p = masked(s)
        return p * (g - (g * p).sum(-1, keepdims=True))

    verdict = verify_vjp(masked, right, {"s": "4 4"})
    assert verdict.verdict == "right" and "a number of the code beyond 1e+08 stands for infinity" in verdict.text
    assert verify_vjp(masked, lambda s, g: right(s, g) + mask * g, {"s": "4 4"}).verdict == "wrong"


def test_a_wrong_line_in_a_loop_is_found_over_all_its_runs():
    def recurrent(w, x):
        h = np.zeros_like(w[0])
        for t in range(len(x)):
            h = np.tanh(w @ h + x[t])
        return h.sum()

    def through_time(w, x):
        h = [np.zeros_like(w[0])]
        for t in range(len(x)):
            h.append(np.tanh(w @ h[-1] + x[t]))
        dw, dh = np.zeros_like(w), np.ones_like(w[0])
        for t in reversed(range(len(x))):
            dz = dh * (1 - h[t + 1] ** 2)
            dw += np.outer(dz, h[t + 1])
            dh = w.T @ dz
        return dw

    found = verify_gradient(recurrent, through_time, {"w": "3 3", "x": "3 3"}, argnums=0)
    assert found.line == "dw += np.outer(dz, h[t + 1])"
    assert [cause.id for cause in found.causes] == ["off_by_one"]


def test_an_omitted_factor_is_named():
    def scaled(x, gamma):
        return gamma * np.tanh(x)

    def pullback(x, gamma, g):
        return {"x": g * (1 - np.tanh(x) ** 2)}

    found = verify_vjp(scaled, pullback, {"x": "m d", "gamma": "d"})
    assert "the factor gamma is missing" in found.causes[0].text


def test_causes_are_edits_of_the_own_code():
    def rows(E, ids, W):
        return 0.5 * ((E[ids] @ W) ** 2).sum() / len(ids)

    def overwritten(E, ids, W):
        dE, out = np.zeros_like(E), E[ids] @ W / len(ids)
        for i, row in zip(ids, out, strict=True):
            dE[i] = W @ row
        return {"E": dE, "W": E[ids].T @ out}

    def at_other_sizes(E, ids, W):
        out, dE = E[ids] @ W / W.shape[1], np.zeros_like(E)
        np.add.at(dE, ids, out @ W.T)
        return {"E": dE, "W": E[ids].T @ out}

    shapes, domains = {"E": "v d", "ids": "m", "W": "d k"}, {"ids": "labels:v"}
    found = verify_gradient(rows, overwritten, shapes, domains=domains)
    assert found.line == "dE[i] = W @ row" and [cause.id for cause in found.causes] == ["path_missing"]
    assert "overwrites" in found.causes[0].text
    found = verify_gradient(rows, at_other_sizes, shapes, domains=domains)
    assert found.line == "out, dE = E[ids] @ W / W.shape[1], np.zeros_like(E)"
    assert [cause.id for cause in found.causes] == ["factor"]


def test_a_number_of_plain_python_that_is_wrong_by_no_constant_gets_no_factor():
    def energy(x, y):
        return 1 / math.sqrt(x * x + y * y)

    def force(x, y):
        r = math.sqrt(x * x + y * y)
        return -x / r**2, -y / r**3

    found = verify_gradient(energy, force, {"x": "", "y": ""})
    assert found.outputs["dx"]["verdict"] == "wrong" and found.outputs["dy"]["verdict"] == "right"
    assert "factor" not in [cause.id for cause in found.causes]


# JAX.


def test_rules_their_value_and_their_derivative():
    import jax
    import jax.numpy as jnp

    def rule(value, slope):
        @jax.custom_vjp
        def square(x):
            return x * x

        square.defvjp(lambda x: (value(x), x), lambda x, g: (g * slope(x),))
        return square

    right = rule(lambda x: x * x, lambda x: 2 * x)
    assert verify_rule(right, {"x": "n"}).verdict == "right"
    assert verify_rule(lambda x: jnp.sin(right(x)), {"x": "n"}).verdict == "right"
    assert verify_rule(right, {"x": "n"}, reference=lambda x: jnp.square(x)).verdict == "right"
    found = verify_rule(rule(lambda x: x * x, lambda x: x), {"x": "n"})
    assert {n: one["verdict"] for n, one in found.outputs.items()} == {"value": "right", "dx": "wrong"}
    found = verify_rule(rule(lambda x: x * x + 1, lambda x: 2 * x), {"x": "n"})
    assert {n: one["verdict"] for n, one in found.outputs.items()} == {"value": "wrong", "dx": "right"}


def test_branches_of_jax_code_are_named_by_line():
    import jax.numpy as jnp

    def relu(x):
        return jnp.maximum(x, 0).sum()

    def gradient(x):
        far = jnp.where(x * x < -1, 7.0, 1.0)
        return jnp.where(x > 0, far, 0.0)

    found = verify_gradient(relu, gradient, {"x": "n"})
    assert found.verdict == "right" and set(found.branches.values()) == {"both", "only false"}
    assert verify_gradient(relu, gradient, {"x": "n"}, strict=True).verdict == "undecided"


# Bad input: one line each.


@dataclasses.dataclass(frozen=True)
class Power:
    n: int

    def __call__(self, x):
        return x**self.n


CUBE = Power(3)


def test_a_function_may_use_an_object_that_refuses_to_be_changed():
    assert_right(equal(lambda x: CUBE(x) / x, lambda x: x * x, {"x": "n"}, domains={"x": "positive"}))


def test_a_derivative_whose_constants_are_rounded_is_right_up_to_their_rounding():
    """jax.grad of erf has 2 / sqrt(pi) as a float."""
    import jax
    import jax.numpy as jnp

    def gelu(z):
        return (z * (1 + jax.scipy.special.erf(z / jnp.sqrt(2))) / 2).sum()

    def slope(z):
        bell = jnp.exp(-(z**2) / 2) / jnp.sqrt(2 * jnp.pi)
        return {"z": (1 + jax.scipy.special.erf(z / jnp.sqrt(2))) / 2 + z * bell}

    right = verify_gradient(gelu, slope, {"z": "n"})
    assert right.verdict == "right" and any("up to the rounding of 1.12837" in note for note in right.notes)
    assert verify_gradient(gelu, lambda z: {"z": slope(z)["z"] + 1e-9 * jnp.tanh(z)}, {"z": "n"}).verdict == "wrong"


COUNT = itertools.count()

BAD = {
    "takes 1 positional argument": lambda: verify_gradient(loss, lambda w: {"w": w}, LINEAR),
    "mismatch in its core dimension": lambda: verify_gradient(loss, gradients, {"w": "k", "x": "m d"}),
    "mismatch": lambda: verify_gradient(loss, gradients, [np.ones(3), np.ones((2, 4))]),
    "ZeroDivisionError": lambda: verify_gradient(loss, lambda w, x: {"w": w * (1 // 0)}, LINEAR),
    "integers for w": lambda: verify_gradient(loss, lambda w, x: {"w": np.arange(len(w))}, LINEAR),
    "a str for w": lambda: verify_gradient(loss, lambda w, x: {"w": "none"}, LINEAR),
    "returned nothing": lambda: verify_gradient(loss, lambda w, x: None, LINEAR),
    "another result when": lambda: verify_gradient(loss, lambda w, x: {"w": w * next(COUNT)}, LINEAR),
    "it must be one of": lambda: verify_gradient(loss, gradients, LINEAR, domains={"w": "reel"}),
    "which is no argument": lambda: verify_gradient(loss, lambda w, x: {"q": w}, LINEAR),
    "argnums names argument 4": lambda: verify_gradient(loss, gradients, LINEAR, argnums=4),
    'it must be "zero" or': lambda: verify_gradient(loss, gradients, LINEAR, expects={"w": 1}),
    "is no size": lambda: verify_gradient(loss, gradients, {"w": "d!", "x": "m d"}),
    "shapes must be": lambda: verify_gradient(loss, gradients, "m d"),
    "must return one number": lambda: verify_gradient(lambda w, x: x @ w, gradients, LINEAR),
    "is wanted": lambda: verify_gradient(loss, gradients, LINEAR, domains={"x": lambda rng, shape: np.ones(2)}),
    "no argument is of floats": lambda: verify_gradient(loss, gradients, {"i": "n"}, domains={"i": "integers"}),
    "there is no custom rule": lambda: verify_rule(lambda x: 2 * x, {"x": "n"}),
    "is no function": lambda: verify_rule(3, {"x": "n"}),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_refused_in_one_line(said):
    with pytest.raises(ValueError) as raised:
        BAD[said]()
    assert said in str(raised.value) and "\n" not in str(raised.value)

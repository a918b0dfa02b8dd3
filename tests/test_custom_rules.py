"""Custom rules: those of JAX and optax are right; what people get wrong, or mean, in their own is named."""

import functools

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import optax
import pytest
from jax.scipy import stats

from twolayer.verification import verify_rule

X, ROWS = {"x": "n"}, {"x": "m c", "y": "m c"}
POSITIVE, UNIT = {"domains": {"x": "positive"}}, {"domains": {"x": "unit"}}

PUBLIC = {
    "relu": (jax.nn.relu, X, {}),
    "relu6": (jax.nn.relu6, X, {}),
    "softplus": (jax.nn.softplus, X, {}),
    "log_sigmoid": (jax.nn.log_sigmoid, X, {}),
    "hard_swish": (jax.nn.hard_swish, X, {}),
    "log1mexp": (jax.nn.log1mexp, X, POSITIVE),
    "logaddexp": (jnp.logaddexp, {"x": "n", "y": "n"}, {}),
    "logaddexp2": (jnp.logaddexp2, {"x": "n", "y": "n"}, {}),
    "sinc": (jnp.sinc, X, {}),
    "i0": (jnp.i0, X, {}),
    "det": (jnp.linalg.det, {"a": "d d"}, {}),
    "slogdet": (jnp.linalg.slogdet, {"a": "d d"}, {}),
    "logit": (special.logit, X, UNIT),
    "xlogy": (special.xlogy, {"x": "n", "y": "n"}, {"domains": {"x": "positive", "y": "positive"}}),
    "xlog1py": (special.xlog1py, {"x": "n", "y": "n"}, {"domains": {"y": "positive"}}),
    "entr": (special.entr, X, POSITIVE),
    "kl_div": (special.kl_div, {"x": "n", "y": "n"}, {"domains": {"x": "positive", "y": "positive"}}),
    "owens_t": (special.owens_t, {"x": "n", "y": "n"}, {"domains": {"x": "positive", "y": "positive"}}),
    "beta.logpdf": (lambda x: stats.beta.logpdf(x, 1.5, 2.5), X, UNIT),
    "poisson.logpmf": (lambda x: stats.poisson.logpmf(3, x), X, POSITIVE),
    "sigmoid_cross_entropy": (optax.sigmoid_binary_cross_entropy, {"x": "n", "y": "n"}, {"domains": {"y": "bits"}}),
    "weighted_logsoftmax": (optax.losses._classification.weighted_logsoftmax, ROWS, {"domains": {"y": "bits"}}),
    "safe_softmax": (optax.losses.safe_softmax_cross_entropy, ROWS, {"domains": {"y": "probabilities"}}),
    "log_cosh": (optax.losses.log_cosh, {"x": "n", "y": "n"}, {}),
    "projection_simplex": (optax.projections.projection_simplex, X, {}),
    "projection_l1_ball": (optax.projections.projection_l1_ball, X, {}),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_rules_are_right(name):
    f, shapes, options = PUBLIC[name]
    found = verify_rule(f, shapes, **options)
    assert found.verdict == "right", found.text


def square(slope, value=lambda x: x * x):
    @jax.custom_vjp
    def squared(x):
        return x * x

    squared.defvjp(lambda x: (value(x), x), lambda x, g: (slope(x, g),))
    return squared


@pytest.mark.parametrize(
    "slope, said",
    [
        (lambda x, g: g, 'expects={"x": lambda x, g: g}'),
        (lambda x, g: g / 2, 'expects={"x": lambda x, g: 1/2 * g}'),
        (lambda x, g: 0 * g, 'expects={"x": "zero"}'),
        (lambda x, g: jnp.clip(2 * x * g, -1, 1), "not linear in the cotangent"),
    ],
)
def test_what_is_done_on_purpose_is_said_with_the_words_that_allow_it(slope, said):
    found = verify_rule(square(slope), X)
    assert found.verdict == "wrong" and said in found.text
    g_alone = {"x": lambda x, g: slope(x, g)}
    assert verify_rule(square(slope), X, expects=g_alone).verdict == "right"


def test_a_forward_rule_that_returns_another_value_is_named():
    found = verify_rule(square(lambda x, g: 2 * x * g, lambda x: x * x + 1), X)
    assert found.outputs["value"] == {"verdict": "wrong", "reason": "the forward rule returns another value"}
    assert found.outputs["dx"]["verdict"] == "right"


def test_a_wrong_rule_inside_is_named_where_the_whole_does_not_show_it():
    @jax.custom_vjp
    def scaled(x, w):
        return x * w

    scaled.defvjp(lambda x, w: (x * w, (x, w)), lambda kept, g: (kept[1] * g, kept[1] * g))
    found = verify_rule(lambda x: jnp.sin(scaled(x, 3 * jnp.ones_like(x))), X)
    assert found.verdict == "right" and found.notes == (
        "the rule scaled.value by itself: right",
        "the rule scaled.d0 by itself: right",
        "the rule scaled.d1 by itself: wrong",
    )
    both = verify_rule(lambda x, w: scaled(x, w) + x, {"x": "n", "w": "n"})
    assert both.verdict == "wrong" and both.outputs["dx"]["verdict"] == "right"


def test_a_rule_that_returns_another_shape_is_wrong_in_words():
    found = verify_rule(square(lambda x, g: (2 * x * g).sum()), X)
    assert found.verdict == "wrong" and "shapes do not match" in found.outputs["result"]["reason"]


def series(x, terms=40):
    def step(carry, k):
        total, term = carry
        return (total + term, term * x / (k + 1)), None

    return jax.lax.scan(step, (jnp.zeros_like(x), jnp.ones_like(x)), jnp.arange(terms))[0][0]


@pytest.mark.parametrize("factor, verdict", [(1, "right"), (1 + 1e-9, "undecided"), (2, "wrong")])
def test_a_plain_program_that_approximates_decides_as_far_as_it_is_exact(factor, verdict):
    @jax.custom_jvp
    def exponential(x):
        return series(x)

    exponential.defjvp(lambda x, t: (exponential(*x), factor * exponential(*x) * t[0]))
    found = verify_rule(exponential, {"x": "n"}, domains={"x": "unit"})
    assert found.outputs["dx"]["verdict"] == verdict, found.text


def test_a_loop_that_jax_cannot_differentiate_is_differentiated_by_differences():
    @functools.partial(jax.custom_jvp)
    def halved(x):
        return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] / 2), (0, x * x))[1]

    halved.defjvp(lambda x, t: (halved(*x), x[0] * t[0] / 4))
    assert verify_rule(halved, X).verdict == "right"
    halved.defjvp(lambda x, t: (halved(*x), x[0] * t[0] / 2))
    assert verify_rule(halved, X).verdict == "wrong"


@pytest.mark.parametrize("factor, alone, verdict", [(1, "right", "right"), (2, "undecided", "wrong")])
def test_an_implicit_rule_is_held_against_what_its_iteration_approaches(factor, alone, verdict):
    @jax.custom_jvp
    def root(x):
        go_on = lambda y: jnp.abs(y * y - x).max() > 1e-2  # noqa: E731
        return jax.lax.while_loop(go_on, lambda y: (y + x / y) / 2, jnp.ones_like(x))

    root.defjvp(lambda x, t: (jnp.sqrt(*x), factor * t[0] / (2 * jnp.sqrt(*x))))
    found = verify_rule(root, X, domains={"x": "unit"})
    assert found.outputs["dx"]["verdict"] == alone and any("approach" in note for note in found.notes), found.text
    assert alone == "right" or "give a reference" in found.outputs["dx"]["reason"]
    assert verify_rule(root, X, domains={"x": "unit"}, reference=jnp.sqrt).verdict == verdict


def test_code_that_jax_cannot_trace_is_undecided_in_words():
    found = verify_rule(lambda x: jax.nn.relu(np.asarray(x)), X)
    assert found.verdict == "undecided" and "TracerArrayConversionError" in found.outputs["result"]["reason"]


def test_the_parts_of_a_value_may_have_names_on_one_side():
    @jax.custom_vjp
    def factors(a):
        return jnp.linalg.slogdet(a)

    factors.defvjp(
        lambda a: ((jnp.sign(jnp.linalg.det(a)), factors(a)[1]), a), lambda a, g: (jnp.linalg.inv(a).T * g[1],)
    )
    found = verify_rule(factors, {"a": "2 2"})
    assert found.verdict == "right", found.text


def test_a_derivative_that_is_nan_on_a_branch_not_taken_is_none_to_be_held_against():
    @jax.custom_vjp
    def root(x):
        return jnp.sqrt(jnp.maximum(x, 0))

    root.defvjp(lambda x: (root(x), x), lambda x, g: (jnp.where(x > 0, g / 2 / jnp.sqrt(jnp.where(x > 0, x, 1)), 0),))
    found = verify_rule(root, X)
    assert found.verdict == "right", found.text


def test_a_surrogate_of_a_flat_function_is_said():
    @jax.custom_jvp
    def spike(x):
        return (x > 0) * 1.0

    spike.defjvp(lambda x, t: (spike(*x), t[0] / (1 + jnp.abs(x[0])) ** 2))
    assert "surrogate" in verify_rule(spike, X).outputs["dx"]["reason"]


@jax.custom_jvp
def lower_gamma(a, x):
    return jax.scipy.special.gammainc(a, x)


@lower_gamma.defjvp
def lower_gamma_jvp(primals, tangents):
    (a, x), (_, t) = primals, tangents
    return lower_gamma(a, x), jnp.exp((a - 1) * jnp.log(x) - x - jax.scipy.special.gammaln(a)) * t


def test_the_incomplete_gamma_function_is_followed_by_both_arguments():
    found = verify_rule(lower_gamma, {"a": "", "x": ""}, domains={"a": "positive", "x": "positive"})
    assert {name: one["verdict"] for name, one in found.outputs.items()} == {
        "value": "right",
        "da": "wrong",
        "dx": "right",
    }
    assert "it is zero" in str(found.outputs["da"]["reason"])


def root(a):
    """x with x^3 + x = a, by Newton's method."""
    return jax.lax.fori_loop(0, 20, lambda i, x: x - (x**3 + x - a) / (3 * x**2 + 1), jnp.zeros_like(a))


@pytest.mark.parametrize(("factor", "verdict"), [(1, "undecided"), (2, "wrong")])
def test_a_fixed_number_of_steps_is_no_standard_where_it_does_not_arrive(factor, verdict):
    rule = jax.custom_vjp(root)
    rule.defvjp(lambda a: (root(a), root(a)), lambda x, g: (factor * g / (3 * x**2 + 1),))
    assert verify_rule(rule, {"a": ""}).verdict == verdict

"""PROGRAM: right programs pass in every precision, and one that computes something else is caught where it does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from twolayer.network import Params
from twolayer.precisions import PRECISIONS
from twolayer.verification.evidence.calls import Call
from twolayer.verification.evidence.points import points, ties
from twolayer.verification.problem import LEAVES, Setting, Sizes
from twolayer.verification.programs import Refused
from twolayer.verification.programs.jax_code import JaxProgram, NotTraceable
from twolayer.verification.rounding import runs, ways
from twolayer.verification.rounding.program import (
    check_program,
    compiling,
    instrument,
    matches,
    report,
    resized,
    signs,
)
from twolayer.verification.rounding.runs import Instrumented, trace

MEAN, QUADRATIC = Setting("cross_entropy", "relu", "mean"), Setting("quadratic", "relu", "mean")
pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")


def forward(p, x):
    Z1 = x @ p.W1.T + p.b1[None, :]
    O1 = jax.nn.relu(Z1)
    Z2 = O1 @ p.W2.T + p.b2[None, :]
    return Z1, O1, Z2, jax.nn.relu(Z2)


def shifted(O2):
    exps = jnp.exp(O2 - O2.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def plain(O2):
    exps = jnp.exp(O2)
    return exps / exps.sum(axis=1, keepdims=True)


def right(p, x, y, softmax=shifted, cast=lambda a: a):
    Z1, O1, Z2, O2 = forward(p, x)
    dZ2 = (softmax(O2) - y) / len(x) * (Z2 > 0)
    dZ1 = cast(dZ2 @ p.W2) * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}


def columns_with_the_mean_at_the_leaves(p, x, y):
    X, m = x.T, len(x)
    Z1 = p.W1 @ X + p.b1[:, None]
    O1 = jnp.maximum(Z1, 0)
    Z2 = p.W2 @ O1 + p.b2[:, None]
    O2 = jnp.where(Z2 > 0, Z2, 0)
    dZ2 = jnp.where(O2 > 0, plain(O2.T).T - y.T, 0)
    dZ1 = jnp.where(O1 > 0, p.W2.T @ dZ2, 0)
    return {"dW1": dZ1 @ X.T / m, "db1": dZ1.mean(1), "dW2": dZ2 @ O1.T / m, "db2": dZ2.mean(1), "dZ2": dZ2}


def one_example_at_a_time(p, x, y):
    def example(leaves, one):
        r = right(p, one[0][None], one[1][None])
        return {name: leaves[name] + r[name] / len(x) for name in leaves}, None

    zeros = {f"d{name}": 0 * leaf for name, leaf in zip(Params._fields, p, strict=True)}
    return lax.scan(example, zeros, (x, y))[0]


def by_autodiff(p, x, y):
    def loss(p):
        O2 = forward(p, x)[3]
        return (jax.nn.logsumexp(O2, axis=1) - (y * O2).sum(1)).mean()

    return {f"d{name}": leaf for name, leaf in jax.grad(loss)(Params(*p))._asdict().items()}


@pytest.mark.parametrize(
    ("gradients", "precisions"),
    [
        (right, tuple(PRECISIONS)),
        (columns_with_the_mean_at_the_leaves, ["bfloat16", "float64"]),
        (by_autodiff, ["float32", "bfloat16"]),
        (one_example_at_a_time, ["bfloat16"]),
    ],
)
def test_right_programs_are_right_in_every_precision(gradients, precisions):
    for program in check_program(gradients, MEAN, precisions, agreement=False):
        assert program.verdict == "right", program
        assert {step.step for step in program.steps} >= set(LEAVES)
        assert all(step.error_over_bound <= 1 for step in program.steps)


def test_all_ways_of_running_a_program_agree():
    (program,) = check_program(right, MEAN, ["float32"])
    assert program.agreement == dict.fromkeys(("jit", "vmap", "split", "sharding"), "right")


def test_ways_that_do_not_apply_say_why(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [None])
    (program,) = check_program(lambda p, x, y: {"db2": right(p, x, y)["db2"] * len(x)}, MEAN, ["float32"])
    assert program.agreement["split"] == "not run: db2 is not a mean over the examples"
    assert program.agreement["sharding"] == "not run: one device"


def test_two_runs_that_differ_by_more_than_rounding_do_not_agree():
    one, room = np.float32([1, 2]), np.float64([1e-7, 1e-7])
    assert ways._compare([one], [one], [room]) == "right"
    assert ways._compare([one], [one + np.float32([0, 3e-7])], [room]) == "wrong"
    assert ways._compare([one], [np.float32([1, np.nan])], [room]) == "not finite"


# What is caught.


def on_other_hardware(monkeypatch, primitive, change):
    """Programs run with operands of this primitive changed, as hardware might, and nothing in the jaxpr says so."""
    original = runs._run

    def run(jaxpr, consts, arguments, *rest):
        bind = jaxpr_bind(primitive, change)
        return original(bind(jaxpr), consts, arguments, *rest)

    monkeypatch.setattr(runs, "_run", run)


def jaxpr_bind(primitive, change):
    """A function that replaces a primitive in a jaxpr by one that changes its operands first."""

    class Changed:
        multiple_results = False

        def __init__(self, own):
            self.name, self._own, self.get_bind_params = own.name, own, own.get_bind_params

        def bind(self, *operands, **params):
            return self._own.bind(*map(change, operands), **params)

    def rewrite(jaxpr):
        eqns = [e.replace(primitive=Changed(e.primitive)) if e.primitive.name == primitive else e for e in jaxpr.eqns]
        return jaxpr.replace(eqns=eqns)

    return rewrite


def test_programs_compiled_in_the_background_are_judged_alike():
    early = compiling(right, MEAN, ["float32"], Call(), 0)
    assert all(program._ready is not None for program in early)
    whole = check_program(right, MEAN, ["float32"], agreement=False)
    assert check_program(right, MEAN, ["float32"], agreement=False, programs=early) == whole
    assert compiling(right, MEAN, ["float32"], Call(one_by_one=True), 0) == []


def test_products_with_short_operands_are_wrong_in_float32_and_named(monkeypatch):
    """What TF32 and bfloat16 passes do to float32 products, with nothing in the program saying so."""
    on_other_hardware(monkeypatch, "dot_general", lambda a: lax.reduce_precision(a, 8, 10))
    float32, tensorfloat32 = check_program(right, MEAN, ["float32", "tensorfloat32"], agreement=False)
    assert float32.verdict == "wrong" and tensorfloat32.verdict == "right"
    assert float32.reason.startswith("Z1[") and "rounding explains a difference of" in float32.reason


def test_a_relative_error_of_a_hundred_thousandth_in_one_step_is_named(monkeypatch):
    original = Instrumented.run

    def run(self, arguments):
        outputs, inside = original(self, arguments)
        return outputs, {at: a * np.float32(1 + 1e-5 * (self.places[at] == "dO1")) for at, a in inside.items()}

    monkeypatch.setattr(Instrumented, "run", run)
    (program,) = check_program(right, MEAN, ["float32"], agreement=False)
    assert program.verdict == "wrong" and program.reason.startswith("dO1[")
    assert {step.step for step in program.steps if step.error_over_bound > 1} >= {"dO1"}


def test_a_visible_cast_is_the_programs_own_rounding_and_is_named():
    (program,) = check_program(
        lambda p, x, y: right(p, x, y, cast=lambda a: a.astype(jnp.float16).astype(a.dtype)), MEAN, ["float32"]
    )
    assert program.verdict == "right"
    assert "rounds to float16 on its way (convert_element_type at test_program.py:" in program.reason


def test_a_softmax_without_a_shift_overflows_and_the_line_is_named():
    def unshifted(p, x, y):
        return right(p, x, y, softmax=plain)

    for program in check_program(unshifted, MEAN, ["float32", "float64"], agreement=False):
        assert program.verdict == "right"
        assert "not finite at outputs of" in program.reason and ": exp at test_program.py:" in program.reason
    large = batch(scale=20)
    (program,) = check_program(unshifted, MEAN, ["float32"], batch=large, agreement=False)
    assert program.verdict == "wrong"
    assert program.reason.startswith("dO2 is not finite in float32: exp at test_program.py:")
    (program,) = check_program(right, MEAN, ["float32"], batch=large, agreement=False)
    assert program.verdict == "right" and program.reason is None


def test_an_operation_without_a_bound_leaves_it_undecided():
    def gammas(p, x, y):
        return right(p, x + 1e-9 * lax.lgamma(1 + x * x), y)

    (program,) = check_program(gammas, MEAN, ["float32"], agreement=False)
    assert program.verdict == "undecided" and program.reason.startswith("no bound: lgamma at test_program.py:")


def test_a_derivation_that_is_wrong_may_be_computed_right():
    (program,) = check_program(
        lambda p, x, y: {"dW2": right(p, x, y)["dW2"] + 1e-6 * p.W2}, MEAN, ["float32"], agreement=False
    )
    assert program.verdict == "right"


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(Refused, match="'dW'"):
        check_program(lambda p, x, y: {"dW": right(p, x, y)["dW1"]}, MEAN)
    with pytest.raises(NotTraceable, match="TracerArrayConversionError"):
        check_program(lambda p, x, y: {"dW1": np.asarray(p.W1)}, MEAN)


def test_labels_and_another_order_of_arguments_are_judged_the_same():
    def by_labels(x, y, p):
        return right(p, x, jax.nn.one_hot(y, len(p.b2)))

    (program,) = check_program(by_labels, MEAN, ["float32"], call=Call(("x", "y", "params"), labels=True))
    assert program.verdict == "right" and set(program.agreement.values()) == {"right"}
    assert {step.step for step in program.steps} >= {*LEAVES, "Z1", "dZ1"}
    (single,) = check_program(right, MEAN, ["float32"], call=Call(one_by_one=True))
    assert single.verdict == "undecided" and "one example" in single.reason


# The user's own numbers, and kinks.


def _floats(params, x, y):
    return dict(zip(("W1", "b1", "W2", "b2", "x", "y"), (*params, x, y), strict=True))


def batch(scale=1.0, d=30, K=12, C=5, m=16, seed=0):
    draw = np.random.default_rng(seed).normal
    params = Params(draw(size=(K, d)) / 5, draw(size=K), scale * draw(size=(C, K)), scale * draw(size=C))
    return params, draw(size=(m, d)), np.eye(C)[np.arange(m) % C]


def test_a_batch_of_the_users_is_judged_step_by_step_as_well():
    params, x, y = batch()
    program = instrument(right, MEAN, "float32")
    own = resized(program, right, Sizes(30, 12, 5, 16))
    assert own.places == program.places
    assert {one.step for one in own.compare(_floats(params, x, y)).compared} == {
        "Z1",
        "O1",
        "Z2",
        "O2",
        "dO2",
        "dZ2",
        "dO1",
        "dZ1",
        *LEAVES,
    }
    (judged,) = check_program(right, MEAN, ["bfloat16"], batch=(params, x, y), agreement=False)
    assert judged.verdict == "right"


def test_masks_are_those_of_the_program():
    """In bfloat16 some signs differ from those of exact arithmetic; each is too close to zero to be known."""
    program = instrument(right, MEAN, "bfloat16")
    large = resized(program, right, Sizes(200, 100, 5, 100))
    params, x, y = batch(d=200, K=100, m=100)
    steps = large.compare(_floats(params, x, y))
    assert not any(one.beyond.any() for one in steps.compared)
    (Z1,) = (one for one in steps.compared if one.step == "Z1")
    other = (Z1.mine > 0) != (Z1.right.numbers > 0)
    assert other.any() and (abs(Z1.right.numbers) <= Z1.right.bound)[other].all()
    assert signs(steps.compared)[0].startswith(f"{other.sum()} signs of Z1 differ")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_exact_ties_are_no_alarm(precision):
    program = instrument(right, MEAN, precision)
    for _, floats in ties(np.random.default_rng(0), program.traced.sizes, MEAN):
        compared = program.compare(floats).compared
        assert any((one.mine == 0).any() for one in compared if one.step in ("Z1", "Z2"))
        assert not any(one.beyond.any() for one in compared)


# The parts.


@pytest.mark.parametrize("gradients", [right, columns_with_the_mean_at_the_leaves, by_autodiff])
def test_steps_are_found_up_to_a_factor_and_a_transposition(gradients):
    sizes = Sizes(5, 7, 3, 4)
    traced = trace(JaxProgram(gradients), Call(), sizes, "float64")
    found = {name for _, name in matches(traced, points(MEAN, sizes, "ordinary", 1)[0])}
    assert found >= {"Z1", "O1", "Z2", "O2", "dZ2", "dO1", "dZ1"}


def test_a_wrong_step_is_not_found():
    def masked_wrongly(p, x, y):
        Z1, O1, _, O2 = forward(p, x)
        dZ2 = (shifted(O2) - y) / len(x)
        return {"dW2": dZ2.T @ O1, "db2": (dZ2 @ p.W2 * (Z1 > 0)).sum(0)[: len(p.b2)]}

    assert {"dO2"} <= set(instrument(masked_wrongly, MEAN, "float32").places.values())
    assert not {"dZ2", "dO1", "dZ1"} & set(instrument(masked_wrongly, MEAN, "float32").places.values())


def test_the_arrays_handed_out_are_those_that_are_used():
    """Without a barrier XLA computes a / b / c as a / (b c) from the start."""
    a, b, c = np.random.default_rng(0).uniform(1, 2, (3, 100)).astype(np.float32)
    closed = jax.make_jaxpr(lambda a, b, c: a / b / c)(a, b, c)
    as_for_users = {"xla_cpu_use_fusion_emitters": True}  # tests are compiled without; see conftest.py
    evaluate = jax.jit(lambda *abc: _with_keys(runs.evaluate(closed, abc, [((0,), 0)])), compiler_options=as_for_users)
    (whole,), handed_out = evaluate(a, b, c)
    np.testing.assert_array_equal(whole, handed_out[0] / c)


def _with_keys(result):
    outputs, handed_out = result
    return outputs, list(handed_out.values())


def test_names_inside_do_not_count_twice():
    def named(p, x, y):
        dO2 = checkpoint_name((forward(p, x)[3] - y) / len(x), "dO2")
        return {"db2": (dO2 * (forward(p, x)[2] > 0)).sum(0)}

    places = instrument(named, QUADRATIC, "float32").places
    assert sorted(places.values()).count("dO2") == 2  # the residual, and divided by m


def test_eta_is_the_error_in_roundings_of_what_was_added_up():
    program = instrument(right, MEAN, "float32")
    problem = _floats(*batch(d=20, K=16, C=7, m=24))
    compared = program.compare(problem).compared
    (dW1,) = (one for one in compared if one.step == "dW1")
    dZ1 = next(one for one in reversed(compared) if one.step == "dZ1").mine.astype(np.float64)
    x = problem["x"].astype(np.float32).astype(np.float64)
    error = abs(dW1.mine - dZ1.T @ x)
    expected = (error / (2.0**-24 * (abs(dZ1).T @ abs(x)) + 1e-300)).max()
    (found,) = (step for step in report([dW1], 2.0**-24))
    assert found.eta == pytest.approx(expected)

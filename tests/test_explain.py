"""Every line of the catalogue is found where it stands and named; what is not in it is located, and not named."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handmade import derivation
from jax.ad_checkpoint import checkpoint_name

from twolayer.verification import explain, findings, programs, unexplained
from twolayer.verification.catalogue import WRONG_LINES
from twolayer.verification.draws import PRIME_SIZES, SMALL, SQUARE, Sizes
from twolayer.verification.evidence import Subject, gather
from twolayer.verification.formula import leaf_verdicts
from twolayer.verification.forwards import wrong_forwards
from twolayer.verification.interpreter import interpret
from twolayer.verification.lines import Scope
from twolayer.verification.numbers.floats import Float64, Floats
from twolayer.verification.reference import Setting, shapes
from twolayer.verification.steps import right_lines
from twolayer.verification.tracing import Refused, trace
from twolayer.verification.verdict import LEAVES, STEPS

pytestmark = pytest.mark.usefixtures("float64", "as_users_call_it")

RELU, IDENTITY = Setting("quadratic", "relu", "mean"), Setting("quadratic", "identity", "sum")
SOFTMAX = Setting("cross_entropy", "relu", "mean")
CHAIN = ("dO2", "dZ2", "dO1", "dZ1")
SIZES = Sizes(2, 5, 3, 4)
LITERAL = 0.1


def from_lines(setting, changes, shown=LEAVES, forward=None):
    """A derivation put together from lines of the catalogue, right ones but for the changes; its scope for None."""
    lines = {step: line.compute for step, line in right_lines(*setting).items()}
    lines |= (forward.lines if forward else {}) | {step: line.compute for step, line in changes.items()}

    def gradients(params, x, y):
        weight = 1 / len(x) if setting.reduction == "mean" else 1.0
        s = Scope(*params, x, y, weight, t=LITERAL)
        Z1 = x @ params.W1.T + params.b1
        Z2 = jax.nn.relu(Z1) @ params.W2.T + params.b2
        trace = Z1, jax.nn.relu(Z1), Z2, jax.nn.relu(Z2) if setting.output == "relu" else Z2
        s = s._replace(**dict(zip(("Z1", "O1", "Z2", "O2"), forward.compute(s) if forward else trace, strict=True)))
        values = {}
        for step in STEPS:
            values[step] = lines[step](s)
            s = s._replace(**{step: values[step]} if step in Scope._fields else {})
        return s if shown is None else {name: values[name] for name in shown}

    return gradients


def judge(gradients, setting, *more_sizes):
    """Findings and verdicts of the leaves, at small sizes; at a square one if the derivation fits no other."""
    try:
        traced = tuple(trace(gradients, sizes) for sizes in (SIZES, *more_sizes))
    except Refused:
        traced = (trace(gradients, SQUARE),)
    groups = gather(Subject(traced, None, None), setting)
    leaves, literals = leaf_verdicts(groups, setting), programs.literals(traced[0].jaxpr)
    probe = explain.telling(groups)
    found = explain.explanations(setting, groups, literals, probe)
    return findings.find(found, setting, groups, leaves, literals, explain.right_inside(probe)), leaves


def alternatives(found):
    """Each explanation as a list of (cause, step)."""
    numbered = itertools.groupby(found.causes, lambda cause: cause.explanation)
    return [[(cause.id, cause.leaf) for cause in causes] for _, causes in numbered]


def wrong_leaves(leaves):
    return {leaf for leaf, verdict in leaves.items() if verdict.verdict == "wrong"}


def lines_of(setting, step=None, own=False):
    """The catalogue's lines at a step; `own`: only those that this loss or output alone has."""
    return [
        line
        for line in WRONG_LINES
        if line.fits(setting.loss, setting.output)
        and step in (None, line.step)
        and (not own or setting.loss == line.loss or setting.output == line.output)
    ]


# In each set one cannot be told from another, by the leaves alone or by all steps.
SAME_LEAVES = (
    {("times_output", "dO2"), ("output_for_mask", "dZ2")},
    {("zero", "dO1"), ("zero", "dZ1")},
)
SAME_STEPS = ({("softmax_of_preactivation", "dO2"), ("other_output", "forward")},)
EQUIVALENT = {("preactivation_for_output", RELU)}  # (Z2 - y) 1[Z2 > 0] = (O2 - y) 1[Z2 > 0]
CASES = [(RELU, step) for step in STEPS] + [(SOFTMAX, "dO2"), (IDENTITY, "dZ2")]


@pytest.mark.parametrize(("setting", "step"), CASES, ids=[f"{setting.loss}-{step}" for setting, step in CASES])
def test_each_line_of_the_catalogue_is_named(setting, step):
    """From the leaves alone, or from all steps, by turns. It is the only candidate, and all else is right."""
    for i, line in enumerate(lines_of(setting, step, own=setting != RELU)):
        shown = LEAVES if step in LEAVES or i % (5 if setting == SOFTMAX else 3) == 0 else STEPS
        found, leaves = judge(from_lines(setting, {step: line}, shown), setting)
        if (line.id, setting) in EQUIVALENT and shown == LEAVES:
            assert not found.causes and not wrong_leaves(leaves)
            continue
        names = [alternative for [alternative] in alternatives(found)]
        groups = SAME_STEPS + (SAME_LEAVES if shown == LEAVES else ())
        alike = next((group for group in groups if (line.id, step) in group), set())
        assert (line.id, step) in names and set(names) <= alike | {(line.id, step)}, line.code
        first = names[0][1].replace("forward", "dO2")
        assert found.first_wrong_step == first and wrong_leaves(leaves)
        verdicts = {step: verdict.verdict for step, verdict in found.steps.items()}
        assert verdicts == dict.fromkeys(STEPS, "right") | {first: "wrong"}, line.code
        cause = found.causes[names.index((line.id, step))]
        assert cause.correction == right_lines(*setting)[step].code
        assert cause.text == line.text.format(t="0.1")


def wrong_in_themselves(setting, lines):
    """The steps whose line gives another result than the right one, from what came before it, at some point."""
    right, at_point = right_lines(*setting), np.random.default_rng(7).normal

    def both(params, x, y):
        gradients = from_lines(setting, lines, STEPS)(params, x, y)
        scope = from_lines(setting, lines, None)(params, x, y)
        return {step: (gradients[step], right[step].compute(scope)) for step in STEPS}

    arguments = [Floats(at_point(size=shape.shape)) for shape in jax.tree.leaves(shapes(SIZES))]
    with jax.numpy_rank_promotion("allow"):
        closed, out = jax.make_jaxpr(both, return_shape=True)(*shapes(SIZES))
    values = jax.tree.unflatten(jax.tree.structure(out), [v.numbers for v in interpret(closed, Float64(), *arguments)])
    return {step for step, (mine, true) in values.items() if not np.allclose(mine, true)}


def pairs(setting, count, seed):
    """Random pairs of wrong lines at two steps that fit any sizes, each of them wrong where the other is wrong too."""
    rng, pool, found = np.random.default_rng(seed), lines_of(setting), []
    while len(found) < count:
        lines = {line.step: line for line in (pool[i] for i in rng.integers(len(pool), size=2))}
        try:
            trace(from_lines(setting, lines), SIZES)
        except Refused:
            continue
        if len(lines) == 2 and wrong_in_themselves(setting, lines) == set(lines):
            found.append(lines)
    return found


@pytest.mark.parametrize("setting", [RELU, SOFTMAX], ids=" ".join)
def test_two_wrong_lines_are_both_named_if_the_steps_are_returned(setting):
    for lines in pairs(setting, 4, seed=1):
        found, _ = judge(from_lines(setting, lines, STEPS), setting)
        codes = [line.code for line in lines.values()]
        assert alternatives(found) == [[(lines[step].id, step) for step in sorted(lines, key=STEPS.index)]], codes
        assert found.first_wrong_step == min(lines, key=STEPS.index), codes
        assert {step for step in STEPS if found.steps[step].verdict == "wrong"} == set(lines)


def test_two_wrong_lines_are_among_the_candidates_from_the_leaves_alone():
    for lines in pairs(RELU, 2, seed=2):
        found, _ = judge(from_lines(RELU, lines), RELU)
        both = sorted((line.id, step) for step, line in lines.items())
        assert both in map(sorted, alternatives(found)), [line.code for line in lines.values()]


@pytest.mark.parametrize("setting", [RELU, IDENTITY], ids=" ".join)
def test_wrong_forward_passes_are_named(setting):
    for forward in wrong_forwards(setting.output):
        if setting != RELU and forward.id != "other_output":
            continue
        try:
            found, leaves = judge(from_lines(setting, {}, forward=forward), setting)
        except Refused:
            assert forward.id == "w2_for_w1"  # some of these fit only at sizes of their own
            continue
        if not wrong_leaves(leaves):
            assert forward.id == "other_output"  # with the right mask, which makes up for it
            continue
        assert [(forward.id, "forward")] in alternatives(found), forward.code
        assert all(len(alternative) == 1 for alternative in alternatives(found))
        assert found.causes[0].text == forward.text.format(t="0.1")


# --- what is not in the catalogue ---

ODD = {
    "a sum of Z2": {"dZ1": lambda s: s.dO1 * (s.Z1 > 0) * s.Z2.sum()},
    "a mask from x": {"dZ1": lambda s: s.dO1 * (s.x[:, :1] > 0)},
    "a cube": {"dW2": lambda s: s.dZ2.T @ s.O1**3},
    "weighted by the input": {"db1": lambda s: (s.dZ1 * s.x[:, :1]).sum(axis=0)},
    "squares": {"db2": lambda s: (s.dZ2**2).sum(axis=0)},
    "rolled weights": {"dO1": lambda s: s.dZ2 @ jnp.roll(s.W2, 1, axis=0)},
    "an outer product added": {"dW1": lambda s: s.dZ1.T @ s.x + jnp.outer(s.b1, s.x[0])},
    "a mask by the target": {"dZ2": lambda s: s.dO2 * (s.Z2 > s.y)},
    "centred residuals": {"dO2": lambda s: (s.residual - s.residual.mean(axis=0)) / s.m},
    "examples that count more": {"dO2": lambda s: s.residual * jnp.arange(1, s.m + 1)[:, None] / s.m},
}
SPOILED = {"dO2": set(LEAVES), "dZ2": set(LEAVES), "dO1": {"dW1", "db1"}, "dZ1": {"dW1", "db1"}}


@pytest.mark.parametrize("name", ODD)
def test_an_error_of_no_known_kind_is_located_and_not_named(name):
    (step,) = ODD[name]
    for shown in ((), CHAIN) if name in ("a cube", "centred residuals") else (CHAIN,):
        found, leaves = judge(derivation("quadratic", steps=shown, **ODD[name]), RELU)
        assert alternatives(found) == [[("unknown", step)]] and found.first_wrong_step == step
        assert step in found.causes[0].text
        assert wrong_leaves(leaves) == SPOILED.get(step, {step})
        assert found.steps[step].verdict == "wrong"
        before = STEPS[: STEPS.index(step)]
        assert all(found.steps[one].verdict in ("right", "not_shown") for one in before)


def test_an_odd_error_and_a_known_one_are_told_apart():
    changes = ODD["a cube"] | {"dZ1": lambda s: s.dO1}
    found, _ = judge(derivation("quadratic", steps=CHAIN, **changes), RELU)
    assert alternatives(found) == [[("unknown", "dW2"), ("mask_missing", "dZ1")]]


ENTRIES = {
    "dW1[0, 1]": {"dW1": lambda s: (s.dZ1.T @ s.x).at[0, 1].multiply(1.0001)},
    "dW1[-1, -1]": {"dW1": lambda s: (s.dZ1.T @ s.x).at[-1, -1].add(1e-4)},
    "db2[1]": {"db2": lambda s: s.dZ2.sum(axis=0).at[1].set(0.0)},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_single_wrong_entry_is_named_with_its_place(name):
    (step,) = ENTRIES[name]
    found, _ = judge(derivation("quadratic", **ENTRIES[name]), RELU, Sizes(3, 4, 2, 5))
    assert alternatives(found) == [[("one_entry", step)]]
    place = eval(f"({name[4:-1]},)")
    assert str(place) in found.causes[0].text


THRESHOLDS = {
    "small numbers left out": {"dW1": lambda s: jnp.where(abs(s.dZ1.T @ s.x) > 1e-3, s.dZ1.T @ s.x, 0)},
    "a lower bound": {"db2": lambda s: jnp.maximum(s.dZ2.sum(axis=0), -2.5)},
    "a clipped norm": {"dO2": lambda s: s.residual / s.m / jnp.maximum(1, (s.residual**2).sum() / 1e3)},
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_what_acts_at_some_sizes_only_is_called_a_threshold_with_its_place(name):
    ((step, line),) = THRESHOLDS[name].items()
    found, _ = judge(derivation("quadratic", steps=CHAIN, **THRESHOLDS[name]), RELU)
    assert alternatives(found) == [[("threshold", step)]]
    assert f"test_explain.py:{line.__code__.co_firstlineno}" in found.causes[0].text


def stale_masks(params, x, y):
    """The mask of each hidden unit is that of the one before."""
    Z1 = x @ params.W1.T + params.b1
    O1 = jax.nn.relu(Z1)
    dZ2 = O1 @ params.W2.T + params.b2 - y
    units = range(params.b1.size)
    dZ1 = jnp.stack([jnp.where(Z1[:, j - 1] > 0, dZ2 @ params.W2[:, j], 0) for j in units], axis=1)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}


def test_a_wrong_mask_of_the_hidden_layer_is_at_dZ1_though_no_dO1_is_computed():
    """Where all units are on, no mask is wrong; but the rows of W2 may be turned."""
    found, _ = judge(stale_masks, IDENTITY, SMALL)
    assert alternatives(found) == [[("unknown", "dZ1")]]
    turned = derivation("quadratic", "identity", dO1=lambda s: s.dZ2 @ s.W2[:, ::-1])
    found, _ = judge(turned, Setting("quadratic", "identity", "mean"), SMALL)
    assert alternatives(found) == [[("unknown", "dO1")]]


def test_what_depends_on_the_labels_is_no_threshold():
    """Weights by class are right where each class has one example, whatever the sizes of the numbers."""

    def weighted(s):
        count = jnp.maximum(s.y.sum(axis=0), 1)
        return s.residual * (s.y @ (s.m / (s.y.shape[1] * count)))[:, None] / s.m

    found, _ = judge(derivation("cross_entropy", dO2=weighted), SOFTMAX, PRIME_SIZES[0], SMALL)
    assert [cause.id for cause in found.causes] == ["unknown"]


def test_a_factor_at_a_leaf_is_corrected_by_what_is_right_wherever_the_mean_is_taken():
    found, _ = judge(derivation("quadratic", db1=lambda s: s.m * s.dZ1.sum(axis=0)), RELU, PRIME_SIZES[0])
    assert found.causes[0].correction == "db1 = dZ1.sum(axis=0), where dZ1 has the 1/m in it; if not, / m"
    found, _ = judge(derivation("quadratic", steps=CHAIN, db1=lambda s: s.m * s.dZ1.sum(axis=0)), RELU, PRIME_SIZES[0])
    assert found.causes[0].correction == "db1 = dZ1.sum(axis=0)"


LITERALS = {
    "decay": ({"dW1": lambda s: s.dZ1.T @ s.x + 1e-6 * s.W1}, "phantom_l2", "1e-06 W1"),
    "decay, halved and doubled": ({"dW2": lambda s: s.dZ2.T @ s.O1 + 2 * 0.005 * s.W2 / s.m}, "phantom_l2", None),
    "a leaky mask": ({"dZ1": lambda s: s.dO1 * jnp.where(s.Z1 > 0, 1, 0.01)}, "leaky_relu", "with 0.01"),
    "a moved mask": ({"dZ1": lambda s: s.dO1 * (s.Z1 > 1e-4)}, "threshold", "Z1 > 0.0001"),
    "updated weights": ({"dO1": lambda s: s.dZ2 @ (s.W2 - 0.05 * s.dW2)}, "updated_w2", "step of 0.05"),
}


@pytest.mark.parametrize("name", LITERALS)
def test_a_number_in_a_wrong_line_is_named(name):
    changes, cause, said = LITERALS[name]
    found, _ = judge(derivation("quadratic", **changes), RELU)
    assert alternatives(found) == [[(cause, *changes)]]
    assert said is None or said in found.causes[0].text


def test_smoothed_labels_and_an_epsilon_in_the_logarithm_are_told_apart():
    def smoothed(s):
        return (s.P - (1 - 1e-5) * s.y - 1e-5 / s.y.shape[1]) / s.m

    def with_epsilon(s):
        g = -s.y / (s.P + 1e-8)
        return s.P * (g - (s.P * g).sum(axis=1, keepdims=True)) / s.m

    for line, cause, said in ((smoothed, "label_smoothing", "1e-05"), (with_epsilon, "log_epsilon", "1e-08")):
        found, _ = judge(derivation("cross_entropy", dO2=line), SOFTMAX)
        assert alternatives(found) == [[(cause, "dO2")]] and said in found.causes[0].text


# --- where the arrays come from ---


def named(name, line):
    return lambda s: checkpoint_name(line(s), name)


def test_steps_that_are_named_inside_are_judged_as_if_returned():
    lines = {step: line for step, line in ODD["a sum of Z2"].items()}
    changes = {
        "dO2": named("dO2", lambda s: s.residual / s.m),
        "dZ2": named("dZ2", lambda s: s.dO2 * (s.Z2 > 0)),
        "dO1": named("dO1", lambda s: s.dZ2 @ s.W2),
        "dZ1": named("dZ1", lines["dZ1"]),
    }
    found, _ = judge(derivation("quadratic", **changes), RELU)
    assert alternatives(found) == [[("unknown", "dZ1")]]
    assert {step: found.steps[step].where for step in CHAIN} == dict.fromkeys(CHAIN, "named")
    assert [step for step in STEPS if found.steps[step].verdict == "wrong"] == ["dZ1"]


def test_a_name_on_another_array_is_an_error_at_that_step():
    changes = {"dZ1": named("dZ1", lambda s: s.dO1), "dW1": lambda s: (s.dO1 * (s.Z1 > 0)).T @ s.x}
    changes["db1"] = lambda s: (s.dO1 * (s.Z1 > 0)).sum(axis=0)
    found, leaves = judge(derivation("quadratic", **changes), RELU)
    assert not wrong_leaves(leaves) and found.first_wrong_step == "dZ1"
    assert found.causes[0].leaf == "dZ1"


@pytest.mark.parametrize("wrong", [False, True])
def test_steps_may_have_examples_as_columns(wrong):
    changes = {"dZ1": lambda s: s.dO1} if wrong else {}
    by_rows = derivation("quadratic", steps=CHAIN, **changes)

    def by_columns(params, x, y):
        result = by_rows(params, x, y)
        return result | {step: result[step].T for step in CHAIN}

    (rows, leaves), (columns, same_leaves) = judge(by_rows, RELU), judge(by_columns, RELU)
    assert rows == columns and leaves == same_leaves
    assert alternatives(rows) == ([[("mask_missing", "dZ1")]] if wrong else [])


def test_right_steps_met_inside_the_program_are_found_there():
    found, _ = judge(derivation("quadratic", **ODD["a cube"]), RELU)
    assert {found.steps[step].where for step in CHAIN} == {"found"}
    assert {found.steps[step].verdict for step in STEPS} == {"right", "wrong"}


def test_a_factor_is_placed_by_the_arrays_inside_the_program():
    """Between dO2 and dZ2 nothing that is returned tells where the sign came in."""
    at_dO2 = {"dO2": lambda s: -s.residual / s.m}
    at_dZ2 = {"dZ2": lambda s: -(s.dO2 * (s.Z2 > 0))}
    for changes in (at_dO2, at_dZ2):
        found, _ = judge(derivation("quadratic", **changes), RELU)
        assert alternatives(found) == [[("sign", *changes)]] and found.first_wrong_step == next(iter(changes))


# --- without an explanation ---

ENTERS = {
    ("dW2",): "dW2",
    ("db2",): "db2",
    ("dW2", "db2"): "dO2",
    ("dW1", "db1"): "dO1",
    ("db1",): "db1",
    ("dW1", "db1", "dW2", "db2"): "dO2",
    ("dW1", "db1", "db2"): "db2",
}


@pytest.mark.parametrize("wrong", ENTERS)
def test_an_error_enters_before_the_first_pair_of_wrong_leaves_or_at_a_leaf_of_its_own(wrong):
    step = ENTERS[wrong]
    assert unexplained.first_wrong(set(wrong), set(LEAVES), set()) == step
    if step.startswith("dO"):
        later = step.replace("O", "Z")
        assert unexplained.first_wrong(set(wrong), set(LEAVES), {step}) == later
        only = {leaf for leaf in wrong if leaf.startswith("dW")}
        assert unexplained.first_wrong(only, only, {step}) == later, "without its sibling a leaf tells nothing"


def test_no_leaf_is_blamed_if_none_is_wrong():
    with pytest.raises(ValueError, match="no leaf"):
        unexplained.first_wrong(set(), set(LEAVES), set())

"""The two-layer problem as text: its right lines are the gradient, and every wrong line is wrong."""

import functools
import re

import flint
import numpy as np
import oracles
import pytest

from twolayer import activations
from twolayer.verification import problem
from twolayer.verification.evidence.points import exactly
from twolayer.verification.explain.catalogue import wrong_lines
from twolayer.verification.explain.edits import edits
from twolayer.verification.explain.forwards import wrong_forwards
from twolayer.verification.numbers import factors
from twolayer.verification.numbers.balls import Ball, floats, precision
from twolayer.verification.problem import INPUTS, LEAVES, STEPS, TRACE, UPSTREAM, Misfit, Setting, Sizes

SMALL, SQUARE = Sizes(2, 3, 2, 3), Sizes(5, 5, 5, 5)
FITTING = (Sizes(3, 11, 5, 7), Sizes(5, 7, 13, 3), SQUARE)
NUMBERS = (0.03, 0.3, 3.0)  # tried for t
DIFFER = 1e-9

ACTIVATIONS = ("relu", "identity", "sigmoid", "tanh", "leaky_relu", "leaky_relu(0.2)", "gelu", "gelu_tanh", "softplus")
LOSSES = ("cross_entropy", "quadratic", "binary_cross_entropy")
# Every activation in both layers, and every loss with both reductions.
SETTINGS = [
    *(
        Setting(LOSSES[i % 3], output, ("mean", "sum")[i // 3 % 2], ACTIVATIONS[(i + 2) % 9])
        for i, output in enumerate(ACTIVATIONS)
    ),
    Setting("cross_entropy", "relu", "mean"),
    Setting("quadratic", "relu", "sum"),
    Setting("binary_cross_entropy", "identity", "mean", "sigmoid"),
    Setting("quadratic", "identity", "mean", biases=False),
]
every_setting = pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda s: f"{s.loss}-{s.output}-{s.reduction}-{s.hidden}"
)


def inputs(setting, sizes, seed=0):
    """Gaussian numbers; each unit is on for some examples and off for others, where there are several of each."""
    rng = np.random.default_rng([seed, *sizes])
    _, K, C, m = sizes
    while True:
        y = {"onehot": lambda: np.eye(C)[rng.integers(C, size=m)], "real": lambda: 2 * rng.normal(size=(m, C)),
             "bits": lambda: rng.integers(2, size=(m, C)).astype(float)}[problem.targets(setting)]()  # fmt: skip
        scope = {name: rng.normal(size=problem.shape(name, sizes)) for name in INPUTS} | {"y": y}
        scope |= {"W2": scope["W2"] / K**0.5, "b2": scope["b2"] / 4}
        scope |= {} if setting.biases else {"b1": 0 * scope["b1"], "b2": 0 * scope["b2"]}
        found = problem.forward(setting, scope)
        if all((found[Z] > 0).any(axis=1).all() and (found[Z] <= 0).any() for Z in ("Z1", "Z2")):
            return scope


@functools.cache
def at(setting, sizes, seed=0):
    return problem.right(setting, inputs(setting, sizes, seed))


def values(line, setting, sizes, seed=0):
    """What a line computes of what comes before it, for each t; with the right array of its step."""
    known = at(setting, sizes, seed)
    scope = {name: known[name] for name in (*INPUTS, "w", *TRACE, *UPSTREAM[line.step])}
    return [line.compute(scope, t) for t in (NUMBERS if line.literal else (None,))], known[line.step]


def distance(a, b):
    """The largest difference relative to the larger array; by how much a is no multiple of b."""
    a, b = np.ravel(a), np.ravel(b)
    if not a.any() or not b.any():
        return float(a.any() or b.any())
    return min(np.abs(a - c * b).max() / np.abs(a).max() for c in (a @ b / (b @ b), 0.0))


@every_setting
def test_right_lines_are_the_gradient_that_loops_compute(setting):
    scope = at(setting, FITTING[0])
    y = scope["y"].argmax(axis=1) if setting.loss == "cross_entropy" else scope["y"]
    arguments = [scope[name] for name in INPUTS[:4]], scope["x"], y, setting.loss, setting.output, setting.reduction
    for leaf, loops in zip(LEAVES, oracles.gradients(*arguments, hidden=setting.hidden), strict=True):
        np.testing.assert_allclose(scope[leaf], loops, rtol=1e-10, atol=1e-13, err_msg=leaf)
    loss = oracles.total(*arguments, hidden=setting.hidden)
    np.testing.assert_allclose(problem.total(setting, scope), loss, rtol=1e-12)


def differences(setting, scope, name):
    """The central differences of the loss by each entry of an input, with a step of 2^-300."""
    h = Ball(flint.arb(2) ** -300)
    slopes = np.empty(scope[name].shape, object)
    for place in np.ndindex(slopes.shape):
        ends = []
        for step in (h, -h):
            moved = scope[name].copy()
            moved[place] = moved[place] + step
            ends.append(problem.total(setting, scope | {name: moved}))
        slopes[place] = (ends[0] - ends[1]) / (2 * h)
    return slopes


def close(a, b):
    """Whether two arrays of balls agree to 200 bits."""
    return all(abs((u - v).v) < flint.arb(2) ** -200 for u, v in zip(a.ravel(), b.ravel(), strict=True))


@every_setting
def test_right_lines_are_the_central_differences_of_the_loss(setting):
    with precision(1100):
        scope = {name: exactly(array) for name, array in inputs(setting, SMALL).items()}
        right = problem.right(setting, scope)
        for leaf in LEAVES if setting.biases else ("dW1", "dW2"):
            assert close(right[leaf], differences(setting, scope, leaf[1:])), leaf


@every_setting
def test_wrong_lines_are_wrong_wherever_they_fit(setting):
    for step in STEPS:
        lines = wrong_lines(step, setting)
        assert len(lines) >= (0 if step[:2] == "db" and not setting.biases else 15)
        assert len({line.code for line in lines}) == len(lines)
        for line in lines:
            found = []
            for sizes in FITTING:
                try:
                    found.append(values(line, setting, sizes))
                except Misfit:
                    assert sizes != SQUARE, line.code
            assert {value.shape == right.shape for computed, right in found for value in computed} == {True}
            apart = max(distance(value, right) for computed, right in found for value in computed)
            assert apart > DIFFER, line.code


@pytest.mark.parametrize("setting", SETTINGS[::3], ids=str)
def test_no_two_rows_of_a_step_are_one_function(setting):
    for step in STEPS:
        seen = []
        for line in wrong_lines(step, setting):
            for sizes in (FITTING[0], SQUARE):
                try:
                    computed, _ = values(line, setting, sizes, seed=5)
                    break
                except Misfit:
                    pass
            for other, size, before in seen:
                same = size == sizes and other.literal == line.literal and np.array_equal(
                    np.round(computed, 9), np.round(before, 9)
                )  # fmt: skip
                small = np.abs(computed).max() < 1e-9  # a sum that cancels, beside the row that is zero
                assert not same or other.id == line.id or small, (other.code, line.code)
            seen.append((line, sizes, computed))


@pytest.mark.parametrize("setting", [SETTINGS[i] for i in (0, 5)], ids=str)
def test_lines_compute_the_same_in_floats_and_in_balls(setting):
    known = at(setting, Sizes(3, 5, 2, 4))
    with precision(256):
        exact = problem.right(setting, {name: exactly(known[name]) for name in INPUTS})
        for name in (*TRACE, *STEPS):
            np.testing.assert_allclose(floats(exact[name]), known[name], rtol=1e-10, atol=1e-13, err_msg=name)
        for line in (line for step in STEPS for line in wrong_lines(step, setting)):
            t = 0.3 if line.literal else None
            try:
                ours = line.compute(known, t)
            except Misfit:
                continue
            assert line.compute(exact, t).dtype == object
            np.testing.assert_allclose(floats(line.compute(exact, t)), ours, rtol=1e-8, atol=1e-11, err_msg=line.code)
        for forward in wrong_forwards(setting):
            try:
                ours, theirs = forward.compute(known, 0.3), forward.compute(exact, 0.3)
            except Misfit:
                continue
            for name in TRACE:
                np.testing.assert_allclose(
                    floats(theirs[name]), ours[name], rtol=1e-8, atol=1e-11, err_msg=forward.text
                )


@every_setting
def test_lines_with_a_constant_are_as_they_say(setting):
    for line in (line for step in STEPS for line in wrong_lines(step, setting)):
        assert not re.findall(r"\{(?!t\})", line.text), line.text
        assert ("t" in line.reads) == line.literal and (line.literal or "{t}" not in line.text), line.code
        assert line.literal or not line.affine
        if line.affine:
            known = at(setting, FITTING[0])
            none, one, two = (line.compute(known, t) for t in (0.0, 1.0, 2.0))
            np.testing.assert_allclose(two - one, one - none, rtol=1e-9, atol=1e-12, err_msg=line.code)
            assert distance(one - none, np.zeros_like(one)) > 0


@every_setting
def test_wrong_forward_passes_lead_to_other_gradients(setting):
    forwards = wrong_forwards(setting)
    assert len(forwards) >= 30
    for forward in forwards:
        apart = 0
        for sizes in (FITTING[0], SQUARE):
            known = at(setting, sizes)
            try:
                found = known | forward.compute(known, 0.3)
            except Misfit:
                assert sizes != SQUARE, forward.text
                continue
            for step, line in (problem.right_lines(setting) | forward.lines).items():
                found[step] = line.compute(found, 0.3)
            apart = max(apart, *(np.abs(found[leaf] - known[leaf]).max() for leaf in LEAVES))
        assert apart > DIFFER, forward.text
        assert not re.findall(r"\{(?!t\})", forward.text + forward.correction) and " = " in forward.correction


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


MSE, DEEP = Setting("quadratic", "sigmoid", "sum", "sigmoid"), Setting("quadratic", "identity", "sum")
BITS, SOFT = Setting("binary_cross_entropy", "identity", "sum"), Setting("cross_entropy", "identity", "sum")
# What people wrote, as they wrote it.
WRITTEN = [
    (DEEP, "dO1", "gradient_for_weight", lambda s: s["dO2"] @ s["dW2"]),
    (DEEP, "db1", "bias_from_weight_gradient", lambda s: s["dW1"].sum(1)),
    (DEEP, "db2", "wrong_axis", lambda s: np.full(s["b2"].shape, np.sum(s["dZ2"]))),
    (MSE, "dZ2", "derivative_of_error", lambda s: (s["O2"] - s["y"]) * (1 - (s["O2"] - s["y"]))),
    (MSE, "dZ2", "sigmoid_of_complement", lambda s: (s["O2"] - s["y"]) * sigmoid(1 - s["O2"])),
    (MSE, "dO1", "error_not_carried", lambda s: np.repeat((s["O2"] - s["y"]).sum(1, keepdims=True), 11, axis=1)),
    (MSE, "dZ1", "derivative_of_other_layer", lambda s: s["dO1"] * sigmoid(s["Z2"]) * (1 - sigmoid(s["Z2"]))),
    (SOFT, "dO2", "target_missing", lambda s: np.exp(s["O2"]) / np.exp(s["O2"]).sum(1, keepdims=True)),
    (SOFT, "dO2", "onehot_of_all", lambda s: _minus_columns(s["O2"], s["y"].argmax(1))),
    (SOFT, "dO2", "softmax_jacobian_sign", lambda s: _plus_off_the_diagonal(s["O2"], s["y"])),
    (BITS, "dO2", "one_term", lambda s: s["y"] * (sigmoid(s["O2"]) - 1)),
    (BITS, "dO2", "sum_of_targets", lambda s: sigmoid(s["O2"]) * s["y"].sum(1, keepdims=True) - s["y"]),
    (DEEP, "dZ1", "mask_missing", lambda s: s["dZ2"] @ s["W2"]),
    (DEEP, "dW2", "hadamard_for_product", lambda s: (s["dZ2"] * s["O1"]).T),
    (DEEP._replace(hidden="tanh"), "dZ1", "derivative_of_preactivation", lambda s: s["dO1"] * (1 - s["Z1"] ** 2)),
    (DEEP._replace(hidden="gelu"), "dZ1", "relu_derivative", lambda s: s["dO1"] * (s["Z1"] > 0)),
]  # fmt: skip


def _minus_columns(scores, labels):
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    p[:, labels] -= 1
    return p


def _plus_off_the_diagonal(scores, y):
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    jacobian = p[:, :, None] * p[:, None, :]
    i = np.arange(p.shape[1])
    jacobian[:, i, i] = p * (1 - p)
    return np.einsum("nij,nj->ni", jacobian, -y / p)


@pytest.mark.parametrize(("setting", "step", "cause", "written"), WRITTEN, ids=[f"{w[1]}-{w[2]}" for w in WRITTEN])
def test_what_people_write_is_in_the_catalogue(setting, step, cause, written):
    square = step == "dW2" or cause == "derivative_of_other_layer"
    scope = at(setting, SQUARE if square else FITTING[0])
    mine, named = written(scope), []
    for line in wrong_lines(step, setting):
        try:
            if not line.literal and np.allclose(line.compute(scope), mine, rtol=1e-9):
                named.append(line.id)
        except Misfit:
            pass
    assert named == [cause]


def test_an_example_s_own_step_is_solved_for():
    """W2 after each example's own step, before the error is carried through it."""
    scope = at(DEEP, FITTING[0])
    rows = [(scope["W2"] - 0.1 * np.outer(d, o)).T @ d for d, o in zip(scope["dZ2"], scope["O1"], strict=True)]
    lines = [line for line in wrong_lines("dO1", DEEP) if line.affine and np.allclose(line.compute(scope, 0.1), rows)]
    assert [line.id for line in lines] == ["updated_w2"] and "{t}" in lines[0].text


def test_edits_are_what_a_hand_gets_wrong():
    assert {(edit.kind, edit.formula) for edit in edits("O * (1 - O**2) + 3")} == {
        ("sign", "O * (1 - O ** 2) - 3"),
        ("sign", "O * (1 + O ** 2) + 3"),
        ("term", "O * (1 - O ** 2)"),
        ("term", "3"),
        ("term", "O * 1 + 3"),
        ("term", "O * -O ** 2 + 3"),
        ("factor", "O + 3"),
        ("factor", "1 - O ** 2 + 3"),
        ("exponent", "O * (1 - O) + 3"),
        ("constant", "O * (1 - O ** 2) + t"),
    }


def test_a_logarithm_to_another_base_is_named():
    with precision(256):
        constant = factors.constant(1 / flint.arb(2).log())
    [factor] = factors.factors([(constant, sizes) for sizes in FITTING[:2]])
    assert factor.text == "1/log(2)" and "base 2" in factor.sentence


@pytest.fixture
def from_outside(monkeypatch):
    """An activation and a loss of one entry each."""
    arctan = activations.Activation("arctan", value="np.arctan(Z)", derivative="1 / (1 + Z**2)")
    huber = problem.Loss(
        "the Huber loss",
        value="where(abs(O2 - y) <= 1, (O2 - y)**2 / 2, abs(O2 - y) - 1 / 2).sum(axis=1)",
        residual="clip(O2 - y, -1, 1)",
    )
    monkeypatch.setitem(activations.ACTIVATIONS, "arctan", arctan)
    monkeypatch.setitem(problem.LOSSES, "huber", huber)
    return Setting("huber", "arctan", "mean", "arctan")


def test_an_activation_and_a_loss_from_outside_have_right_and_wrong_lines(from_outside):
    test_right_lines_are_the_central_differences_of_the_loss(from_outside)
    test_wrong_lines_are_wrong_wherever_they_fit(from_outside)
    test_lines_with_a_constant_are_as_they_say(from_outside)
    test_wrong_forward_passes_lead_to_other_gradients(from_outside)
    texts = {line.text for step in STEPS for line in wrong_lines(step, from_outside)}
    assert "the derivative of arctan, 1 / (1 + Z1^2), is missing" in texts
    assert "the target y is left out of the residual clip(O2 - y, -1, 1)" in texts
    assert "a constant in the residual is {t}: clip(O2 - y, -t, t)" in texts or "dO2 is clipped at {t}" in texts
    assert "O2 - y belongs to the quadratic loss; the declared loss is Huber" in texts
    assert any("1 - Z1^2 stands where 1 + Z1^2 belongs" in text for text in texts)

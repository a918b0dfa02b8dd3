"""The line of an error: a line that is right given what came before it is not blamed."""

import numpy as np
import pytest

from twolayer.verification import verify
from twolayer.verification.evidence.calls import Call, named
from twolayer.verification.problem import Setting
from twolayer.verification.programs.load import Loaded
from twolayer.verification.rounding.as_it_stands import check_program

HEAD = """import numpy as np


def slope(v):
    return v * (1 - v)


def linear_backward(dZ, A, W):
    db = dZ.sum(axis=0){mean}
    return dZ @ W, dZ.T @ A, db


def gradients(params, x, y):
    m = len(x)
    h = 1 / (1 + np.exp(-(x @ params.W1.T + params.b1)))
    s = 1 / (1 + np.exp(-(h @ params.W2.T + params.b2)))
"""


def place(tmp_path, body, mean="", loss="quadratic", output="sigmoid"):
    """First line, last line and cause of the first error."""
    path = tmp_path / "homework.py"
    text = HEAD.format(mean=mean) + body
    path.write_text(text)
    found = verify(str(path), loss=loss, output=output, activation="sigmoid", precisions=(), counterexample=False)
    first = found.causes[0]
    lines = text.splitlines()
    return first.id, first.since and lines[first.since - 1].strip(), lines[first.line - 1].strip()


def test_a_helper_that_is_right_elsewhere_is_not_blamed_but_its_caller(tmp_path):
    body = """    e = (s - y) / m
    d2 = slope(e)
    d1 = (d2 @ params.W2) * slope(h)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": d2.T @ h, "db2": d2.sum(0)}
"""
    assert place(tmp_path, body) == ("derivative_of_error", None, "d2 = slope(e)")


def test_a_helper_that_is_wrong_for_both_layers_is_blamed(tmp_path):
    body = """    d2 = (s - y) / m * slope(s)
    dh, dW2, db2 = linear_backward(d2, h, params.W2)
    d1 = dh * slope(h)
    dx, dW1, db1 = linear_backward(d1, x, params.W1)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
"""
    assert place(tmp_path, body, " / len(dZ)") == ("reduction", None, "db = dZ.sum(axis=0) / len(dZ)")


def test_an_assignment_that_changes_nothing_is_the_line(tmp_path):
    body = """    d2 = (s - y) / m
    d2[s < 0] = 0
    d1 = (d2 @ params.W2) * slope(h)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": d2.T @ h, "db2": d2.sum(0)}
"""
    assert place(tmp_path, body) == ("derivative_missing", None, "d2[s < 0] = 0")


def test_where_a_line_reads_what_is_not_known_a_range_is_said(tmp_path):
    body = """    da = -y / s / m
    d2 = da * s * (1 - s)
    d1 = (d2 @ params.W2) * slope(h)
    return {"dW1": d1.T @ x, "db1": d1.sum(0), "dW2": d2.T @ h, "db2": d2.sum(0)}
"""
    found = place(tmp_path, body, loss="binary_cross_entropy", output="identity")
    assert found == ("one_term", "s = 1 / (1 + np.exp(-(h @ params.W2.T + params.b2)))", "d2 = da * s * (1 - s)")


def test_a_probability_that_is_right_is_not_blamed_for_a_missing_target(tmp_path):
    body = """    d2 = s
    d2 / m
    d1 = (d2 @ params.W2) * slope(h)
    return {"dW1": d1.T @ x / m, "db1": d1.mean(0), "dW2": d2.T @ h / m, "db2": d2.mean(0)}
"""
    found = place(tmp_path, body, loss="binary_cross_entropy", output="identity")
    assert found == ("target_missing", None, "d2 = s")


def test_a_factor_in_the_leaves_is_not_blamed_on_a_delta_that_is_right(tmp_path):
    body = """    d2 = (s - y) / m * slope(s)
    d1 = (d2 @ params.W2) * slope(h)
    dW2, db2 = d2.T @ h, d2.sum(0)
    dW1 = d1.T @ x{layer1}
    db1 = d1.sum(0){layer1}
    return {{"dW1": dW1, "db1": db1, "dW2": dW2{layer2}, "db2": db2{layer2}}}
"""
    first_layer = body.format(layer1=" / m", layer2="")
    assert place(tmp_path, first_layer) == ("reduction", None, "dW1 = d1.T @ x / m")
    last = 'return {"dW1": dW1, "db1": db1, "dW2": dW2 * 0.05, "db2": db2 * 0.05}'
    assert place(tmp_path, body.format(layer1=" * 0.05", layer2=" * 0.05")) == ("scale", None, last)


def test_the_last_value_of_a_loop_is_no_sum_over_its_examples(tmp_path):
    body = """    dW1, db1, dW2, db2 = (np.zeros_like(p) for p in params)
    for i in range(m):
        e2 = (s[i] - y[i]) * slope(s[i])
        e1 = (params.W2.T @ e2) * slope(h[i])
        dW2 += np.outer(e2, h[i]) / m
        db2 += e2 / m
        dW1 += np.outer(e1, x[i]) / m
        db1 = e1 / m
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
"""
    assert place(tmp_path, body) == ("one_example", None, "db1 = e1 / m")


BY_PROBABILITY = """    dA = -(y / s - (1 - y) / (1 - s))
    dZ = dA * {slope} / m
    dW2, db2 = dZ.T @ h, dZ.sum(axis=0)
    dH = (dZ @ params.W2) * h * (1 - h)
    return {{"dW1": dH.T @ x, "db1": dH.sum(axis=0), "dW2": dW2, "db2": db2}}
"""


@pytest.mark.parametrize(
    ("written", "cause"),
    [
        ("slope(1 / (1 + np.exp(-s)))", "derivative_of_output"),
        ("s", "output_for_derivative"),
        ("(1 - s)", "output_for_derivative"),
        ("1", "derivative_missing"),
    ],
)
def test_the_derivative_by_the_probabilities_is_right_and_the_line_after_it_is_wrong(tmp_path, written, cause):
    found = place(tmp_path, BY_PROBABILITY.format(slope=written), loss="binary_cross_entropy", output="identity")
    assert found == (cause, None, f"dZ = dA * {written} / m")


COLUMNS = """import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gradients(W1, b1, W2, b2, X, Y):
    X, Y = X.T, Y.T
    m = X.shape[1]
    Z1 = np.dot(W1, X) + b1.reshape(-1, 1)
    A1 = np.tanh(Z1)
    A2 = sigmoid(np.dot(W2, A1) + b2.reshape(-1, 1))
    dZ2 = A2 - Y
    dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dA1 = np.dot(W2.T, dZ2)
    dZ1 = np.multiply(dA1, 1 - np.power(A1, 2))
    return np.dot(dZ1, X.T) / m, np.sum(dZ1, axis=1, keepdims=True) / m, dW2, db2
"""
LOOP = """import numpy as np


def f(x):
    return 1.0 / (1.0 + np.exp(-x))


def slope(x):
    return f(x) * (1 - f(x))


def gradients(params, X, Y):
    W1, b1, W2, b2 = params
    sum_W1, sum_b1, sum_W2, sum_b2 = (np.zeros(p.shape) for p in params)
    for i in range(len(X)):
        z2 = W1.dot(X[i]) + b1
        h2 = f(z2)
        z3 = W2.dot(h2) + b2
        delta3 = (f(z3) - Y[i]) * slope(z3)
        delta2 = np.dot(W2.T, delta3) * slope(z2)
        sum_W2 += np.outer(delta3, h2)
        sum_W1 += np.outer(delta2, X[i])
        sum_b2 += delta3
        sum_b1 += delta2
    n = len(X)
    return sum_W1 / n, sum_b1 / n, sum_W2 / n, sum_b2 / n
"""
SCORES = """import numpy as np


def gradients(params, x, y):
    N, labels = x.shape[0], y.argmax(axis=1)
    hidden = np.maximum(0, x.dot(params.W1.T) + params.b1)
    scores = hidden.dot(params.W2.T) + params.b2
    shifted = scores - scores.max(axis=1, keepdims=True)
    sums = np.exp(shifted).sum(axis=1, keepdims=True)
    probs = np.exp(shifted) / sums
    d = probs.copy()
    d[np.arange(N), labels] -= 1
    d /= N
    dW2, db2 = d.T.dot(hidden), d.sum(axis=0)
    dh = d.dot(params.W2)
    dh[hidden == 0] = 0
    return dh.T.dot(x), dh.sum(axis=0), dW2, db2
"""
EXAMPLES = """import numpy as np


def sig(t):
    return 1 / (1 + np.exp(-t))


def of_one(W1, b1, W2, b2, x, y):
    out1 = sig(W1 @ x + b1)
    out2 = sig(W2 @ out1 + b2)
    error = out2 - y
    d_net2 = error * out2 * (1 - out2)
    d_out1 = W2.T @ d_net2
    d_net1 = d_out1 * out1 * (1 - out1)
    g_W1 = np.outer(d_net1, x)
    return g_W1, d_net1, np.outer(d_net2, out1), d_net2


def gradients(params, X, Y):
    total = [np.zeros_like(p) for p in params]
    for x, y in zip(X, Y):
        for t, g in zip(total, of_one(*params, x, y)):
            t += g
    return [t / len(X) for t in total]
"""
STYLES = {
    EXAMPLES: {"loss": "quadratic", "output": "sigmoid", "activation": "sigmoid"},
    COLUMNS: {"loss": "binary_cross_entropy", "output": "identity", "activation": "tanh"},
    LOOP: {"loss": "quadratic", "output": "sigmoid", "activation": "sigmoid"},
    SCORES: {"loss": "cross_entropy", "output": "identity"},
}
WRONG = {  # text, what stands there instead, the cause and the line it is told at, if it is another
    "probabilities are carried back": (COLUMNS, "np.dot(W2.T, dZ2)", "np.dot(W2.T, A2)", "output_for_cotangent"),
    "another hidden activation": (COLUMNS, "np.tanh(Z1)", "sigmoid(Z1)", "other_activation"),
    "the last share of a sum": (LOOP, "sum_W1 +=", "sum_W1 =", "one_example"),
    "a sum of dO1": (LOOP, "sum_b1 += delta2", "sum_b1 += np.dot(W2.T, delta3)", "unmasked_cotangent"),
    "a loop from 1": (LOOP, "range(len(X))", "range(1, len(X))", "one_example"),
    "a mistyped slope": (LOOP, "(1 - f(x))", "(1 + f(x))", "derivative_sign"),
    "the activation twice": (LOOP, "np.outer(delta3, h2)", "np.outer(delta3, f(h2))", "activation_twice"),
    "y / m": (SCORES, "labels] -= 1", "labels] -= 1 / N", "target_scaled"),
    "y is not divided": (SCORES, "d[np.arange(N), labels] -= 1\n    d /= N", "d /= N\n    d[np.arange(N), labels] -= 1",
        "target_scaled", "d[np.arange(N), labels] -= 1"),
    "probs, not d": (SCORES, "dh = d.dot", "dh = probs.dot", "output_for_cotangent"),
    "another divisor": (SCORES, "d /= N", "d /= N * y.shape[1]", "classes"),
    "a share of an example": (EXAMPLES, "np.outer(d_net1, x)", "np.outer(d_out1, x)", "unmasked_cotangent"),
    "a sum that is subtracted": (EXAMPLES, "t += g", "t -= g", "sign"),
    "a divisor at the end": (EXAMPLES, "t / len(X)", "t / (len(X) - 1)", "reduction"),
    "O1 for x": (EXAMPLES, "np.outer(d_net1, x)", "np.outer(d_net1, out1)", "activation_for_input"),
    "half a shift": (SCORES, "np.exp(shifted).sum", "np.exp(scores).sum", "max_shift",
        "probs = np.exp(shifted) / sums"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_at_the_line_where_it_is_made(tmp_path, name):
    text, old, new, cause, *elsewhere = WRONG[name]
    path = tmp_path / "homework.py"
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    found = verify(str(path), precisions=(), counterexample=False, **STYLES[text])
    assert found.causes[0].id == cause
    assert found.line == elsewhere[0] if elsewhere else new in found.line


@pytest.mark.parametrize("text", STYLES)
def test_as_they_stand_they_are_right(tmp_path, text):
    path = tmp_path / "homework.py"
    path.write_text(text)
    assert verify(str(path), precisions=(), **STYLES[text]).verdict == "right"


DECAY = """import numpy as np


def outputs(params, x):
    h = np.tanh(x @ params.W1.T + params.b1)
    return h, h @ params.W2.T + params.b2


def loss(params, x, y):
    return ((outputs(params, x)[1] - y) ** 2).sum() / len(x) / 2 + 0.05 * (params.W2**2).sum()


def gradients(params, x, y):
    h, o = outputs(params, x)
    d2 = (o - y) / len(x)
    d1 = (d2 @ params.W2) * (1 - h**2)
    dW2 = d2.T @ h
    dW2 += LAMBDA * params.W2
    return (d1.T @ x, d1.sum(0)), (dW2, d2.sum(0))
"""


@pytest.mark.parametrize(
    ("stated", "decay", "line", "said", "right"),
    [
        (
            "0.05",
            "0.2",
            "dW2 += 0.2 * params.W2",
            "the L2 term gives 0.2 W2; the derivative of that of the loss is 0.1 W2",
            "0.1 * W2",
        ),
        ("0.05", "0", "dW2 = d2.T @ h", "the L2 term of the loss is missing: its derivative is 0.1 W2", "0.1 * W2"),
        (
            "0.05 / len(x)",
            "0.1",
            "dW2 += 0.1 * params.W2",
            "the L2 term is m times that of the loss, whose derivative is 0.1/m W2",
            "0.1/m * W2",
        ),
    ],
)
def test_a_wrong_l2_term_is_held_against_that_of_the_own_loss(tmp_path, stated, decay, line, said, right):
    path = tmp_path / "homework.py"
    path.write_text(DECAY.replace("0.05", stated).replace("LAMBDA", decay))
    found = verify(str(path), output="identity", activation="tanh", precisions=(), counterexample=False)
    (cause,) = found.causes
    assert (cause.id, cause.leaf, found.line, cause.text) == ("phantom_l2", "dW2", line, said)
    assert cause.correction.endswith(f" + {right}")


@pytest.mark.parametrize("pairs", ["(a, b), (c, d)", "[a, c], [b, d]", "([b, d], [a, c])"])
def test_leaves_in_pairs_are_told_by_their_axes(pairs):
    a, b, c, d = (np.full(shape, i) for i, shape in enumerate([(3, 2), (3,), (2, 3), (2,)]))
    found = named(eval(pairs, {"a": a, "b": b, "c": c, "d": d}))
    assert [int(found[leaf].flat[0]) for leaf in ("dW1", "db1", "dW2", "db2")] == [0, 1, 2, 3]


@pytest.mark.parametrize(("cast", "verdict"), [("float32", "right"), ("float16", "wrong")])
def test_code_that_casts_to_float32_is_held_to_that(tmp_path, cast, verdict):
    path = tmp_path / "homework.py"
    path.write_text(DECAY.replace("LAMBDA", "0.1").replace("(o - y)", f'(o - y).astype("{cast}")'))
    setting = Setting("quadratic", "identity", "mean", "tanh")
    (found,) = check_program(Loaded(str(path)).program("gradients"), setting, ("float64",), call=Call())
    assert found.verdict == verdict

"""The line that mends a derivation of the two-layer network, where no line of the catalogue explains what is wrong."""

import numpy as np
import pytest

from twolayer.verification import verify, verify_gradient

HEAD = """import numpy as np


def gradients(params, x, y):
    Z1 = x @ params.W1.T + params.b1
    O1 = np.tanh(Z1)
    O2 = 1 / (1 + np.exp(-(O1 @ params.W2.T + params.b2)))
"""
TAIL = '    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}\n'
RIGHT = {
    "dZ2": "dZ2 = (O2 - y) * O2 * (1 - O2)",
    "dO1": "dO1 = dZ2 @ params.W2",
    "dZ1": "dZ1 = dO1 * (1 - O1**2)",
}
# A wrong line, the step that it makes, and a part of what is said of it.
MISTAKES = {
    "brackets": ("dZ1", "dZ1 = dO1 * (1 - O1) ** 2", "`1 - O1 ** 2`"),
    "square": ("dZ1", "dZ1 = dO1 * np.square(1 - O1)", "`1 - np.square(O1)`"),
    "multiplied out": ("dZ1", "dZ1 = dO1 - O1**2", "dO1"),
    "a function too many": ("dO1", "dO1 = dZ2 @ np.sinh(params.W2)", "`params.W2`"),
}


def verdict_on(tmp_path, text, **options):
    path = tmp_path / "homework.py"
    path.write_text(text)
    given = {"loss": "quadratic", "output": "sigmoid", "activation": "tanh", "reduction": "sum", "precisions": ()}
    return verify(str(path), **given | options)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_line_is_named_with_what_it_should_be(name, tmp_path):
    step, wrong, said = MISTAKES[name]
    body = "".join(f"    {wrong if one == step else line}\n" for one, line in RIGHT.items())
    found = verdict_on(tmp_path, HEAD + body + TAIL)
    assert (found.verdict, found.first_wrong_step, found.line) == ("wrong", step, wrong)
    assert said in found.causes[0].text
    assert all(one.verdict in ("right", "wrong") for one in found.steps.values())
    assert [name for name, one in found.steps.items() if one.verdict == "wrong"] == [step]


LOOPS = """import math


def gradients(params, x, y):
    W1, b1, W2, b2 = params.W1, params.b1, params.W2, params.b2
    m, d, K, C = len(x), len(W1[0]), len(W1), len(W2)
    dW1, db1 = [[0.0] * d for _ in range(K)], [0.0] * K
    dW2, db2 = [[0.0] * K for _ in range(C)], [0.0] * C
    for i in range(m):
        h = [math.tanh(sum(W1[k][j] * x[i][j] for j in range(d)) + b1[k]) for k in range(K)]
        e = [sum(W2[c][k] * h[k] for k in range(K)) + b2[c] - y[i][c] for c in range(C)]
        for c in range(C):
            db2[c] += e[c]
            for k in range(K):
                dW2[c][k] += e[c] * h[k]
        back = 0.0
        for k in range(K):
            {reset}
            for c in range({start}, C):
                back += e[c] * W2[c][k]
            delta = back * (1 - h[k] ** 2)
            db1[k] += delta
            for j in range(d):
                dW1[k][j] += delta * x[i][j]
    return {{"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}}
"""


def test_code_that_raises_at_small_sizes_is_mended_at_others(tmp_path):
    body = "".join(f"    {line}\n" for line in RIGHT.values()).replace("(1 - O1**2)", "(1 - O1) ** 2")
    found = verdict_on(tmp_path, HEAD + "    assert x.shape[1] > 2, 'too few inputs'\n" + body + TAIL)
    assert found.causes[0].text == "`(1 - O1) ** 2` should be `1 - O1 ** 2`"


def test_a_mistake_in_a_loop_over_units_names_the_expression(tmp_path):
    text = LOOPS.format(reset="back = 0.0", start="1")
    found = verdict_on(tmp_path, text, output="identity")
    assert found.line == "for c in range(1, C):"
    assert "`range(1, C)` should be `range(0, C)`" in found.causes[0].text


def test_a_sum_that_is_not_begun_anew_for_each_unit(tmp_path):
    text = LOOPS.format(reset="", start="0")
    found = verdict_on(tmp_path, text, output="identity")
    assert found.line == "back += e[c] * W2[c][k]"
    assert found.causes[0].text == "`back` is not set to zero again before the loop over c"
    assert verdict_on(tmp_path, LOOPS.format(reset="back = 0.0", start="0"), output="identity").verdict == "right"


def test_an_integer_division_is_not_called_a_zero_alone(tmp_path):
    text = HEAD + "".join(f"    {line}\n" for line in RIGHT.values()) + TAIL
    text = text.replace("dZ2 = (O2 - y)", "dZ2 = (1 // len(x)) * (O2 - y)")
    found = verdict_on(tmp_path, text, reduction="mean")
    assert found.causes[0].text == "`1 // len(x)` should be `1 / len(x)`"


def test_an_update_that_is_thrown_away_leaves_the_mask_out(tmp_path):
    text = """import jax.numpy as jnp


def gradients(params, x, y):
    z1 = x @ params.W1.T + params.b1
    o1 = jnp.maximum(z1, 0)
    e = (o1 @ params.W2.T + params.b2 - y) / x.shape[0]
    dz1 = e @ params.W2
    dz1.at[z1 <= 0].set(0.0)
    return {"dW1": dz1.T @ x, "db1": dz1.sum(0), "dW2": e.T @ o1, "db2": e.sum(0)}
"""
    options = {"output": "identity", "activation": "relu", "reduction": "mean"}
    assert verdict_on(tmp_path, text, **options).causes[0].id == "mask_missing"
    assert verdict_on(tmp_path, text.replace("    dz1.at", "    dz1 = dz1.at"), **options).verdict == "right"


def test_units_taken_for_examples_are_judged_where_there_are_enough_examples(tmp_path):
    text = """import numpy as np


def gradients(params, x, y):
    dW1, db1 = np.zeros(params.W1.shape), np.zeros(params.b1.shape)
    dW2, db2 = np.zeros(params.W2.shape), np.zeros(params.b2.shape)
    for i in range(len(x)):
        h = np.tanh(params.W1 @ x[i] + params.b1)
        e = params.W2 @ h + params.b2 - y[i]
        dW2 += np.outer(e, h)
        db2 += e
        back = (e @ params.W2) * (1 - h**2)
        db1 += back
        for k in range(len(h)):
            dW1[k] += back[k] * x[k]
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
"""
    found = verdict_on(tmp_path, text, output="identity")
    assert (found.verdict, found.line) == ("wrong", "dW1[k] += back[k] * x[k]")
    assert any("m=11" in note for note in found.notes)


def test_the_line_is_named_by_a_loss_that_cannot_be_declared(tmp_path):
    text = """import numpy as np


def run(params, x):
    h = np.tanh(x @ params.W1.T + params.b1)
    return h, h @ params.W2.T + params.b2


def loss(params, x, y):
    r = run(params, x)[1] - y
    return np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5).sum() / len(x)


def gradients(params, x, y):
    h, out = run(params, x)
    r = out - y
    dO = np.where(r <= 1, r, np.sign(r)) / len(x)
    dH = dO @ params.W2
    dZ = dH * (1 - h**2)
    return {"dW1": dZ.T @ x, "db1": dZ.sum(0), "dW2": dO.T @ h, "db2": dO.sum(0)}
"""
    found = verdict_on(tmp_path, text, loss=None, output="identity")
    assert (found.first_wrong_step, found.line) == ("dO2", "dO = np.where(r <= 1, r, np.sign(r)) / len(x)")
    assert "`r` should be `abs(r)`" in found.causes[0].text
    right = verdict_on(tmp_path, text.replace("np.where(r <= 1", "np.where(abs(r) <= 1"), loss=None, output="identity")
    assert right.verdict == "right"


def test_probabilities_are_blamed_where_they_are_set_and_not_what_they_are_made_of(tmp_path):
    text = """import numpy as np


def gradients(params, x, y):
    h = np.maximum(0, x @ params.W1.T + params.b1)
    scores = h @ params.W2.T + params.b2
    exps = np.exp(scores)
    probs = exps / np.sum(exps)
    d = (probs - y) / len(x)
    dh = d @ params.W2
    dh[h <= 0] = 0
    return {"dW1": dh.T @ x, "db1": dh.sum(0), "dW2": d.T @ h, "db2": d.sum(0)}
"""
    options = {"loss": "cross_entropy", "output": "identity", "activation": "relu", "reduction": "mean"}
    assert verdict_on(tmp_path, text, **options).line == "probs = exps / np.sum(exps)"


def transitions(T, tags):
    return -T[tags[:-1], tags[1:]].sum()


def counted_once(T, tags):
    dT = np.zeros(T.shape)
    dT[tags[:-1], tags[1:]] -= 1
    return dT


def counted_each(T, tags):
    dT = np.zeros(T.shape)
    for t in range(len(tags) - 1):
        dT[tags[t], tags[t + 1]] -= 1
    return dT


def test_labels_occur_together_more_than_once():
    question = {"T": "k k", "tags": "n>=3"}, {"argnums": 0, "domains": {"tags": "labels:k"}}
    assert verify_gradient(transitions, counted_each, question[0], **question[1]).verdict == "right"
    wrong = verify_gradient(transitions, counted_once, question[0], **question[1])
    assert wrong.verdict == "wrong"
    assert wrong.line == "dT[tags[:-1], tags[1:]] -= 1"


def pairs(s, rank):
    total = 0
    for i in range(len(s)):
        for j in range(len(s)):
            if rank[i] > rank[j]:
                total = total + np.log1p(np.exp(s[j] - s[i]))
    return total


def with_ties(s, rank):
    better = rank[:, None] >= rank[None, :]
    slope = -1.0 * better / (1 + np.exp(s[:, None] - s[None, :]))
    return {"s": slope.sum(axis=1) - slope.sum(axis=0)}


def without_ties(s, rank):
    better = rank[:, None] > rank[None, :]
    slope = -1.0 * better / (1 + np.exp(s[:, None] - s[None, :]))
    return {"s": slope.sum(axis=1) - slope.sum(axis=0)}


def test_a_tie_in_what_is_given_is_no_kink():
    shapes = {"s": "n", "rank": "n"}
    assert verify_gradient(pairs, without_ties, shapes).verdict == "right"  # a sum of nothing is the whole number 0
    assert verify_gradient(pairs, with_ties, shapes).verdict == "wrong"

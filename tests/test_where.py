"""The line of an error: a line that is right given what came before it is not blamed."""

from twolayer.verification import verify

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

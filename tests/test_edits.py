"""The edits of a user's code: what is put in the place of an expression, and what may stand there."""

import ast

import numpy as np
import pytest

from twolayer.verification.explain.blame import Numbers
from twolayer.verification.explain.repairs.pool import Pool, bracketed, is_number, with_parts
from twolayer.verification.explain.repairs.sites import Edited
from twolayer.verification.explain.repairs.stages import edits
from twolayer.verification.programs.numpy_code import from_function

A, B = np.array([[0.3, 1.7], [0.9, -0.4]]), np.array([[1.1, 0.2], [-0.6, 0.8]])


def bracket_left_out(a, b):
    return a * b - a


def square_of_all(a, b):
    return np.square(1 - a) * b


def constant_outside(a, b):
    return np.exp(a) + b


def product_of_sums(a, b):
    return a.sum() * b.sum()


def compared_last(a, b):
    return a * b > 0


def diagonal_alone(a, b):
    return a * (1 - a) * b


def wrong_axis(a, b):
    return a.sum(axis=0) + b


def from_the_second(a, b):
    total = 0.0
    for i in range(1, 2):
        total = total + (a[i] * b[i]).sum()
    return total


def goes_on(a, b):
    out, part = [], 0.0
    for i in range(2):
        for j in range(2):
            part += a[i, j] * b[i, j]
        out.append(part)
    return np.array(out)


EDITS = [
    (bracket_left_out, "a * b - a", "a * (b - a)"),
    (square_of_all, "np.square(1 - a)", "1 - np.square(a)"),
    (constant_outside, "np.exp(a) + b", "np.exp(a + b)"),
    (product_of_sums, "a.sum() * b.sum()", "(a * b).sum()"),
    (compared_last, "a * b > 0", "a * (b > 0)"),
    (diagonal_alone, "a * (1 - a) * b", "a * (b - (a * b).sum(axis=1, keepdims=True))"),
    (wrong_axis, "a.sum(axis=0)", "a.sum(axis=1)"),
    (from_the_second, "1", "0"),
    (from_the_second, "range(1, 2)", "list(__v__)[::-1]"),
    (goes_on, "a[i, j] * b[i, j]", "__v__ - part * (j == 0)"),
    (bracket_left_out, "a", "b"),
    (bracket_left_out, "a * b", "a / b"),
    (bracket_left_out, "a * b - a", "__c__ * __v__"),
    (bracket_left_out, "a", "__v__.T"),
]


def tried(function):
    """The edits of a function at A and B, and its expressions."""
    edited = Edited(from_function(function))
    _, seen = edited.values(lambda: edited.function(A, B))
    pool = Pool(edited.sites, [seen], [0, 1, 2], Numbers([]), "np")
    return list(edits(edited.sites, pool, lambda site: True)), edited


@pytest.mark.parametrize(("function", "old", "new"), EDITS, ids=[f"{f.__name__} {new}" for f, _, new in EDITS])
def test_what_people_mean_is_among_the_edits(function, old, new):
    found, edited = tried(function)
    assert (old, new) in {(edited.sites[edit.site].text, edit.text) for edit in found}


def test_few_changes_are_tried_first():
    stages = [edit.stage for edit in tried(bracket_left_out)[0]]
    assert stages.index(2) < stages.index(3) < stages.index(5)


def test_an_edit_changes_one_expression_in_all_of_its_runs_and_then_no_more():
    _, edited = tried(goes_on)
    site = next(i for i, one in enumerate(edited.sites) if one.text == "a[i, j] * b[i, j]")
    plain = goes_on(A, B)
    twice = edited.under(site, "__c__ * __v__", 2.0, [], lambda: edited.function(A, B))
    np.testing.assert_allclose(twice, 2 * plain)
    anew = edited.under(site, "__v__ - part * (j == 0)", 1.0, [], lambda: edited.function(A, B))
    np.testing.assert_allclose(anew, (A * B).sum(axis=1))
    np.testing.assert_array_equal(edited.function(A, B), plain)


def test_texts_of_expressions():
    assert (bracketed("a + b"), bracketed("a[0]")) == ("(a + b)", "a[0]")
    assert is_number(ast.parse("-3", mode="eval").body)
    assert not is_number(ast.parse("a", mode="eval").body)
    product = ast.parse("a * b", mode="eval").body
    assert with_parts(product, {product.left: "c"}) == "c * b"

"""The search for an edit of a user's code: which edits each stage has, which of them hold, and how they are said."""

import math

import numpy as np
import pytest

from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import Again, At, Compared, Question
from twolayer.verification.evidence.shapes import arguments
from twolayer.verification.explain.anywhere import locate
from twolayer.verification.explain.blame import Numbers
from twolayer.verification.explain.repairs.additions import factors, pairs, removed, terms
from twolayer.verification.explain.repairs.exchanges import accumulated, exchanged, parts, scaled
from twolayer.verification.explain.repairs.needed import place
from twolayer.verification.explain.repairs.numbers import constants, counts, other_axes
from twolayer.verification.explain.repairs.pool import Pool
from twolayer.verification.explain.repairs.runs import distance
from twolayer.verification.explain.repairs.search import Repairs
from twolayer.verification.explain.repairs.sites import Edited
from twolayer.verification.explain.repairs.words import told
from twolayer.verification.numbers.balls import balls, floats, precision
from twolayer.verification.programs import Refused
from twolayer.verification.programs.numpy_code import from_function

A, B = np.array([[0.3, 1.7, 0.6], [0.9, -0.4, 1.2]]), np.array([[1.1, 0.2, -0.7], [-0.6, 0.8, 0.5]])


def expressions(a, b):
    mask = a > 0.5
    small = np.clip(a, -2, 2)
    total = (a * b).sum(axis=0)
    part = a[:, 1:3] + 2.5
    power = a**5
    both = np.exp(a) + b
    ratio = a / b
    out = np.zeros(3)
    for i in range(2):
        out[:] = out + a[i]
    bare = 0.0
    for i in range(2):
        bare += a[i].sum()
    inner = a[0] @ b[0]
    return mask * small, total, part, power, both, ratio, out, bare, inner


def site_of(text):
    """The first expression of that text, its number and value, and what is at hand."""
    edited = Edited(from_function(expressions))
    _, seen = edited.values(lambda: edited.function(A, B))
    pool = Pool(edited.sites, [seen], [0.5, -0.5, 1, 2], Numbers([]), "np")
    i = next(i for i, site in enumerate(edited.sites) if site.text == text)
    return i, edited.sites[i], pool.at(i), pool


def texts(stage, text):
    """What a stage puts in the place of an expression, with the ids."""
    return {edit.text: edit.id for edit in stage(*site_of(text))}


@pytest.mark.parametrize(
    ("stage", "old", "found"),
    [
        (constants, "a > 0.5", {"__v__ == False": "derivative", "a < 0.5": "mask", "a >= 0.5": "mask"}),
        (constants, "0.5", {"-0.5": "sign", "1": "derivative", "2": "derivative"}),
        (constants, "5", {"6": "other_factor", "4": "other_factor", "-5": "sign", "2.5": "other_factor"}),
        (constants, "2.5", {"__c__": "literal"}),
        (constants, "np.clip(a, -2, 2)", {"np.clip(a, -(1), (1))": "clip", "np.clip(a, -(0.5), (0.5))": "clip"}),
        (constants, "a[:, 1:3]", {"a[:, 0:0 + __v__.shape[1]]": "part", "a[:, 1:1 + __v__.shape[1]]": "part"}),
        (scaled, "a ** 5", {"__c__ * __v__": "factor", "__c__ * a**4": "derivative", "__c__ * a**6": "derivative"}),
        (scaled, "b", {"__c__ * __v__": "factor"}),
        (exchanged, "a", {"b": "other_factor", "__v__.T": "transposed", "__v__[::-1]": "other_factor"}),
        (exchanged, "(a * b).sum(axis=0)", {"(a * b).mean(axis=0)": "other_factor"}),
        (exchanged, "a[0] @ b[0]", {"np.outer(a[0], b[0])": "other_factor"}),
        (exchanged, "a[i]", {"b[i]": "other_factor", "a": "part", "a[:, None]": "part"}),
        (parts, "a / b", {"a * b": "other_factor", "b / a": "other_factor", "a": "other_factor"}),
        (parts, "np.exp(a) + b", {"np.exp(a + b)": "other_factor", "abs(__v__)": "other_factor"}),
        (accumulated, "a ** 5", {"power + __v__": "path_missing"}),
        (accumulated, "out + a[i]", {"out[:] + __v__": "path_missing", "__c__ * out[:]": "other_factor"}),
        (accumulated, "a[i].sum()", {"__v__ - bare * (i == 0)": "other_factor"}),
        (factors, "a ** 5", {"__v__ * b": "other_factor", "__v__ * mask": "derivative_missing",
                             "__v__ / b": "other_factor",
                             "__v__ * (1 - a**2)": "derivative_missing", "__v__ * ((a > 0))": "derivative_missing"}),
        (pairs, "a ** 5", {"__v__ * (a == b)": "derivative_missing", "__v__ * np.exp(a - b)": "other_factor"}),
        (terms, "a ** 5", {"__v__ + __c__ * (b)": "path_missing", "__v__ + __c__ * (b * b)": "path_missing"}),
        (terms, "np.exp(a)", {"__v__ + __c__ * (1)": "path_missing"}),
        (removed, "np.exp(a)", {"0 * __v__": "extra_term"}),
    ],
    ids=lambda v: getattr(v, "__name__", v if isinstance(v, str) else ""),
)  # fmt: skip
def test_a_stage_has_the_edits_of_its_kind(stage, old, found):
    assert found.items() <= texts(stage, old).items()


def test_stages_put_in_nothing_that_does_not_fit():
    assert texts(removed, "a ** 5") == {} and "__c__ * __v__" not in texts(scaled, "2.5")
    assert "__v__ / __c__" in texts(scaled, "b") or site_of("b")[1].parent.op.__class__.__name__ == "Mult"
    assert texts(pairs, "0.5") == {} and "__v__ + __c__ * (b * b)" not in texts(terms, "np.exp(a)")
    assert "a" not in texts(exchanged, "a") and "bare" not in texts(exchanged, "a")
    edited = Edited(from_function(expressions))
    for text in texts(pairs, "a ** 5"):
        i = site_of("a ** 5")[0]
        assert edited.under(i, text, 0.5, [], lambda: edited.function(A, B))[3].shape == A.shape, text


@pytest.mark.parametrize(
    ("text", "is_index"), [("1", True), ("range(2)", False), ("i", True), ("2.5", False), ("3", True), ("0.5", False)]
)
def test_indices_bounds_and_lengths_are_told_from_other_numbers(text, is_index):
    assert counts(site_of(text)[1]) == is_index


def test_other_axes_of_a_call():
    i, site, _, pool = site_of("(a * b).sum(axis=0)")
    assert {edit.text for edit in other_axes(i, site, pool)} == {"(a * b).sum(axis=1)", "(a * b).sum(axis=(0, 1))"}
    i, site, _, pool = site_of("np.exp(a)")
    assert list(other_axes(i, site, pool)) == []


# Runs: the code on floats beside what is right.


@pytest.mark.parametrize(
    ("a", "b", "scale", "found"),
    [([1, 2], [1, 4], None, 0.5), ([1, 2], [1, 4], [8], 0.25), ([], [], None, 0), ([math.nan], [1], None, math.inf),
     ([0], [0], None, 0), ([1], [1], [math.nan], 0)],
)  # fmt: skip
def test_the_distance_of_arrays_is_relative(a, b, scale, found):
    scale = None if scale is None else np.array(scale, float)
    assert distance(np.array(a, float), np.array(b, float), scale) == found


def right(x, y):
    z = np.tanh(x * y)
    return {"dx": y * (1 - z**2), "dy": x * (1 - z**2)}


def question_about(wrong, shapes=None):
    """A question about a gradient, both sides at four points of two sizes, and the numbers of the right one."""
    program, spec = from_function(wrong), arguments(shapes or {"x": "n", "y": "n"})
    rng, cases = np.random.default_rng(4), []
    for n in (4, 4, 3, 5):
        at = At("ordinary", {"n": n}, {name: exactly(rng.normal(size=n)) for name in spec.parts})
        with precision(256):
            mine = program.run(*spec.built(at.values)).result
            cases.append(Compared(at, mine, {k: balls(v) for k, v in right(*at.values.values()).items()}))
    question = Question(
        "gradient", spec, None, None, program, run=lambda at, watch: program.run(*spec.built(at.values), watch=watch),
        again=Again(lambda at: spec.built(at.values), lambda result: result),
    )  # fmt: skip
    x, y = (floats(v) for v in cases[0].at.values.values())
    z = np.tanh(x * y)
    slopes = [y * (1 - z**2), x * (1 - z**2), 1 - z**2]
    return question, cases, Numbers([x, y, x * y, z, z**2, *slopes]), Numbers(slopes)


def search(wrong):
    question, cases, numbers, slopes = question_about(wrong)
    return Repairs(question, cases[:3], cases[3:], numbers, slopes)


def line(function, text):
    """The number of the line of a function that has this text."""
    import inspect

    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, one in enumerate(lines) if text in one)


def bracket(x, y):
    z = np.tanh(x * y)
    s = 1 - z**2
    return {"dx": y * s, "dy": x * (1 - z) ** 2}


def by_size(x, y):
    z = np.tanh(x * y)
    s = (1 - z**2) / len(x)
    return {"dx": y * s, "dy": x * s}


def negative(x, y):
    z = np.tanh(x * y)
    s = z**2 - 1
    return {"dx": y * s, "dy": x * s}


def missing(x, y):
    z = np.tanh(x * y)
    s = 1 - z**2
    return {"dx": y * s, "dy": s * 1.0}


MISTAKES = [
    (bracket, '"dx": y * s', "other_factor", "`1 - z ** 2`"),
    (by_size, "/ len(x)", "factor", "`(1 - z ** 2) / len(x)` should be times n"),
    (negative, "s = z**2 - 1", "sign", "has the wrong sign"),
    (missing, '"dx": y * s', "other_factor", "`s * 1.0` should be `s * 1.0 * x`"),
]


@pytest.mark.parametrize(("wrong", "text", "id", "said"), MISTAKES, ids=lambda v: getattr(v, "__name__", None))
def test_the_repair_of_a_mistake_is_found_and_said_at_its_line(wrong, text, id, said):
    runs = search(wrong)
    assert runs.wrong == ({"dx", "dy"} if wrong in (by_size, negative) else {"dy"})
    found = runs.found(lambda case: [])
    one = told(runs, found)
    assert one.line == line(wrong, text) and id in dict(one.causes) and said in dict(one.causes)[id]
    for repair in found:  # whatever is told works at every point, the one that was kept back too
        for point, number in zip(runs.points, repair.numbers, strict=True):
            assert runs.fits(point, runs.under(repair.edit, number, point))


def test_what_runs_know():
    runs = search(bracket)
    point = runs.points[0]
    assert point.tolerance < 1e-9 and point.sizes == {"n": 4} and len(runs.points) == 3
    assert not runs.same(point, "dy") and runs.same(point, "dx") and runs.fits(point, point.right)
    assert not runs.fits(point, None) and not runs.fits(point, point.right | {"dx": point.right["dx"][None]})
    assert runs.by_size((1.0, 1.0, 2.0)) and not runs.by_size((1.0, 2.0, 2.0))
    x = next(i for i, site in enumerate(runs.edited.sites) if site.text == "(1 - z) ** 2")
    with runs.running():
        runs.base = point.call()
        assert runs.acts(x) and not runs.acts(next(i for i, s in enumerate(runs.edited.sites) if s.text == "y * s"))


def test_code_that_is_right_on_floats_has_no_repair():
    with pytest.raises(Refused, match="its floats are not wrong"):
        search(right)


def curved(x, y):
    z = np.tanh(x * y)
    s = np.cosh(z) + np.log(1 + z**2) * 0.37
    return {"dx": y * s, "dy": x * s}


def test_without_an_edit_the_line_is_the_first_of_which_another_value_is_right():
    runs = search(curved)
    assert runs.found(lambda case: []) == []
    found = place(runs)
    assert found.line == line(curved, "s = np.cosh") and found.causes == []
    x, y = (floats(v) for v in runs.cases[0].at.values.values())
    np.testing.assert_allclose(found.made[0], 1 - np.tanh(x * y) ** 2, rtol=1e-7)


# Where and why, of any function.


def test_the_cause_is_located_with_its_line():
    question, cases, _, _ = question_about(negative)
    verdicts = {name: {"verdict": "wrong"} for name in ("dx", "dy")}
    found = locate(question, cases, verdicts)
    assert found.line_number == line(negative, "s = z**2 - 1") and found.line == "s = z**2 - 1"
    assert found.causes[0].id == "sign" and found.causes[0].line == found.line
    assert (
        locate(question, [], verdicts).causes == ()
        and locate(question._replace(run=None), cases, verdicts).line is None
    )


def unlike(x, y):
    z = np.sort(x * y)
    return {"dx": np.cumsum(z) + 1, "dy": 0 * x}


def test_without_a_line_that_can_be_mended_what_is_certain_of_the_outputs_is_said():
    question, cases, _, _ = question_about(unlike)
    found = locate(question, cases, {name: {"verdict": "wrong"} for name in ("dx", "dy")})
    assert [(why.id, why.text) for why in found.causes] == [("zero", "dy is zero")]
    assert found.line_number in range(line(unlike, "def unlike"), line(unlike, "return") + 1)

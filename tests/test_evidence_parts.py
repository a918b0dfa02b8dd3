"""Where any function is tested, part by part: points, branches, kinks, and both sides at each of them."""

import collections
import types

import numpy as np
import pytest
from flint import arb, ctx

from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.exploring import Search, constants, drawn, reach, within
from twolayer.verification.evidence.kinks import Kink, at_ties, settled, ties
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import (
    At,
    Compared,
    Question,
    check_repeats,
    compared,
    judged,
    looked,
    once,
)
from twolayer.verification.evidence.shapes import arguments
from twolayer.verification.evidence.smallest import code, smallest
from twolayer.verification.numbers import comparisons
from twolayer.verification.numbers.balls import Ball, Undecided, balls, floats, precision
from twolayer.verification.numbers.comparisons import at_place
from twolayer.verification.programs import NotJudged, RaisedInside, Refused
from twolayer.verification.programs.numpy_code import from_function

HERE = types.SimpleNamespace(filename=__file__, function=lambda: None, literals=lambda: ())


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def point(kind="ordinary", **values):
    """A point of arrays of n numbers."""
    arrays = {name: exactly(np.asarray(v, float)) for name, v in values.items()}
    return At(kind, {"n": max(map(len, arrays.values()))}, arrays)


def asked(mine, right, shapes=None, **more):
    """A question about two functions of the values of a point."""
    spec = arguments(shapes or {"x": "n"})
    return Question("gradient", spec, lambda at: mine(at.values), lambda at: right(at.values), HERE, **more)


# Points.


def halved(t):
    return t / 17 if t > 0.5 else t * 3.25


def masked(x, bound=-1e12):
    return np.where(x > 64, bound, halved(x[0]) + 128)


def test_the_numbers_of_the_code_and_of_what_it_calls():
    assert {17, 0.5, 3.25, 64, 128, -1e12} <= set(constants(masked)) and 17 not in constants(lambda x: x * 2)
    assert reach(types.SimpleNamespace(function=masked)) == pytest.approx(100)
    assert reach(types.SimpleNamespace(function=halved)) is None
    assert within(point(x=[99.0, -99]), 100) and not within(point(x=[99.0, -101]), 100) and within(point(x=[1e9]), None)


def test_points_have_all_sizes_and_scales_and_sizes_beyond_the_numbers_of_the_code():
    spec = arguments({"x": "n", "t": "n"}, {"t": "labels:3"})
    found = drawn(spec, types.SimpleNamespace(function=masked), 0)
    kinds = collections.Counter(at.kind for at in found)
    assert kinds["ordinary"] == 2 * len(spec.sizes()) and kinds["scaled"] == 12 and kinds["repeated"] == 4
    assert {at.sizes["n"] for at in found if at.kind == "sizes"} == {65, 129}
    largest = [abs(floats(at.values["x"])).max() for at in found if at.kind == "scaled"]
    assert min(largest) < 1e-11 and max(largest) > 1e11
    assert all(v.v.is_exact() for v in found[0].values["x"]) and found[0].values["t"].dtype.kind == "i"
    again = drawn(spec, types.SimpleNamespace(function=masked), 0)
    assert all((floats(a.values["x"]) == floats(b.values["x"])).all() for a, b in zip(found, again, strict=True))
    few = drawn(spec, types.SimpleNamespace(function=masked), 0, most=10)
    assert 2 <= len(few) < 6 and sum(at.values["x"].size + at.values["t"].size for at in few) <= 10


def beyond_thirty(x):
    return x if x[0] > 30 else 2 * x


def test_a_side_of_a_comparison_that_was_not_seen_is_entered_close_to_its_threshold():
    program, start = from_function(beyond_thirty), point(x=[0.5, 0.25])
    question = Question(
        "equal", arguments({"x": "n"}), lambda at: {"value": program.run(at.values["x"]).result}, lambda at: {}, program
    )
    branches = Branches(program)
    compared(question, start, branches)
    assert list(branches.seen().values()) == ["only false"]
    found = [floats(at.values["x"])[0] for at in Search(question, branches, start, 0).found()]
    assert any(30 < x < 30.1 for x in found) and any(29.9 < x <= 30 for x in found)
    assert list(branches.seen().values()) == ["only false"]  # a look counts as nothing


# Branches.


def test_the_sides_of_each_comparison_are_told_by_its_line():
    branches, lines = Branches(HERE), {}

    def positive(x):
        lines["positive"] = positive.__code__.co_firstlineno + 2
        return x > 0

    for numbers_ in ([1, -1], [2]):
        with branches.watching() as seen:
            for number in numbers_:
                positive(Ball(number))
            lines["three"] = test_the_sides_of_each_comparison_are_told_by_its_line.__code__.co_firstlineno + 12
            assert not Ball(3) < Ball(2)
    assert branches.seen() == {f"line {lines['positive']}": "both", f"line {lines['three']}": "only false"}
    assert [line for line, _ in branches.one_sided()] == [lines["three"]]
    assert [[float(m) for m in some] for some in seen.margins.values()] == [[2], [1]] and not seen.tied
    assert comparisons.observer is None


def test_equal_numbers_are_a_tie_and_other_files_are_named():
    branches = Branches(HERE, types.SimpleNamespace(filename="/home/one/loss.py"))
    with branches.watching() as seen, at_place(lambda: (7, ("/home/one/loss.py", 3))):
        assert Ball(2) >= Ball(2)
    assert seen.tied and branches.seen() == {"loss.py line 7": "only true"}
    with pytest.raises(ZeroDivisionError), branches.watching():
        raise ZeroDivisionError
    assert comparisons.observer is None


# Both sides at a point.


def test_what_is_drawn_at_a_point_is_drawn_once_and_for_the_points_near_it():
    calls = []
    draw = once(lambda at: calls.append(at) or len(calls))
    one, other = point(x=[1]), point(x=[1])
    assert [draw(one), draw(other), draw(one), draw(one._replace(origin=other))] == [1, 2, 1, 2] and len(calls) == 2


def test_more_bits_are_taken_where_the_first_are_not_enough():
    def wide(values):
        if ctx.prec < 1000:
            raise Undecided("too close")
        return {"dx": values["x"]}

    at, branches = point(x=[3.0]), Branches(HERE)
    found = compared(asked(wide, wide), at, branches)
    assert found.reason is None and found.mine["dx"][0] == 3

    def never(values):
        raise Undecided("too close")

    assert compared(asked(never, never), at, branches).reason == "too close"
    radius = {"dx": np.array([Ball(arb(3, 1e-9))], object)}
    unknown = compared(asked(lambda v: radius, lambda v: {"dx": v["x"]}), at, branches)
    assert unknown.reason == "it is not known well enough"


def test_code_that_raises_is_refused_at_ordinary_points_and_left_out_at_sizes_of_one():
    def raises(values):
        raise RaisedInside("x.py:1: raised")

    def unknown(values):
        raise NotJudged("np.packbits")

    with pytest.raises(RaisedInside):
        compared(asked(raises, raises), point(x=[1, 2.0]), Branches(HERE))
    assert compared(asked(raises, raises), point(x=[1.0]), Branches(HERE)).reason == "its code raises here"
    assert compared(asked(unknown, raises), point(x=[1, 2.0]), Branches(HERE)).reason == "np.packbits"
    assert looked(asked(unknown, raises), point(x=[1.0]), Branches(HERE)) is None


def test_a_symmetric_derivative_by_a_symmetric_argument_stands_beside_the_symmetric_part():
    upper, half = balls([[1, 2], [0, 3]]), balls([[1, 1], [1, 3]])
    question = asked(lambda v: {"dS": half}, lambda v: {"dS": upper}, {"S": "n n"})
    spd = question._replace(arguments=arguments({"S": "n n"}, {"S": "spd"}))
    for one, right in ((question, upper), (spd, half)):
        found = compared(one, point(S=[[1, 0], [0, 1]]), Branches(HERE))
        np.testing.assert_array_equal(floats(found.right["dS"]), floats(right))


def both(kind, mine, right, **more):
    return Compared(point(kind, x=[1.0, 2]), {"dx": balls(mine)}, {"dx": balls(right)}, **more)


GOOD = both("ordinary", [1, 2], [1, 2])
JUDGED = {
    "right": ([GOOD], "right", None),
    "wrong": ([GOOD, both("ordinary", [1, 3], [1, 2])], "wrong", None),
    "at scales": ([GOOD, both("scaled", [1, 3], [1, 2])], "wrong", "only at very large or small numbers"),
    "at ties": ([GOOD, both("tie", [1, 3], [1, 2])], "wrong", "only at a kink"),
    "in a branch": ([GOOD, both("branch", [1, 3], [1, 2])], "wrong", "only on a branch that few numbers enter"),
    "shape": ([both("ordinary", [1, 2], [1, 2, 3])], "wrong", "it has shape (2,), and (3,) is right"),
    "NaN": ([both("ordinary", [1, np.nan], [1, 2])], "wrong", "NaN or infinity comes out"),
    "open": ([both("ordinary", [1, Ball(arb(2, 1e-9))], [1, 2])], "undecided", "it is not known well enough"),
    "absent": ([GOOD._replace(mine={"dy": balls([1])})], "not_derived", "it is not returned"),
    "too much": ([GOOD._replace(right={"dy": balls([1])})], "not_derived", "the other function does not return it"),
    "often not followed": ([GOOD, GOOD._replace(reason="np.x", mine={}, right={})], "undecided", "np.x"),
    "seldom not followed": ([GOOD] * 3 + [GOOD._replace(reason="np.x", mine={}, right={})], "right", None),
}


@pytest.mark.parametrize("name", JUDGED)
def test_the_verdict_on_an_output(name):
    found, verdict, reason = JUDGED[name]
    assert judged(asked(None, None), found)["dx"] == {"verdict": verdict, "reason": reason}


def test_nothing_that_could_be_followed_is_undecided():
    nothing = Compared(point(x=[1.0]), {}, {}, "np.x")
    assert judged(asked(None, None), [nothing]) == {"result": {"verdict": "undecided", "reason": "np.x"}}


@pytest.mark.parametrize(
    ("error", "options", "verdict", "said"),
    [
        (1e-14, {"approximates": True}, "right", "to 1e-14 relative, as a program that approximates can be"),
        (1e-8, {"approximates": True}, "undecided", "give a reference that is exact"),
        (1e-3, {"approximates": True}, "wrong", "None"),
        (1e-14, {}, "wrong", "None"),
        (1e-3, {"iterates": True}, "undecided", "iterates until it is near enough"),
    ],
)
def test_what_approximates_is_right_as_far_as_floats_can_show(error, options, verdict, said):
    near = both("ordinary", [1, Ball(2) + Ball(arb(2 * error))], [1, 2])
    found = judged(asked(None, None, **options), [near])["dx"]
    assert found["verdict"] == verdict and said in str(found["reason"])


def test_a_computation_that_gives_something_else_when_it_is_called_again_is_refused():
    calls = iter([[1, 3], [1, 2]])
    question = asked(lambda v: {"dx": balls(next(calls))}, None)
    with pytest.raises(Refused, match="it depends on more than its arguments"):
        check_repeats(question, [GOOD])
    check_repeats(question, [GOOD])


# Kinks.


def relu_slope(values):
    return {"dx": np.array([Ball(1 if x > 0 else 0) for x in values["x"]], object)}


def at_zero(mine, right=relu_slope, name="dx"):
    at = point("tie", x=[0.0])
    return settled(asked(None, right), Compared(at, {name: balls([mine])}, right(at.values), tied=True))


@pytest.mark.parametrize("mine", [0, 0.5, 1])
def test_any_subgradient_is_right_at_a_kink_and_is_told(mine):
    one, (kink,) = at_zero(mine)
    assert float(one.right["dx"][0].v) == mine and kink == Kink("dx", (0,), mine, 0, 1, one.at)


@pytest.mark.parametrize(("mine", "nearest"), [(-0.25, 0), (1.5, 1)])
def test_a_number_beyond_the_slopes_on_both_sides_is_wrong_at_a_kink(mine, nearest):
    one, kinks = at_zero(mine)
    assert float(one.right["dx"][0].v) == nearest and kinks == []


def test_a_tie_without_a_kink_and_one_without_a_limit():
    smooth, kinks = at_zero(7, lambda v: {"dx": 2 * v["x"] + balls([1])})
    assert smooth.right["dx"][0] == 1 and kinks == []
    endless, kinks = at_zero(7, lambda v: {"dx": balls([0 if x == 0 else 1 / x for x in v["x"]])})
    assert float(endless.right["dx"][0].v) == 7 and kinks == []  # it is not judged
    untied = Compared(point(x=[0.0]), {"dx": balls([7])}, {"dx": balls([0])})
    assert settled(asked(None, relu_slope), untied) == (untied, [])


def hinge(x):
    return np.where(x[0] + x[1] > 0.75, x, 0)


def test_ties_are_exact():
    program, start = from_function(hinge), point(x=[0.5, -0.25, 1])
    question = Question(
        "equal", arguments({"x": "n"}), lambda at: {"value": program.run(at.values["x"]).result}, lambda at: {}, program
    )
    found = [at for at in ties(question, Branches(program), start, 0) if looked(question, at, Branches(program)).tied]
    sums = [(at.values["x"][0] + at.values["x"][1]).v for at in found]
    assert found and all(total.is_exact() and total == arb(0.75) for total in sums)
    one = question._replace(right=lambda at: {"value": 0 * at.values["x"]})
    tied, kinks = at_ties(one, Branches(program), start, 0)
    assert len(tied) == len(found) and kinks == [] and all(each.at.kind == "tie" for each in tied)


# The smallest counterexample.


def all_but_the_last(x, y):
    return (x[:-1] * y[:-1]).sum()


def test_the_smallest_counterexample_is_made_of_zeros_and_ones_and_its_code_shows_it(capsys):
    program = from_function(all_but_the_last)
    question = Question(
        "equal", arguments({"x": "n>=2", "y": "n"}),
        lambda at: {"value": np.asarray(program.run(*at.values.values()).result)},
        lambda at: {"value": np.asarray((at.values["x"] * at.values["y"]).sum(), object)}, program,
    )  # fmt: skip
    found = smallest(question, ["value"], [], 0)
    assert found.one.at.sizes == {"n": 2} and (found.mine, found.right, found.entry) == (0, 1, ())
    assert floats(found.one.at.values["x"]).tolist() == floats(found.one.at.values["y"]).tolist() == [0, 1]
    lines = code(question, found)
    exec("\n".join(lines), {"all_but_the_last": all_but_the_last})
    assert float(capsys.readouterr().out) == 0 and lines[-1].endswith("# 0, and 1 is right")


def test_where_small_numbers_show_nothing_the_least_known_case_is_shown():
    right = lambda v: {"dx": v["x"] * 0}  # noqa: E731
    question = asked(right, right)
    wrong = both("scaled", [1, 3], [1, 2])
    found = smallest(question, ["dx"], [GOOD, wrong], 0)
    assert found.one is wrong and (found.entry, found.mine, found.right) == ((1,), 3, 2)
    assert smallest(question, ["dx"], [GOOD], 0) is None
    assert code(question, found)[1] == "x = np.array([1.0, 2.0])"

"""Where and why, of the network, part by part: variables, blamed factors, causes, lines, and what no line explains."""

import functools
from fractions import Fraction

import numpy as np
import pytest

from tests.handmade import changed
from twolayer.verification.evidence import points
from twolayer.verification.evidence.cases import Case, gather, subject
from twolayer.verification.evidence.points import Point
from twolayer.verification.explain import unexplained, where
from twolayer.verification.explain.blamed import wrong_factors
from twolayer.verification.explain.catalogue import wrong_lines
from twolayer.verification.explain.causes import find
from twolayer.verification.explain.gauss_newton import left_out
from twolayer.verification.explain.known import Evidence, arrays_of, inside_of
from twolayer.verification.explain.mended import mended
from twolayer.verification.explain.places import steps_of, with_line
from twolayer.verification.explain.search import explanations
from twolayer.verification.formula_and_program import leaf_verdicts, watched
from twolayer.verification.numbers.balls import balls, floats, precision
from twolayer.verification.problem import Setting, Sizes, right
from twolayer.verification.programs import Local
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.programs.numpy_code import File
from twolayer.verification.verdict import Cause

SETTING = Setting("quadratic", "identity", "mean")
TEXT = """import numpy as np


def gradients(params, x, y):
    W1, b1, W2, b2 = params
    Z1 = x @ W1.T + b1
    O1 = np.maximum(Z1, 0)
    O2 = O1 @ W2.T + b2
    dZ2 = (O2 - y) / len(x)
    dO1 = dZ2 @ W2
    dZ1 = dO1 * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}
"""


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


@functools.cache
def explained(*changes, sought=True):
    """A derivation with other texts in it: its explanations, and what is known when causes are sought."""
    text = changed(TEXT, *changes)
    found = subject(File("homework.py", text).program("gradients"), SETTING)
    cases = gather(found)
    evidence = Evidence(SETTING, cases, watched(found, cases), leaf_verdicts(found, cases), source=text,
                        mended=lambda: mended(found, cases))  # fmt: skip
    return (explanations(SETTING, cases, ()) if sought else []), evidence


# Variables that are right arrays.


def local(line, name, value, text=""):
    return Local(line, name, balls(np.asarray(value)), text or f"{name} = ...")


M = np.array([[1.0, 2.5, -0.5], [0.25, -3.0, 4.0]])


def test_a_variable_is_an_array_times_a_factor_or_its_transpose():
    arrays = {"dZ1": balls(M), "db1": balls(M[0])}
    variables = [
        local(3, "a", 2 * M),
        local(4, "b", M.T),
        local(5, "c", M + 1),
        local(6, "d", M[:1]),
        local(7, "e", 1.0),
    ]
    found = where.seen(variables, arrays)
    assert [(one.line, one.step, one.factor) for one in found] == [(3, "dZ1", 2), (4, "dZ1", 1), (6, "db1", 1)]
    assert where.variables(found)["dZ1"].name == "b"  # without a factor before one with


def test_rows_of_a_loop_are_one_array():
    rows = [local(4, "row", row) for row in M]
    (one,) = where.seen(rows, {"dZ1": balls(M)})
    assert (one.step, one.order) == ("dZ1", 1)
    assert where.seen(rows[::-1], {"dZ1": balls(M)}) == []


def test_the_place_of_a_wrong_step_is_its_line_or_the_range_before_it():
    wrong, rest = {"dZ1": balls(M * M), "dW1": balls(M[:, :2].T)}, {"dO1": balls(M), "dZ1": balls(M + 2)}
    variables = [local(3, "dh", M), local(4, "dz", M * M, "dz = dh * dh"), local(5, "w", M[:, :2].T)]
    assert where.place("dZ1", wrong, variables, rest) == where.Place(4, "dz", "dz = dh * dh")
    far = [variables[0], local(4, "t", M + 9), local(5, "dz", M * M, "dz = dh * t")]
    assert where.place("dZ1", wrong, far, rest) == where.Place(5, "dz", "dz = dh * t", since=3)
    hidden = where.place("dZ1", wrong, [variables[0], variables[2]], rest)
    assert (hidden.line, hidden.name, hidden.since) == (5, "", 3)
    assert where.place("dZ1", wrong, [], rest) is None
    again = [*variables, local(6, "late", M[:, :2].T)]
    assert where.between(again, rest, {"dW1": balls(M[:, :2].T)}) == where.Place(5, "w", "w = ...", since=3)


def test_known_arrays_and_probabilities():
    point = points.points(Setting("cross_entropy", "identity", "mean"), Sizes(2, 3, 4, 5), "ordinary", 1)[0]
    known = where.known(Setting("cross_entropy", "identity", "mean"), point.right)
    e = np.exp(floats(point.right["O2"]))
    np.testing.assert_allclose(floats(known["P"]), e / e.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(
        floats(known["dP"]), -point.floats["y"] / 5 * e.sum(axis=1, keepdims=True) / e, rtol=1e-12
    )
    assert (floats(known["slope1"]) == (floats(point.right["Z1"]) > 0)).all()
    assert where.equal(balls(M), balls(3 * M)) and not where.equal(balls(M), balls(M + 1))


# The catalogue's lines, against what their sentences say, entry by entry.

ENTROPY, BITS_ = Setting("cross_entropy", "identity", "sum"), Setting("binary_cross_entropy", "identity", "sum")
SIGMOIDS = Setting("quadratic", "sigmoid", "sum", "sigmoid")


def one_by_one(f, *arrays):
    return np.array([[f(*entries) for entries in zip(*rows, strict=True)] for rows in zip(*arrays, strict=True)])


def jacobian(p):
    """The softmax's derivative, p_i (1 - p_i) on the diagonal and -p_i p_j off it."""
    return np.array([[a * ((i == j) - b) for j, b in enumerate(p)] for i, a in enumerate(p)])


ROWS = [
    (SETTING, "dZ1", "mask_missing", lambda s: s["dO1"]),
    (SETTING, "dZ1", "mask_inverted", lambda s: one_by_one(lambda g, z: g if z <= 0 else 0, s["dO1"], s["Z1"])),
    (SETTING, "dZ1", "mask_of_gradient", lambda s: one_by_one(lambda g: max(g, 0), s["dO1"])),
    (SIGMOIDS, "dZ1", "derivative_precedence", lambda s: s["dO1"] * s["O1"] - s["O1"]),
    (SETTING, "dO2", "target_missing", lambda s: s["O2"] / len(s["x"])),
    (ENTROPY, "dO2", "softmax_jacobian_missing",
     lambda s: np.stack([-t / p for t, p in zip(s["y"], s["P"], strict=True)])),
    (ENTROPY, "dO2", "softmax_jacobian_twice",
     lambda s: np.stack([jacobian(p) @ (p - t) for t, p in zip(s["y"], s["P"], strict=True)])),
    (ENTROPY, "dO2", "softmax_jacobian_diagonal",
     lambda s: np.stack([np.diag(jacobian(p)) * -t / p for t, p in zip(s["y"], s["P"], strict=True)])),
    (BITS_, "dO2", "terms_exchanged", lambda s: 1 / (1 + np.exp(-s["O2"])) - (1 - s["y"])),
    (SETTING, "dW1", "one_example", lambda s: np.outer(s["dZ1"][-1], s["x"][-1])),
    (SETTING, "dW2", "mask_for_activation",
     lambda s: sum(np.outer(g, z > 0) for g, z in zip(s["dZ2"], s["Z1"], strict=True))),
    (SETTING, "dO1", "one_output", lambda s: s["dZ2"][:, :1] * s["W2"][0]),
    (SETTING, "db1", "bias_times_gradient", lambda s: s["b1"] * sum(s["dZ1"])),
    (SETTING, "db2", "wrong_axis", lambda s: np.full(4, s["dZ2"].sum())),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "step", "id", "says"), ROWS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_line_of_the_catalogue_computes_what_it_says(setting, step, id, says):
    point = points.points(setting, Sizes(2, 3, 4, 5), "ordinary", 1)[0]
    scope = right(setting, point.floats)
    e = np.exp(scope["O2"])
    wanted = says(scope | {"P": e / e.sum(axis=1, keepdims=True)})
    lines = [line for line in wrong_lines(step, setting) if line.id == id and not line.literal]
    assert any(np.allclose(line.compute(scope), wanted, rtol=1e-12) for line in lines)
    assert all("{" not in line.text for line in lines)


# Factors, and on which step they are blamed.


def blamed(*changes):
    (one, *_), evidence = explained(*changes)
    return [[(cause.id, cause.leaf, cause.text) for cause in way.causes] for way in wrong_factors(one, evidence)]


def test_a_factor_is_blamed_where_the_variables_show_it():
    ((one,),) = blamed(("(O2 - y) / len(x)", "O2 - y"))
    assert one[:2] == ("reduction", "dO2") and one[2].endswith("it is right for the sum; you declared the mean")
    ((one,),) = blamed(('"db1": dZ1.sum(0)', '"db1": 3 * dZ1.sum(0)'))
    assert one == ("scale", "db1", "a constant factor 3 too many")
    (nothing, *_), evidence = explained(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1"))
    ((way,),) = [wrong_factors(nothing, evidence)]
    assert way.causes == ()


# Causes with their lines.


def test_the_cause_its_line_and_the_eight_steps():
    found, evidence = explained(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1"))
    causes, steps, first, explains = find(found, evidence)
    assert [(cause.id, cause.leaf, cause.line, cause.variable) for cause in causes] == [
        ("mask_missing", "dZ1", 11, "dZ1")
    ]
    assert causes[0].correction == "dZ1 = dO1 * (Z1 > 0)" and first == "dZ1" and explains
    assert {step: one.verdict for step, one in steps.items() if one.verdict != "right"} == {"dZ1": "wrong"}
    assert (steps["dZ2"].where, steps["dZ2"].variable, steps["dZ2"].line) == ("found", "dZ2", 9)
    assert steps["dW2"].where == "returned" and evidence.right_inside >= {"Z1", "O1", "O2", "dZ2", "dO1", "dW2"}
    inside = inside_of(found[0], evidence)
    assert inside["dZ1"] == {Fraction(1)} and "dZ1" not in evidence.right_inside
    arrays = arrays_of(found[0], evidence)
    np.testing.assert_array_equal(floats(arrays["dZ1"]), floats(evidence.probe.right["dO1"]))


def test_a_step_is_not_blamed_where_nothing_is_explained():
    found, evidence = explained(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1"))
    nothing = steps_of(evidence, ("dZ1",), None, [], explained=False)
    assert {step for step, one in nothing.items() if one.verdict == "not_shown"} == {"dO2", "dZ2", "dO1"}
    assert nothing["dW2"].verdict == "right" and nothing["dW1"].verdict == "undecided"
    cause = Cause("unknown", "", "dZ1", "", line=3)
    assert with_line(cause, None, evidence) is cause
    assert with_line(cause, None, evidence._replace(probe=None)) is cause
    assert evidence._replace(probe=None).seen == [] and inside_of(found[0], evidence._replace(probe=None)) == {}


def test_two_errors_are_two_causes_of_one_explanation():
    found, evidence = explained(("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1"), ('"db2": dZ2.sum(0)', '"db2": 2 * dZ2.sum(0)'))
    causes, _, first, _ = find(found, evidence)
    assert [(c.leaf, c.explanation) for c in causes] == [("db2", 0), ("dZ1", 0)] and first == "db2"


def test_an_edit_is_named_where_no_line_of_the_catalogue_is_wrong():
    found, evidence = explained(("dO1 * (Z1 > 0)", "dO1 * (Z1 > 0) ** 2 - dO1 * abs(np.sin(Z1))"), sought=False)
    causes, _, _, _ = find(found, evidence)
    assert {cause.line for cause in causes} == {11}
    mends = evidence.mended()
    assert (mends.line, mends.step) == (11, "dZ1") and "- dO1 * abs(np.sin(Z1))" in mends.text


# What no line explains.


def case(kind="ordinary", sizes=points.PRIME_SIZES[0], **pairs):
    """A case with what is returned and what is right, of each array."""
    mine = {name: balls(np.asarray(a)) for name, (a, _) in pairs.items()}
    beside = {name: balls(np.asarray(b)) for name, (_, b) in pairs.items()}
    return Case(Point(kind, sizes, {}, beside), mine)


ONES = np.ones((2, 3))


def test_one_entry_alone_is_named_counted_from_the_start_or_from_the_end():
    last, first = ONES.copy(), ONES.copy()
    last[-1, -1], first[0, 1] = 5, 7
    wider = np.ones((4, 2))
    wider[-1, -1] = 3
    cases = [case(dW1=(last, ONES)), case(dW1=(wider, np.ones((4, 2))))]
    assert unexplained.single_entries(cases, ["dW1"]) == {"dW1": (-1, -1)}
    assert unexplained.single_entries([case(dW1=(first, ONES))], ["dW1"]) == {"dW1": (0, 1)}
    assert unexplained.single_entries([case(dW1=(first, ONES)), case(dW1=(last, ONES))], ["dW1"]) == {}
    cause = unexplained.describe("dW1", "dW1 = ...", [case(dW1=(first, ONES))])
    assert (cause.id, cause.text) == ("one_entry", "only the entry (0, 1) of dW1 is wrong")


def test_a_threshold_acts_at_some_sizes():
    right_, wrong = (ONES, ONES), (2 * ONES, ONES)
    some = [case(dW1=right_), case("extreme", dW1=wrong), case("extreme", dW1=right_)]
    assert unexplained.acts_at_some_sizes(some, ["dW1"])
    assert not unexplained.acts_at_some_sizes([case(dW1=wrong), case("extreme", dW1=wrong)], ["dW1"])
    assert not unexplained.acts_at_some_sizes([case(dW1=(0 * ONES, 0 * ONES)), case("extreme", dW1=right_)], ["dW1"])
    cause = unexplained.describe("dW1", "dW1 = ...", some, thresholds=["clip at homework.py:3"])
    assert cause.id == "threshold" and cause.text.endswith("acts (clip at homework.py:3)")
    unknown = unexplained.describe("dZ1", "dZ1 = ...", some, found=["dO1"])
    assert unknown.text == "unknown, the error enters at dZ1; before it, the program computes a right dO1"


@pytest.mark.parametrize(
    ("found", "shown", "missing"),
    [({"Z1", "O1"}, False, "Z2"), (set(), True, "Z1"), (set(), False, None), ({"O2"}, False, None)],
)
def test_an_error_of_the_forward_pass_is_where_right_arrays_end(found, shown, missing):
    cause = unexplained.forward_error([case(dW1=(2 * ONES, ONES))], found, shown=shown)
    assert (cause and cause.text) == (
        missing and f"unknown, the error enters in the forward pass: the program computes no right {missing}"
    )
    square = [case(sizes=points.SQUARE, dW1=(2 * ONES, ONES))]
    assert unexplained.forward_error(square, found, shown=shown) is None


def test_masks_and_forward_passes_are_told_by_what_is_shown():
    sizes = Sizes(2, 3, 4, 5)
    hidden, output = local(1, "h", np.ones((5, 3))), local(2, "o", np.ones((4, 5)))
    assert unexplained.shows_its_forward_pass([hidden, output], sizes)
    assert not unexplained.shows_its_forward_pass([output, hidden], sizes)
    on, some = (ONES, ONES), (M, M)
    assert unexplained.right_where_all_units_are_on([case(Z1=on, dW1=on), case(Z1=some, dW1=(2 * ONES, ONES))], ["dW1"])
    assert not unexplained.right_where_all_units_are_on([case(Z1=on, dW1=(2 * ONES, ONES))], ["dW1"])


# The product of Gauss and Newton.


def well(x):
    s = x**2
    z = s - 1
    return 0.5 * (z**2).sum()


@pytest.mark.parametrize(("factor", "line"), [(4.0, 2), (6.0, None), (3.0, None)])
def test_the_array_at_which_the_hessian_ends_is_named(factor, line):
    x, v = balls([0.5, -1.5, 2.0]), balls([1.0, 0.25, -2.0])
    place = left_out(JaxProgram(well), lambda values: [values["x"]], {"x": x}, {"x": v}, {"x": factor * x**2 * v})
    first = well.__code__.co_firstlineno
    assert place == (None if line is None else f"test_explain_parts.py:{first + line}")

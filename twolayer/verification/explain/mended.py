"""The two-layer network as a client of the search for edits: which edit of the user's code mends all four gradients?

What the search for any function asks of a question is answered here: how the user's function is called on floats, what
is right at a point, and which numbers the right computation meets, so that lines that are right are known as such.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification import problem
from twolayer.verification.evidence.calls import named, squeezed, wanted_shapes
from twolayer.verification.evidence.cases import Case, Subject, case_at, usable, wrong_entries
from twolayer.verification.evidence.own_loss import Standard
from twolayer.verification.evidence.points import points
from twolayer.verification.evidence.questions import Again, At, Compared, Question
from twolayer.verification.evidence.shapes import arguments
from twolayer.verification.explain import where
from twolayer.verification.explain.anywhere import repaired
from twolayer.verification.explain.blame import Numbers
from twolayer.verification.numbers.balls import BITS, Ball, Undecided, balls, floats, precision
from twolayer.verification.numbers.factors import ratio
from twolayer.verification.numbers.recorded import Recorded, by, cotangents, reached, recording, uncollected
from twolayer.verification.problem import INPUTS, LEAVES, STEPS, TRACE, Sizes
from twolayer.verification.programs import NotJudged, Refused

SHAPES = {"W1": "K d", "b1": "K", "W2": "C K", "b2": "C", "x": "m d", "y": "m C", "w": ""}
STEP_OF = {"P": "dO2", "dP": "dO2", "slope2": "dZ2", "slope1": "dZ1"}  # the step that an array is a part of
TRIED, EACH = (Sizes(2, 4, 3, 5), Sizes(3, 5, 4, 2)), 4  # sizes at which edits are tried, and points of each
MOST = 10  # points of each kind that are handed on
SECONDS = 1.2  # of work

Arrays = dict[str, np.ndarray]


class Mended(NamedTuple):
    """The line that is to be mended, what is to be changed there ("" if that is not known), and the step it makes.

    step: one of the eight, or of the forward pass; None where the line makes none of them by itself.
    """

    line: int
    text: str
    step: str | None


def mended(found: Subject, cases: Sequence[Case], own: Standard | None = None) -> Mended | None:
    """The line that puts right all that is wrong when it is mended; None where there is none that is found.

    Args:
      found: the derivation, of which a gradient is wrong.
      cases: what it returns at all points, with what is right there.
      own: the loss that is the standard, where it is none that can be declared.
    """
    known = next((some for some in _sets(found, cases, own) if any(map(_is_wrong, some))), [])
    if not known:
        return None
    telling = [case for case in known if _is_wrong(case)][:MOST]
    others = [case for case in known if not _is_wrong(case)][:MOST]
    pairs = [(_both(found, case), case) for case in (*telling, *others)]
    case_of = {id(both.at): case for both, case in pairs}
    sides = [both for both, _ in pairs]

    def steps(both: Compared) -> list[tuple[str, np.ndarray]]:
        return list(_arrays(found, case_of[id(both.at)], both, own)[0].items())

    try:
        arrays, numbers = _arrays(found, telling[0], sides[0], own)
        right, slopes = Numbers([*arrays.values(), *numbers]), Numbers(arrays.values())
        split = sides[: len(telling)], sides[len(telling) :]
        place = repaired(_question(found), *split, right, slopes, steps, SECONDS)
    except (Undecided, NotJudged, Refused):
        return None
    if place.line_number is None:
        return None
    return Mended(place.line_number, place.causes[0].text if place.causes else "", _step(place.made, arrays))


def _sets(found: Subject, cases: Sequence[Case], own: Standard | None) -> Iterator[list[Case]]:
    """Points at which the edits are tried: small ones, since loops take long, where it is wrong there already."""
    few = [p for sizes in TRIED for p in points(found.setting, sizes, "ordinary", EACH)] if found.at_any_sizes else []
    right = (lambda point: {}) if own is None else own.gradient
    with contextlib.suppress(Undecided, NotJudged, Refused):  # at such sizes its code may raise
        yield usable(case_at(found, point._replace(right=point.right | right(point))) for point in few)
    yield [case for case in usable(cases) if case.point.kind == "ordinary"]
    yield usable(cases)


def _is_wrong(case: Case) -> bool:
    return any(name in LEAVES and wrong_entries(case, name).any() for name in case.mine)


def _both(found: Subject, case: Case) -> Compared:
    """The gradients at a point as they are returned, beside the right ones by the loss that is the standard."""
    mine, right = case.mine, case.right
    if found.standard is not None:
        mine = found._replace(standard=None).at(case.point).mine
        right = dict(right) | found.standard.gradient(case.point)
    names = [leaf for leaf in LEAVES if leaf in mine]
    at = At(case.point.kind, case.sizes._asdict(), {name: case.point.right[name] for name in (*INPUTS, "w")})
    return Compared(at, {name: mine[name] for name in names}, {name: right[name] for name in names})


def _question(found: Subject) -> Question:
    call = found.call

    def given(at: At) -> Sequence[Any]:
        scope = at.values
        if not call.one_by_one:
            return call.arguments(scope, scope["x"], scope["y"])
        examples = zip(scope["x"], scope["y"], strict=True)
        return [scope["w"], *(tuple(call.arguments(scope, x, y)) for x, y in examples)]

    def of(function: Callable) -> Callable:
        def batch(*given: Any) -> Arrays:
            return _fitted(found, named(function(*given)), _sizes(found, given, None))

        def examples(w: Any, *given: Any) -> Arrays:
            each = [named(function(*one)) for one in given]
            total = {name: float(w) * sum(np.asarray(one[name], float) for one in each) for name in each[0]}
            return _fitted(found, total, _sizes(found, given[0], len(given)))

        return examples if call.one_by_one else batch

    def known(at: At) -> Arrays:
        raise NotImplementedError("both sides of each point are known already")

    again = Again(given, lambda result: result, of)
    return Question("gradient", arguments(SHAPES, None, []), known, known, found.program, again=again)


def _sizes(found: Subject, given: Sequence[Any], examples: int | None) -> Sizes:
    own = dict(zip(found.call.order, given, strict=True))
    W1, W2 = (np.shape(own[name] if name in own else getattr(own["params"], name)) for name in ("W1", "W2"))
    return Sizes(W1[1], W1[0], W2[0], examples or len(own["x"]))


def _fitted(found: Subject, arrays: Mapping[str, Any], sizes: Sizes) -> Arrays:
    """The gradients in their own shapes, as far as they can be brought into these."""
    wanted, fitted = wanted_shapes(sizes), {}
    for leaf in (leaf for leaf in LEAVES if leaf in arrays):
        array = np.asarray(arrays[leaf], np.float64)
        try:
            fitted[leaf] = squeezed(found.shapes[leaf].fitted(array, wanted[leaf]), wanted[leaf])
        except ValueError:
            fitted[leaf] = array
    return fitted


def _arrays(found: Subject, case: Case, both: Compared, own: Standard | None) -> tuple[Arrays, list[np.ndarray]]:
    """The arrays of the right computation at a point, by name, and all numbers that it meets on its way."""
    total, arrays = _by_declared_loss(found, case) if own is None else _by_own_loss(found, case, own)
    slopes = cotangents(total)
    met = [number for number in reached(total) if number.order in slopes]
    edges = [(slopes[number.order], slope) for number in met for _, slope in number.edges()]
    values = [[float(number.v), float(slopes[number.order])] for number in met]
    flows = [[float(outer * slope), float(slope)] for outer, slope in edges]
    arrays |= both.right
    inputs = [floats(case.point.right[name]) for name in INPUTS]
    return {name: floats(array) for name, array in arrays.items()}, [np.array(values), np.array(flows), *inputs]


def _by_declared_loss(found: Subject, case: Case) -> tuple[Ball, Arrays]:
    """The loss and all arrays, with the constant of the loss that is the standard."""
    with precision(BITS), uncollected():
        constant = Ball(found.standard.terms(case.sizes).constant if found.standard else 1)
        total = problem.total(found.setting, {name: balls(case.point.right[name], Recorded) for name in INPUTS})
        arrays = where.known(found.setting, case.point.right)
        arrays |= {name: arrays[name] * constant for name in (*STEPS, "dP") if name in arrays}
        return total * constant, arrays


def _by_own_loss(found: Subject, case: Case, own: Standard) -> tuple[Ball, Arrays]:
    """A loss that cannot be declared: the forward pass, and the derivatives by those of its arrays that it makes."""
    scope = case.point.right
    forward = problem.forward(found.setting, {name: scope[name] for name in INPUTS})
    arrays = {name: forward[name] for name in TRACE}
    if hasattr(own.loss, "trace"):  # of JAX code no operation is recorded
        return Ball(0), arrays
    with precision(BITS), uncollected(), recording() as record:
        total, _ = own.recorded(case.point)
        slopes = cotangents(total)
    made = [(floats(node.output), node.output) for node in record.nodes]
    for name in TRACE:
        array = floats(arrays[name])
        output = next((o for a, o in made if a.shape == array.shape and np.allclose(a, array, 1e-12, 0)), None)
        arrays |= {} if output is None else {f"d{name}": by(output, slopes)}
    return total, arrays


def _step(made: Sequence[np.ndarray], arrays: Arrays) -> str | None:
    """Which step of back-propagation, or of the forward pass, a mended line makes, but for a constant."""
    values = [np.asarray(value, np.float64) for value in made]
    if len(values) > 1 and len({value.shape for value in values}) == 1:
        values = [np.stack([value.ravel() for value in values]), *values]
    order = sorted(arrays, key=lambda name: STEPS.index(name) if name in STEPS else len(STEPS))
    for name, value in ((name, value) for value in values for name in order):
        for turned in (value, value.T):
            if turned.shape == arrays[name].shape and turned.size > 1 and ratio((turned,), (arrays[name],)):
                return STEP_OF.get(name, name)
    return None

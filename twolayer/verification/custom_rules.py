"""Verify custom rules of JAX: of the function as a whole, and each rule inside of it by itself.

A rule is held against the plain program that it stands for: its forward value, and the derivative of its backward part.
"""

import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from twolayer.verification.derivatives import Outer, spec_of
from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.exploring import drawn
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import Again, At, Compared, Question, compared, judged
from twolayer.verification.evidence.returned import by_place, expected, named, zeros
from twolayer.verification.evidence.shapes import Arguments
from twolayer.verification.judgement import judge
from twolayer.verification.numbers.balls import BITS, DIFFERENCE_BITS, Ball, Undecided, precision
from twolayer.verification.numbers.factors import ratio
from twolayer.verification.programs import NotJudged, RaisedInside, Refused
from twolayer.verification.programs.load import program_of
from twolayer.verification.programs.stand_ins import jax_floats
from twolayer.verification.reference import Reference, is_real, leaves
from twolayer.verification.verdict import Judgement

MEANT = 10**6  # the largest number in a fraction that is one on purpose
LEAST, FEW = 24, 200  # numbers of all points together where the derivative is taken entry by entry
SECONDS = 4.0  # for that
# What JAX says of what it cannot differentiate, at all or backwards; and of a rule that does not fit its function.
CANNOT = re.compile(
    "reverse-mode diff|differentiation rule|cannot be differentiated|Linearization|Derivatives of|JVP not impl", re.I
)
MISSHAPEN = re.compile("rule must produce|unexpected JAX type|same type as the args|same shape|shapes do not match")
POINTS_INSIDE, MOST_INSIDE = 3, 6  # points at which the rules inside are judged, and how many of them


def verify_rule(
    f: Any,
    shapes: Any,
    *,
    reference: Any = None,
    domains: Any = None,
    expects: Mapping[str, Any] | None = None,
    allow_guards: bool = False,
    strict: bool = False,
    seed: int = 0,
) -> Judgement:
    """Does the custom rule of f, or those inside it, give the value and the derivative of its plain program?

    Args:
      f: decorated with jax.custom_vjp, custom_jvp or custom_gradient, or a function that contains such, or a kernel.
      shapes, domains, strict, seed: as of `equal`.
      reference: a function whose value and derivative it must have, in place of its own plain program.
      expects: name -> "zero", or a function of the arguments and the cotangent, for what is meant to differ.
      allow_guards: whether what is right but for constants such as the 1e-8 under a root is right.

    Raises:
      Refused: there is no rule in it, and no reference is given; or as of `equal`.
    """
    from twolayer.verification.programs.jax_code import JaxProgram
    from twolayer.verification.programs.rules import (
        LOOPS,
        RULES,
        forward_value,
        has,
        iterates,
        plain_program,
        pullback,
        repeats,
    )

    if not callable(f):
        raise Refused(f"{f!r} is no function")
    own = JaxProgram(f)
    spec = spec_of(shapes, domains, f)
    points = drawn(spec, own, seed)
    first, by_size = spec.built(points[0].values), {tuple(at.sizes.items()): at for at in points}
    try:
        if reference is None and not any(has(own, spec.built(at.values), RULES) for at in by_size.values()):
            raise Refused("there is no custom rule in it; give a reference, or use verify_vjp")
        kernel, rough = has(own, first, ("pallas_call",)), has(own, first, LOOPS)
    except NotJudged as error:
        return _alone("undecided", str(error))
    right = Reference(program_of(reference) if reference is not None else own, spec)
    if reference is None:
        right.program = plain_program(own)
    outer, wanted, pull, forward = Outer(right, seed), spec.floating, pullback(own, plain=False), forward_value(own)

    def run(at: At, watch: bool = False) -> Any:
        return pull.run(spec.built(at.values), list(outer(at).values()), watch=watch)

    notes = _notes(kernel)
    raised = _raises(lambda: run(points[0]))
    if MISSHAPEN.search(raised):
        return _alone("wrong", raised)
    if CANNOT.search(raised):
        if reference is None:
            said = "JAX cannot differentiate it, and there is no reference for its value"
            return _alone("undecided", f"{said}: {raised}")
        notes = (*notes, "JAX cannot differentiate it, and it has no rule: its value alone is judged")
        wanted, forward = [], own
    elif (said := _raises(lambda: right.cotangents(points[0].values, outer(points[0])))) and (
        kernel or CANNOT.search(said)
    ):
        right.by_differences = True

    names = _names(right, points[0])

    def mine(at: At) -> dict[str, np.ndarray]:
        value = by_place(named(leaves(forward.run(*spec.built(at.values)).result)), names)
        return value | (_by_path(run(at).result, spec, at) if wanted else {})

    def outputs(result: Any) -> dict[str, np.ndarray]:
        value, cotangents = result
        found = dict(zip(spec.parts, cotangents, strict=True)) if wanted else {}
        return by_place(named(leaves(value)), names) | {
            f"d{p}": a for name, part in found.items() for p, a in leaves(part, name).items()
        }

    def of(function: Callable) -> Callable:
        if not wanted:
            return lambda given, outer: (function(*given), ())
        if isinstance(function, jax_floats.Rule):
            return function.value_and_cotangents
        program = JaxProgram(function)
        value, pulled = forward_value(program).function, pullback(program, plain=False).function
        return lambda given, outer: (value(*given), pulled(given, outer))

    def both(at: At) -> dict[str, np.ndarray]:
        value = named(right.value(at.values))
        if not wanted:
            return value
        found = expected(right.cotangents(at.values, outer(at)), expects, spec, at, outer)
        return value | {f"d{path}": found[path] for path in wanted}

    def remark(name: str, found: Sequence[Compared]) -> str | None:
        with contextlib.suppress(Undecided):
            return _meant(name, found, outer, pull, spec)
        return None

    approaches = reference is None and iterates(own, first)
    if approaches:
        notes = (*notes, "its loops were followed far beyond their tolerance: what they approach is judged")
    few = _few(right, points[0]) if right.by_differences else None
    question = Question(
        "custom rule", spec, mine, both, own, right if wanted else None, outer, run, notes, rough,
        approaches, remark,
        reference is None, few, lambda at: {"g": outer.structured(at)},
        Again(lambda at: (spec.built(at.values), list(outer(at).values())), outputs, of),
        repeats=reference is None and repeats(own, first),
    )  # fmt: skip
    with _tight(approaches):
        verdict = judge(question, strict, seed, allow_guards)
    if reference is None and not expects and wanted:
        return _with_those_inside(verdict, own, spec, points, seed)
    return verdict


def _alone(verdict: str, reason: str) -> Judgement:
    """A verdict for one reason, before anything is compared."""
    outputs: dict[str, dict[str, str | None]] = {"result": {"verdict": verdict, "reason": reason}}
    return Judgement(verdict, outputs, text=f"{verdict.upper()}: {reason}")


@contextlib.contextmanager
def _tight(iterates: bool) -> Iterator[None]:
    """Loops that go on until numbers are near enough go on for far longer: what is judged is what they approach."""
    from twolayer.verification.programs.reals import TIGHT

    token = TIGHT.set(iterates)
    try:
        yield
    finally:
        TIGHT.reset(token)


def _few(right: Reference, at: At) -> int:
    """How many numbers can be followed where the derivative is taken entry by entry."""
    started = time.process_time()
    with contextlib.suppress(Undecided, NotJudged), precision(DIFFERENCE_BITS):
        right.value(at.values)
    return int(np.clip(SECONDS / (2 * (time.process_time() - started) + 1e-4), LEAST, FEW))


def _names(right: Reference, at: At) -> list[str]:
    """The names of the parts of the right value, where it can be followed at a point."""
    try:
        with precision(BITS):
            return list(named(right.value(at.values)))
    except (Undecided, NotJudged):
        return []


def _notes(kernel: bool) -> tuple[str, ...]:
    said = (
        "of the kernel its meaning is judged, block by block; races between blocks and the rounding of a device are not"
    )
    return (said,) if kernel else ()


def _raises(run: Callable[[], Any]) -> str:
    """What is raised, in words; "" where it runs, or cannot be followed for another reason."""
    try:
        with precision(BITS):
            run()
    except RaisedInside as error:
        return str(error).replace("pull raised", "its rule raised", 1)
    except (Undecided, NotJudged):
        pass
    return ""


def _by_path(result: Any, spec: Arguments, at: At) -> dict[str, np.ndarray]:
    """The cotangents that a pullback returned; what it left out, or gave as None, is zero."""
    found: dict[str, np.ndarray] = {}
    for name, part in zip(spec.parts, result, strict=True):
        found |= {f"d{path}": array for path, array in leaves(part, name).items()}
    return {f"d{path}": found.get(f"d{path}", zeros(at.values[path])) for path in spec.floating}


def _meant(name: str, found: Sequence[Compared], outer: Outer, pull: Any, spec: Arguments) -> str | None:
    """What a rule does in place of the derivative, where people do that on purpose."""
    cases = [one for one in found if one.at.kind == "ordinary" and name in one.mine and name in one.right]
    if name[0] != "d" or not cases:
        return "the forward rule returns another value" if name[0] != "d" else None
    with precision(BITS):
        given = [next(iter(outer(one.at).values())) for one in cases]
        mine = [one.mine[name] for one in cases]
        if all(v == Ball(0) for array in mine for v in np.ravel(array)):
            return f'it is zero; if that is meant, say expects={{"{name[1:]}": "zero"}}'
        if all(np.shape(a) == np.shape(g) for a, g in zip(mine, given, strict=True)):
            c = _plain(ratio(mine, given))
            if c is not None:
                said = "the cotangent itself" if c == 1 else f"{c} times the cotangent"
                arguments = ", ".join((*spec.parts, "g"))
                code = "g" if c == 1 else f"{c} * g"
                return f'it is {said}; if that is meant, say expects={{"{name[1:]}": lambda {arguments}: {code}}}'
        if all(v == Ball(0) for one in cases for v in np.ravel(one.right[name])):
            own = f"lambda {', '.join((*spec.parts, 'g'))}: ..."
            return (
                "the plain program is flat there, so its derivative is zero; if another is meant, as a straight-through"
                f' or a surrogate gradient, say expects={{"{name[1:]}": {own}}}'
            )
        c = _plain(ratio(mine, [one.right[name] for one in cases]))
        if c is not None and c != 1:
            return f"it is {c} times the derivative of the plain program, as where a gradient is reversed or scaled"
        if not _is_linear(cases[0], name, outer, pull, spec):
            return "it is not linear in the cotangent, as a clipped gradient is: the derivative of no function"
    return None


def _plain(c: Fraction | None) -> Fraction | None:
    """A ratio that somebody may have meant; that of a difference quotient has twenty digits."""
    return c if c is not None and max(abs(c.numerator), c.denominator) < MEANT else None


def _is_linear(one: Compared, name: str, outer: Outer, pull: Any, spec: Arguments) -> bool:
    """Whether a pullback of 1000 times the cotangents is 1000 times as large."""
    try:
        result = pull.run(spec.built(one.at.values), [g * Ball(1000) for g in outer(one.at).values()]).result
    except (Undecided, NotJudged, Refused):
        return True
    c = ratio((_by_path(result, spec, one.at)[name],), (one.mine[name],))
    return c == 1000


def _with_those_inside(verdict: Judgement, own: Any, spec: Arguments, points: Sequence[At], seed: int) -> Judgement:
    """The verdict with what is found of each rule inside by itself, where the whole does not ask for it too."""
    from twolayer.verification.programs.rules import inside, is_rule

    found: dict[str, list[tuple[Any, list, At]]] = {}
    for at in points[: 2 * POINTS_INSIDE : 2]:
        try:
            with precision(BITS):
                met = inside(own, spec.built(at.values))
        except (Undecided, NotJudged, Refused):
            continue
        if is_rule(own, spec.built(at.values)):
            return verdict
        for i, (rule, operands) in enumerate(met):
            found.setdefault(f"{rule.name} {i}", []).append((rule, operands, at))
    outputs: dict[str, dict[str, str | None]] = {}
    for some in list(found.values())[:MOST_INSIDE]:
        outputs = _judged_inside(some, own, seed) | outputs
    said = tuple(f"the rule {name} by itself: {one['verdict']}" for name, one in outputs.items())
    text = "\n".join([verdict.text, *(f"  {one}" for one in said)])
    return dataclasses.replace(verdict, notes=verdict.notes + said, text=text)


def _judged_inside(some: Sequence[tuple[Any, list, At]], own: Any, seed: int) -> dict[str, dict[str, str | None]]:
    """A rule by itself, on what it is applied to inside of the function."""
    from twolayer.verification.programs.jax_code import JaxProgram
    from twolayer.verification.programs.rules import LOOPS, forward_value, has, plain_program, pullback

    name, cases = some[0][0].name, []
    for rule, operands, at in some:
        program = JaxProgram(rule.function, own.filename, own.source)
        plain, rng = plain_program(program), np.random.default_rng([seed, 17])
        try:
            with precision(BITS):
                real = [a for a in leaves(plain.run(*operands).result).values() if is_real(a)]
            outer = [exactly(np.asarray(rng.normal(size=np.shape(a)))) for a in real]
            mine, right = (
                functools.partial(_applied, rule, operands, outer, value, pullback(program, plain=of_plain))
                for value, of_plain in ((forward_value(program), False), (plain, True))
            )
            rough = has(program, operands, LOOPS)
            question = Question(name, Arguments({}, {}), mine, right, own, approximates=rough)
            cases.append(compared(question, at._replace(kind="ordinary"), Branches(own)))
        except (Undecided, NotJudged, Refused):
            continue
    known = [one for one in cases if one.reason is None and not one.tied]
    return {f"{name}.{output}": one for output, one in (judged(question, known) if known else {}).items()}


def _applied(rule: Any, operands: list, outer: list, value: Any, pull: Any, at: At) -> dict[str, np.ndarray]:
    """The value and the cotangents of a rule, by the names of its arguments."""
    slopes = zip(rule.arguments, pull.run(operands, outer).result, strict=True)
    found = {f"d{name}": np.asarray(a, object) for name, a in slopes if name and a is not None}
    outputs = value.run(*operands).result
    return named(leaves(outputs[0] if len(outputs) == 1 else outputs)) | found

"""Verify any derivative: equal functions, gradients, pullbacks, custom rules, Hessian-vector products.

Each is one question, asked at many points, sizes and scales: are two computations the same over the reals? The judge is
that of the two-layer network; what is special to that stands in problem.py.
"""

import dataclasses
import inspect
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.evidence.branches import Branches
from twolayer.verification.evidence.cases import DIFFERENT, EQUAL, UNKNOWN, compare, finite
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.shapes import Arguments, BadShapes, arguments
from twolayer.verification.explain.anywhere import Located, locate
from twolayer.verification.numbers import balls as numbers
from twolayer.verification.numbers.balls import BITS, MORE_BITS, Ball, Undecided, arb, precision
from twolayer.verification.programs import NotJudged, Program, RaisedInside, Refused
from twolayer.verification.programs.load import program_of
from twolayer.verification.reference import Reference, is_real, leaves, names, weighted
from twolayer.verification.verdict import Judgement, worst

SCALES = (1e-12, 1e-6, 1e-3, 1e3, 1e6, 1e12)
ORDINARY = 2  # points at each size
VALUE = "value"

Values = Mapping[str, np.ndarray]


class At(NamedTuple):
    """A point: the sizes of the letters, the values of all arguments as balls or integers, and its kind."""

    kind: str
    sizes: dict[str, int]
    values: dict[str, np.ndarray]


class Compared(NamedTuple):
    """Both sides at a point, by the name of the output. `reason`: why one could not be followed."""

    at: At
    mine: dict[str, np.ndarray]
    right: dict[str, np.ndarray]
    reason: str | None = None


Side = Callable[[At], dict[str, np.ndarray]]


class Question(NamedTuple):
    """Two computations that shall be the same.

    title: what is asked, for the screen. program: the user's code, whose lines are named.
    reference: the function whose derivative it is, where it is one; `outer`: its cotangents at a point.
    notes: what is to be said beside the verdict.
    """

    title: str
    arguments: Arguments
    mine: Side
    right: Side
    program: Program
    reference: Reference | None = None
    outer: Callable[[At], dict[str, np.ndarray]] | None = None
    run: Callable[[At, bool], Any] | None = None
    notes: tuple[str, ...] = ()


def equal(f: Any, g: Any, shapes: Any, *, domains: Any = None, strict: bool = False, seed: int = 0) -> Judgement:
    """Are two functions the same function, value by value?

    Args:
      f, g: functions of the same arguments, in JAX, NumPy or plain Python.
      shapes: of the arguments (evidence/shapes.py): a mapping from names, or a sequence of example arrays.
      domains: where their numbers are drawn from, by name.
      strict: whether "right" is "undecided" where a branch was never entered.
      seed: of the points.

    Raises:
      ValueError: in one line: the shapes mean nothing, or a function raises or is random.
    """
    own, other = program_of(f), program_of(g)
    spec = _arguments(shapes, domains, own.function)

    def side(program: Program) -> Side:
        return lambda at: _named(leaves(program.run(*spec.built(at.values)).result))

    question = Question(
        "equal", spec, side(own), side(other), own, run=lambda at, watch: own.run(*spec.built(at.values), watch=watch)
    )
    return _judge(question, strict, seed)


def verify_gradient(
    loss: Any,
    gradients: Any,
    shapes: Any,
    *,
    argnums: int | Sequence[int] | None = None,
    domains: Any = None,
    expects: Mapping[str, Any] | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Judgement:
    """Is `gradients` the gradient of `loss`?

    Args:
      loss: a function that returns one number.
      gradients: a function of the same arguments: a mapping by name ("W1" or "dW1"; "params.W1" or a mapping for a
        nested argument), a tuple in the order of the floating arguments, or one array.
      shapes, domains, strict, seed: as of `equal`.
      argnums: as of jax.grad. None: what is returned is judged.
      expects: name -> "zero", or a function of the arguments that gives the derivative wanted there.

    Raises:
      ValueError: as of `equal`; or the loss is no single number.
    """
    program, statement = program_of(gradients), program_of(loss)
    spec = _arguments(shapes, domains, statement.function)
    reference, wanted = Reference(statement, spec), names(spec, argnums)

    def run(at: At, watch: bool = False) -> Any:
        return program.run(*spec.built(at.values), watch=watch)

    def outer(at: At) -> dict[str, np.ndarray]:
        return {path: _ones(array) for path, array in reference.value(at.values).items()}

    return _judge_derivative("gradient", spec, program, reference, wanted, run, outer, argnums, expects, strict, seed)


def verify_vjp(
    f: Any,
    vjp: Any,
    shapes: Any,
    *,
    argnums: int | Sequence[int] | None = None,
    domains: Any = None,
    expects: Mapping[str, Any] | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Judgement:
    """Is `vjp(*arguments, cotangent)` the pullback of f? The cotangent has the structure of f's output.

    Arguments are those of `verify_gradient`; None in the place of a cotangent means zero.
    """
    program, statement = program_of(vjp), program_of(f)
    spec = _arguments(shapes, domains, statement.function)
    reference, wanted = Reference(statement, spec), names(spec, argnums)
    outer = _Outer(reference, seed)

    def run(at: At, watch: bool = False) -> Any:
        return program.run(*spec.built(at.values), outer.structured(at), watch=watch)

    return _judge_derivative("pullback", spec, program, reference, wanted, run, outer, argnums, expects, strict, seed)


def verify_hvp(
    loss: Any,
    hvp: Any,
    shapes: Any,
    *,
    argnums: int | Sequence[int] | None = None,
    domains: Any = None,
    strict: bool = False,
    seed: int = 0,
) -> Judgement:
    """Is `hvp(*arguments, *directions)` the Hessian of `loss` times the directions, one for each argument of argnums?

    The right product is the derivative of <gradient, directions>; of NumPy code the central difference of the gradient.
    """
    program, statement = program_of(hvp), program_of(loss)
    spec = _arguments(shapes, domains, statement.function)
    reference, wanted = Reference(statement, spec), names(spec, argnums)
    rng = np.random.default_rng(seed + 1)

    @_once
    def directions(at: At) -> dict[str, np.ndarray]:
        return {path: exactly(rng.normal(size=at.values[path].shape)) for path in wanted}

    def structured(at: At) -> list[Any]:
        parts = [part for part in spec.parts if any(p == part or p.startswith(f"{part}.") for p in wanted)]
        built = dict(zip(spec.parts, spec.built(dict(at.values) | directions(at)), strict=True))
        return [built[part] for part in parts]

    def run(at: At, watch: bool = False) -> Any:
        return program.run(*spec.built(at.values), *structured(at), watch=watch)

    def right(at: At) -> dict[str, np.ndarray]:
        ones = {path: _ones(array) for path, array in reference.value(at.values).items()}
        return {f"d{p}": v for p, v in _second(reference, at.values, ones, directions(at)).items() if p in wanted}

    question = Question(
        "Hessian-vector product",
        spec,
        lambda at: _by_argument(run(at).result, spec, wanted, argnums),
        right,
        program,
        run=run,
    )
    return _judge(question, strict, seed)


def verify_rule(
    f: Any,
    shapes: Any,
    *,
    reference: Any = None,
    domains: Any = None,
    expects: Mapping[str, Any] | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Judgement:
    """Does the custom rule of f, or those inside it, give the value and the derivative of its plain program?

    Args:
      f: decorated with jax.custom_vjp, custom_jvp or custom_gradient, or a function that contains such, or a kernel.
      shapes, domains, strict, seed: as of `equal`.
      reference: a function whose value and derivative it must have, in place of its own plain program.
      expects: name -> "zero", or a function of the arguments and the cotangent, for what is meant to differ.
    """
    from twolayer.verification.programs.jax_code import JaxProgram
    from twolayer.verification.programs.rules import forward_value, pullback, rules

    if not callable(f):
        raise Refused(f"{f!r} is no function")
    own = JaxProgram(f)
    spec = _arguments(shapes, domains, f)
    if reference is None and not any(rules(own, spec.built(_points(spec, seed)[0].values))):
        raise Refused("there is no custom rule in it; give a reference, or use verify_vjp")
    right = Reference(program_of(reference) if reference is not None else own, spec)
    if reference is None:
        right.program = _plain(own)
    outer, wanted, pull, forward = _Outer(right, seed), spec.floating, pullback(own, plain=False), forward_value(own)

    def run(at: At, watch: bool = False) -> Any:
        return pull.run(spec.built(at.values), list(outer(at).values()), watch=watch)

    notes = _undifferentiable(run, _points(spec, seed)[0])
    if notes:
        wanted, forward = [], own

    def mine(at: At) -> dict[str, np.ndarray]:
        value = _named(leaves(forward.run(*spec.built(at.values)).result))
        found: dict[str, np.ndarray] = {}
        for name, part in zip(spec.parts, run(at).result if wanted else (), strict=bool(wanted)):
            found |= {f"d{path}": array for path, array in leaves(part, name).items()}
        return value | {f"d{path}": found.get(f"d{path}", _zeros(at.values[path])) for path in wanted}

    def both(at: At) -> dict[str, np.ndarray]:
        if not wanted:
            return _named(right.value(at.values))
        found = _expected(right.cotangents(at.values, outer(at)), expects, spec, at, outer)
        return _named(right.value(at.values)) | {f"d{path}": found[path] for path in wanted}

    question = Question("custom rule", spec, mine, both, own, right if wanted else None, outer, run, notes)
    return _judge(question, strict, seed)


def _undifferentiable(run: Callable, at: At) -> tuple[str, ...]:
    """What to say of a function that JAX cannot differentiate, such as a kernel without a rule: its value is judged."""
    try:
        with precision(BITS):
            run(at)
    except RaisedInside as error:
        if re.search("reverse-mode|differentiat", str(error)):
            return ("JAX cannot differentiate it, and it has no rule: its value alone is judged",)
        raise
    except (Undecided, NotJudged):
        pass
    return ()


def _plain(program: Any) -> Any:
    from twolayer.verification.programs.jax_code import JaxProgram
    from twolayer.verification.programs.rules import plain

    return JaxProgram(plain(program.function), program.filename, program.source)


def _judge_derivative(
    title: str, spec: Arguments, program: Program, reference: Reference, wanted: list[str], run: Callable,
    outer: Callable, argnums: Any, expects: Any, strict: bool, seed: int,
) -> Judgement:  # fmt: skip
    """A gradient or a pullback beside the right one; of a mapping the arguments that it names, unless argnums are."""
    if argnums is None:
        with precision(BITS):
            first = run(_points(spec, seed)[0]).result
        if isinstance(first, Mapping) or hasattr(first, "_asdict"):
            named_ = _by_argument(first, spec, wanted, argnums)
            wanted = [path for path in wanted if f"d{path}" in named_]

    def mine(at: At) -> dict[str, np.ndarray]:
        return _by_argument(run(at).result, spec, wanted, argnums)

    def right(at: At) -> dict[str, np.ndarray]:
        found = _expected(reference.cotangents(at.values, outer(at)), expects, spec, at, outer)
        return {f"d{path}": found[path] for path in wanted}

    return _judge(Question(title, spec, mine, right, program, reference, outer, run), strict, seed)


def _once(draw: Callable[[At], Any]) -> Callable[[At], Any]:
    """What is drawn at a point, the same whenever it is asked for. The point is kept too: its id stands for it."""
    known: dict[int, tuple[At, Any]] = {}

    def drawn(at: At) -> Any:
        if id(at) not in known:
            known[id(at)] = (at, draw(at))
        return known[id(at)][1]

    return drawn


class _Outer:
    """Random cotangents of the real outputs of a function, the same whenever they are asked for at a point."""

    def __init__(self, reference: Reference, seed: int):
        self.reference, self.rng, self.drawn = reference, np.random.default_rng([seed, 7]), _once(self._draw)

    def __call__(self, at: At) -> dict[str, np.ndarray]:
        return self.drawn(at)

    def _draw(self, at: At) -> dict[str, np.ndarray]:
        outputs = self.reference.value(at.values)
        return {path: exactly(self.rng.normal(size=array.shape)) for path, array in outputs.items()}

    def structured(self, at: At) -> Any:
        """The cotangents in the structure of the output."""
        flat = self(at)
        if list(flat) == [""]:
            return flat[""]
        if all(path.startswith("[") for path in flat):
            return tuple(flat.values())
        return dict(flat)


def _second(reference: Reference, values: Values, outer: Values, directions: Values) -> dict[str, np.ndarray]:
    """The Hessian times a direction, by the central difference of the gradient in 1,100 bits."""
    import flint

    from twolayer.verification.numbers.balls import DIFFERENCE_BITS
    from twolayer.verification.numbers.differences import STEP

    with precision(DIFFERENCE_BITS):
        h = Ball(flint.arb(2) ** -STEP)
        sides = []
        for sign in (1, -1):
            moved = {p: a + sign * h * directions[p] if p in directions else a for p, a in values.items()}
            sides.append(reference.cotangents(moved, outer))
        found = {p: (sides[0][p] - sides[1][p]) / (2 * h) for p in sides[0]}
    with precision(BITS):
        return {p: np.frompyfunc(lambda v: Ball(v.v + flint.arb(0, 2.0**-500)), 1, 1)(a) for p, a in found.items()}


def _arguments(shapes: Any, domains: Any, function: Callable) -> Arguments:
    try:
        taken = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        taken = []
    try:
        return arguments(shapes, domains, taken)
    except BadShapes as error:
        raise Refused(str(error)) from error


def _named(outputs: Values) -> dict[str, np.ndarray]:
    """Outputs under the names "value", "value[0]", ...: those that are numbers."""
    return {
        f"{VALUE}{path if path.startswith('[') or not path else f'.{path}'}": array for path, array in outputs.items()
    }


def _by_argument(result: Any, spec: Arguments, wanted: Sequence[str], argnums: Any) -> dict[str, np.ndarray]:
    """What a derivation returned, by the paths of the arguments, as "dW1".

    Raises:
      Refused: a name that is no argument, or another number of arrays.
    """
    if result is None:
        raise Refused("it returned nothing")
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        found = {}
        for path, array in leaves(result).items():
            known = next((p for p in (path, path[1:] if path.startswith("d") else path) if p in spec.floating), None)
            if known is None:
                raise Refused(
                    f"it returned {path!r}, which is no argument; the arguments are {', '.join(spec.floating)}"
                )
            found[f"d{known}"] = _numbers(array, known)
        return found
    if isinstance(result, (tuple, list)) and len(wanted) != 1:
        if len(result) != len(wanted):
            raise Refused(f"it returned {len(result)} arrays for the {len(wanted)} arguments {', '.join(wanted)}")
        return {f"d{p}": _numbers(a, p) for p, a in zip(wanted, result, strict=True) if a is not None}
    result = result[0] if isinstance(result, (tuple, list)) and len(result) == 1 else result
    if len(wanted) != 1:
        if argnums is None and not isinstance(result, (tuple, list)):
            return {f"d{wanted[0]}": _numbers(result, wanted[0])}
        raise Refused(f"it returned one array for the arguments {', '.join(wanted)}")
    return {f"d{wanted[0]}": _numbers(result, wanted[0])}


def _numbers(value: Any, path: str) -> np.ndarray:
    """What was returned for an argument, as an array of real numbers.

    Raises:
      Refused: it is something else.
    """
    flat = np.asarray(value, object).ravel().tolist() if np.ndim(value) else []
    if flat and all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in flat):
        raise Refused(f"it returned integers for {path}: a derivative is an array of floats")
    array = np.asarray(value, object)
    other = next((v for v in array.ravel().tolist() if not isinstance(v, (Ball, int, float, np.number))), None)
    if other is not None:
        raise Refused(f"it returned a {type(other).__name__} for {path}, and numbers are wanted")
    return array


def _expected(
    found: dict[str, np.ndarray], expects: Any, spec: Arguments, at: At, outer: Callable
) -> dict[str, np.ndarray]:
    """The right derivatives, with those that are meant to be others."""
    for name, wanted in (expects or {}).items():
        path = name if name in found else name.removeprefix("d")
        if path not in found:
            raise Refused(f"expects names {name!r}, which is no argument of floats")
        if wanted == "zero":
            found = found | {path: _zeros(found[path])}
            continue
        if not callable(wanted):
            raise Refused(f'expects[{name!r}] is {wanted!r}; it must be "zero" or a function')
        program = program_of(wanted)
        extra = [next(iter(outer(at).values()))] if len(inspect.signature(wanted).parameters) > len(spec.parts) else []
        found = found | {path: np.asarray(program.run(*spec.built(at.values), *extra).result, object)}
    return found


def _ones(array: np.ndarray) -> np.ndarray:
    if np.size(array) != 1:
        raise Refused(f"the loss must return one number; it returned an array of shape {np.shape(array)}")
    return np.full(np.shape(array), Ball(1), object) if np.ndim(array) else np.asarray(Ball(1), object)


def _zeros(array: np.ndarray) -> np.ndarray:
    return np.full(np.shape(array), Ball(0), object)


def _points(spec: Arguments, seed: int) -> list[At]:
    """Ordinary points at every size, and points of all scales at the first.

    Raises:
      Refused: a domain gives what it should not.
    """
    try:
        return _drawn(spec, seed)
    except BadShapes as error:
        raise Refused(str(error)) from error


def _drawn(spec: Arguments, seed: int) -> list[At]:
    rng, found = np.random.default_rng(seed), []

    def at(kind: str, sizes: dict[str, int], scale: Callable[[str], float] | None = None) -> At:
        drawn = spec.draw(sizes, rng, scale)
        return At(kind, sizes, {p: exactly(a) if a.dtype.kind == "f" else a for p, a in drawn.items()})

    sizes = spec.sizes()
    for one in sizes:
        found += [at("ordinary", one) for _ in range(ORDINARY)]
    found += [at("scaled", sizes[0], lambda path, s=s: s) for s in SCALES]
    for _ in range(4):
        each = {path: 10.0 ** rng.uniform(-3, 3) for path in spec.floating}
        found.append(at("scaled", sizes[0], lambda path, each=each: each.get(path, 1.0)))
    return found


def _judge(question: Question, strict: bool, seed: int) -> Judgement:
    """Both sides at every point; then where and why they differ."""
    started = time.perf_counter()
    numbers.rounded.clear()
    branches = Branches(question.program)
    compared = [_compared(question, at, branches) for at in _points(question.arguments, seed)]
    known = [one for one in compared if one.reason is None]
    _check_repeats(question, known)
    if question.reference is not None and question.outer is not None:
        for one in known[:1]:
            question.reference.check(one.at.values, question.outer(one.at))
    outputs = _outputs(question, compared)
    verdict = worst(one["verdict"] or "undecided" for one in outputs.values()) if outputs else "undecided"
    seen = branches.seen()
    one_sided = [place for place, sides in seen.items() if sides != "both"]
    notes = (
        [f"never entered on the other side: {', '.join(f'{p} ({seen[p]})' for p in one_sided[:4])}"]
        if one_sided
        else []
    )
    if numbers.rounded:
        notes.append(f"up to the rounding of {', '.join(sorted(map(repr, numbers.rounded))[:4])}")
    if strict and verdict == "right" and one_sided:
        verdict = "undecided"
    notes += question.notes
    ordinary = [one for one in known if one.at.kind == "ordinary"]
    located = locate(question, ordinary, outputs) if verdict == "wrong" else Located()
    judged = Judgement(
        verdict,
        outputs,
        located.causes,
        located.line,
        located.line_number,
        seen,
        tuple(notes),
        seconds=time.perf_counter() - started,
    )
    return dataclasses.replace(judged, text=_text(question, judged, known))


def _compared(question: Question, at: At, branches: Branches) -> Compared:
    """Both sides at a point, with more bits where the first are not enough."""
    reason = None
    for bits in (BITS, *MORE_BITS):
        try:
            with precision(bits):
                with branches.watching():
                    mine = question.mine(at)
                right = question.right(at)
        except Undecided as error:
            reason = str(error)
            continue
        except NotJudged as error:
            return Compared(at, {}, {}, str(error))
        except RaisedInside:
            if at.kind == "ordinary" and min(at.sizes.values(), default=2) > 1:
                raise
            return Compared(at, {}, {}, "its code raises here")
        states = [compare(mine[name], right[name]) for name in mine if name in right]
        if not any((state == UNKNOWN).any() for state in states):
            return Compared(at, mine, right)
        reason = "it is not known well enough"
    return Compared(at, {}, {}, reason)


def _check_repeats(question: Question, known: Sequence[Compared]) -> None:
    for one in known[:1]:
        with precision(BITS):
            again = question.mine(one.at)
        if any((compare(again[name], one.mine[name]) == DIFFERENT).any() for name in one.mine):
            raise Refused("it gives another result when it is called again: it depends on more than its arguments")


def _outputs(question: Question, compared: Sequence[Compared]) -> dict[str, dict[str, str | None]]:
    """The verdict on each output."""
    names_ = dict.fromkeys(name for one in compared for name in (*one.right, *one.mine))
    reason = next((one.reason for one in compared if one.reason and one.at.kind == "ordinary"), None)
    found: dict[str, dict[str, str | None]] = {}
    for name in names_:
        states: set[int] = set()
        wrong = None
        for one in compared:
            if name not in one.mine or name not in one.right:
                continue
            if np.shape(one.mine[name]) != np.shape(one.right[name]):
                wrong = f"it has shape {np.shape(one.mine[name])}, and {np.shape(one.right[name])} is right"
                states.add(DIFFERENT)
                continue
            if one.at.kind == "ordinary" and not finite(one.mine[name]) and finite(one.right[name]):
                wrong = "NaN or infinity comes out"
                states.add(DIFFERENT)
                continue
            states |= set(np.unique(compare(one.mine[name], one.right[name])).tolist())
        absent = next(
            (words for words, one in ABSENT.items() if not any(name in getattr(c, one) for c in compared)), None
        )
        if absent and any(one.mine for one in compared):
            verdict = "not_derived" if name[0] == "d" else "wrong"
            found[name] = {"verdict": verdict, "reason": absent}
        elif DIFFERENT in states:
            found[name] = {"verdict": "wrong", "reason": wrong}
        elif not states or UNKNOWN in states or reason:
            found[name] = {"verdict": "undecided", "reason": reason or "it is not known well enough"}
        else:
            found[name] = {"verdict": "right", "reason": None}
    if not found and reason:
        found["result"] = {"verdict": "undecided", "reason": reason}
    return found


ABSENT = {"it is not returned": "mine", "the other function does not return it": "right"}
WORDS = {"right": "RIGHT", "wrong": "WRONG", "undecided": "UNDECIDED", "not_derived": "NOT DERIVED"}


def _text(question: Question, judged: Judgement, known: Sequence[Compared]) -> str:
    """What the terminal shows."""
    name = question.program.function.__name__ if hasattr(question.program.function, "__name__") else "the function"
    first = f"{WORDS[judged.verdict]}: {name}, {question.title}"
    if judged.line_number:
        first = f"{WORDS[judged.verdict]} at line {judged.line_number}: {judged.line}"
    shown = [first]
    shown += [f"  {why.text}" for why in judged.causes[:3]]
    if len(judged.causes) > 3:
        shown.append(f"  or another of {len(judged.causes)} causes")
    for output, one in judged.outputs.items():
        shown.append(
            f"  {output:12s} {str(one['verdict']).replace('_', ' ')}" + (f": {one['reason']}" if one["reason"] else "")
        )
    sizes = len({tuple(one.at.sizes.items()) for one in known})
    shown.append(f"  {len(known)} points, {sizes} sizes, to 60 digits; {judged.seconds:.1f} s")
    shown += [f"  {note}" for note in judged.notes]
    worst_one = _example(judged, known)
    return "\n".join(shown + ([worst_one] if worst_one else []))


def _example(judged: Judgement, known: Sequence[Compared]) -> str | None:
    """One wrong entry, with both values, at the smallest point that has one."""
    ordered = sorted(known, key=lambda one: sum(np.size(v) for v in one.at.values.values()))
    for one in ordered:
        for name, output in judged.outputs.items():
            if (
                output["verdict"] == "wrong"
                and name in one.mine
                and np.shape(one.mine[name]) == np.shape(one.right.get(name))
            ):
                wrong = np.argwhere(compare(one.mine[name], one.right[name]) != EQUAL)
                if len(wrong):
                    at = tuple(int(i) for i in wrong[0])
                    mine, right = (
                        float(arb(side[name][at] if at else side[name].item())) for side in (one.mine, one.right)
                    )
                    sizes = ", ".join(f"{k} = {v}" for k, v in one.at.sizes.items())
                    return f"  {name}{list(at) if at else ''}: yours {mine:.6g}, right {right:.6g} ({sizes})"
    return None


__all__ = ["equal", "is_real", "verify_gradient", "verify_hvp", "verify_rule", "verify_vjp", "weighted"]

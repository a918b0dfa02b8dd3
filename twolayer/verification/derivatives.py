"""Verify any derivative: equal functions, gradients, pullbacks, Hessian-vector products; rules are in custom_rules.py.

Each is one question, asked at many points, sizes and scales: are two computations the same over the reals? The judge is
that of the two-layer network; what is special to that stands in problem.py.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flint
import numpy as np

from twolayer.verification.evidence.exploring import drawn
from twolayer.verification.evidence.points import exactly
from twolayer.verification.evidence.questions import EXAMPLE, Again, At, Question, Values, once
from twolayer.verification.evidence.returned import by_argument, expected, named, ones
from twolayer.verification.evidence.shapes import Arguments, arguments
from twolayer.verification.judgement import judge
from twolayer.verification.numbers.balls import BITS, DIFFERENCE_BITS, Ball, each, precision
from twolayer.verification.numbers.differences import STEP
from twolayer.verification.programs import Program
from twolayer.verification.programs.load import program_of
from twolayer.verification.reference import Reference, leaves, names
from twolayer.verification.verdict import Judgement, Reason


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
    spec = spec_of(shapes, domains, own.function)

    def side(program: Program) -> Callable[[At], dict[str, np.ndarray]]:
        return lambda at: named(leaves(program.run(*spec.built(at.values)).result))

    question = Question(
        "equal",
        spec,
        side(own),
        side(other),
        own,
        run=lambda at, watch: own.run(*spec.built(at.values), watch=watch),
        again=Again(lambda at: spec.built(at.values), lambda result: named(leaves(result))),
    )
    return judge(question, strict, seed)


def verify_gradient(
    loss: Any,
    gradients: Any,
    shapes: Any,
    *,
    argnums: int | Sequence[int] | None = None,
    domains: Any = None,
    expects: Mapping[str, Any] | None = None,
    allow_guards: bool = False,
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
      allow_guards: whether what is right but for constants such as the 1e-8 under a root is right.

    Raises:
      ValueError: as of `equal`; or the loss is no single number.
    """
    program, statement = program_of(gradients), program_of(loss)
    spec = spec_of(shapes, domains, statement.function)
    reference, wanted = Reference(statement, spec), names(spec, argnums)

    def given(at: At) -> Sequence[Any]:
        return spec.built(at.values)

    @once
    def outer(at: At) -> dict[str, np.ndarray]:
        return {path: ones(array) for path, array in reference.value(at.values).items()}

    return judged_derivative(
        "gradient", spec, program, reference, wanted, given, outer, argnums, expects, strict, seed, allow_guards
    )


def verify_vjp(
    f: Any,
    vjp: Any,
    shapes: Any,
    *,
    argnums: int | Sequence[int] | None = None,
    domains: Any = None,
    expects: Mapping[str, Any] | None = None,
    allow_guards: bool = False,
    strict: bool = False,
    seed: int = 0,
) -> Judgement:
    """Is `vjp(*arguments, cotangent)` the pullback of f? The cotangent has the structure of f's output.

    Arguments are those of `verify_gradient`; None in the place of a cotangent means zero.
    """
    program, statement = program_of(vjp), program_of(f)
    spec = spec_of(shapes, domains, statement.function)
    reference, wanted = Reference(statement, spec), names(spec, argnums)
    outer = Outer(reference, seed)

    def given(at: At) -> Sequence[Any]:
        return [*spec.built(at.values), outer.structured(at)]

    return judged_derivative(
        "pullback", spec, program, reference, wanted, given, outer, argnums, expects, strict, seed, allow_guards
    )


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

    The right product is the derivative of the gradient along the directions; of NumPy code the central difference of
    the gradient in 1,100 bits.
    """
    program, statement = program_of(hvp), program_of(loss)
    spec = spec_of(shapes, domains, statement.function)
    reference, wanted = Reference(statement, spec), names(spec, argnums)
    rng = np.random.default_rng(seed + 1)

    @once
    def directions(at: At) -> dict[str, np.ndarray]:
        return {path: drawn_at(at, rng, np.shape(at.values[path])) for path in wanted}

    def structured(at: At) -> list[Any]:
        parts = [part for part in spec.parts if any(p == part or p.startswith(f"{part}.") for p in wanted)]
        built = dict(zip(spec.parts, spec.built(dict(at.values) | directions(at)), strict=True))
        return [built[part] for part in parts]

    def given(at: At) -> Sequence[Any]:
        return [*spec.built(at.values), *structured(at)]

    def run(at: At, watch: bool = False) -> Any:
        return program.run(*given(at), watch=watch)

    def outputs(result: Any) -> dict[str, np.ndarray]:
        return by_argument(result, spec, wanted, argnums)

    @once
    def outer(at: At) -> dict[str, np.ndarray]:
        return {path: ones(array) for path, array in reference.value(at.values).items()}

    def right(at: At) -> dict[str, np.ndarray]:
        return {f"d{p}": v for p, v in second(reference, at.values, outer(at), directions(at)).items() if p in wanted}

    question = Question(
        "Hessian-vector product",
        spec,
        lambda at: outputs(run(at).result),
        right,
        program,
        run=run,
        again=Again(given, outputs),
        extra=lambda at: {f"v{i or ''}": one for i, one in enumerate(structured(at))},
        known=lambda at, mine: _gauss_newton(reference, at, directions(at), mine),
        met=(reference, outer),
    )
    return judge(question, strict, seed)


def _gauss_newton(reference: Reference, at: At, directions: Values, mine: Values) -> Reason | None:
    """What is to be said of a wrong product that is the one of Gauss and Newton, of a loss in JAX."""
    from twolayer.verification.programs.jax_code import JaxProgram

    if not isinstance(reference.program, JaxProgram):
        return None
    from twolayer.verification.explain.gauss_newton import left_out

    wrong = {name[1:]: array for name, array in mine.items()}
    place = left_out(reference.program, reference.arguments.built, at.values, directions, wrong)
    if place is None:
        return None
    until = f" up to {place}" if place else ""
    said = "it is the Gauss-Newton product: the second derivative of what the loss is a function of is missing"
    return Reason("gauss_newton", f"{said}{until}")


def judged_derivative(
    title: str, spec: Arguments, program: Program, reference: Reference, wanted: list[str], given: Callable,
    outer: Callable, argnums: Any, expects: Any, strict: bool, seed: int, allow_guards: bool,
) -> Judgement:  # fmt: skip
    """A gradient or a pullback beside the right one; of a mapping the arguments that it names, unless argnums are."""

    def run(at: At, watch: bool = False) -> Any:
        return program.run(*given(at), watch=watch)

    if argnums is None:
        with precision(BITS):
            first = run(drawn(spec, program, seed)[0]).result
        if isinstance(first, Mapping) or hasattr(first, "_asdict"):
            returned = by_argument(first, spec, wanted, argnums)
            wanted = [path for path in wanted if f"d{path}" in returned]

    def outputs(result: Any) -> dict[str, np.ndarray]:
        return by_argument(result, spec, wanted, argnums)

    def right(at: At) -> dict[str, np.ndarray]:
        found = expected(reference.cotangents(at.values, outer(at)), expects, spec, at, outer)
        return {f"d{path}": found[path] for path in wanted}

    extra = (lambda at: {"g": outer.structured(at)}) if isinstance(outer, Outer) else None
    question = Question(
        title,
        spec,
        lambda at: outputs(run(at).result),
        right,
        program,
        reference,
        outer,
        run,
        extra=extra,
        again=Again(given, outputs),
    )
    return judge(question, strict, seed, allow_guards)


def drawn_at(at: At, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of a cotangent or a direction; small whole ones at an example that people shall read."""
    return exactly(np.asarray(rng.integers(1, 3, size=shape) * 1.0 if at.kind == EXAMPLE else rng.normal(size=shape)))


class Outer:
    """Random cotangents of the real outputs of a function, the same whenever they are asked for at a point."""

    def __init__(self, reference: Reference, seed: int):
        self.reference, self.rng, self.drawn = reference, np.random.default_rng([seed, 7]), once(self._draw)
        self.shapes: dict[tuple, dict[str, tuple[int, ...]]] = {}  # of the outputs, by the sizes of the letters

    def __call__(self, at: At) -> dict[str, np.ndarray]:
        return self.drawn(at)

    def _draw(self, at: At) -> dict[str, np.ndarray]:
        sizes = tuple(at.sizes.items())
        if sizes not in self.shapes:
            self.shapes[sizes] = {path: np.shape(array) for path, array in self.reference.value(at.values).items()}
        return {path: drawn_at(at, self.rng, shape) for path, shape in self.shapes[sizes].items()}

    def structured(self, at: At) -> Any:
        """The cotangents in the structure of the output."""
        flat = self(at)
        if list(flat) == [""]:
            return flat[""]
        if all(path.startswith("[") for path in flat):
            return tuple(flat.values())
        return dict(flat)


def second(reference: Reference, values: Values, outer: Values, directions: Values) -> dict[str, np.ndarray]:
    """The Hessian times a direction: of JAX code by jax.jvp of its pullback, else by the central difference of that."""
    if reference.jax:
        return reference.second(values, directions, outer)
    with precision(DIFFERENCE_BITS):
        h = Ball(flint.arb(2) ** -STEP)
        sides = []
        for sign in (1, -1):
            moved = {p: a + sign * h * directions[p] if p in directions else a for p, a in values.items()}
            sides.append(reference.cotangents(moved, outer))
        found = {p: (sides[0][p] - sides[1][p]) / (2 * h) for p in sides[0]}
    with precision(BITS):
        return {p: each(lambda v: Ball(v.v + flint.arb(0, 2.0**-500)), a) for p, a in found.items()}


def spec_of(shapes: Any, domains: Any, function: Callable) -> Arguments:
    """What a function takes, from the shapes; example arrays are taken by its own parameter names."""
    try:
        taken = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        taken = []
    return arguments(shapes, domains, taken)

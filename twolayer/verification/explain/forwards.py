"""The wrong forward passes of a setting, each with the lines of back-propagation that follow from it."""

import functools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.explain import wrong_forwards as tables
from twolayer.verification.explain.catalogue import random_scope
from twolayer.verification.explain.edits import constants, said, tidy, with_constant
from twolayer.verification.explain.lines import Line, Misfit, compute
from twolayer.verification.explain.rows import formula_of
from twolayer.verification.explain.wrong_forwards import ForwardRow
from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.texts import reads
from twolayer.verification.problem import (
    LEAVES,
    LETTERS,
    STEPS,
    TRACE,
    Activation,
    Scope,
    Setting,
    activation,
    forward_lines,
    of_layer,
    others,
    right_lines,
)


class Forward(NamedTuple):
    """A wrong forward pass.

    Attributes:
      id, text: the cause, and what is wrong in one sentence; "{t}" stands for the literal.
      correction: the right lines of the forward pass that belong there, as code.
      formulas: Z1, O1, Z2 and O2, as it computes them.
      lines: the steps of back-propagation that follow from it otherwise than from the declared one.
      literal: it has a constant t, tried with each number that stands in the derivation.
    """

    id: str
    text: str
    correction: str
    formulas: dict[str, str]
    lines: dict[str, Line]
    literal: bool = False

    def compute(
        self, scope: Mapping[str, np.ndarray], t: float | Fraction | Ball | None = None
    ) -> dict[str, np.ndarray]:
        """Z1, O1, Z2 and O2 by name, from a scope of parameters and a batch.

        Raises:
          Misfit: it does not fit these sizes.
        """
        found = dict(scope)
        for name in TRACE:
            found[name] = compute(self.formulas[name], LETTERS[name], found, t)
        return {name: found[name] for name in TRACE}


@functools.lru_cache(maxsize=64)
def wrong_forwards(setting: Setting) -> tuple[Forward, ...]:
    """The forward passes that people confuse with the declared one; no two lead to the same gradients."""
    seen: list[np.ndarray] = [_gradients(None, setting)]
    found = []
    for row, other in _rows(setting):
        forward = _forward(row, other, setting)
        try:
            gradients = _gradients(forward, setting)
        except (Misfit, NameError):
            continue
        if np.isfinite(gradients).all() and not any(_same(gradients, known) for known in seen):
            seen.append(gradients)
            found.append(forward)
    return tuple(found)


def _rows(setting: Setting) -> Iterator[tuple[ForwardRow, Activation | None]]:
    """The rows of the tables that say something in a setting, the likelier first."""
    declared = activation(setting.output)
    for other in others(setting.output):
        same_line = other.name == "identity" and "O" not in reads(declared.derivative)  # then it is a wrong dO2
        yield from ((row, other) for row in tables.OTHER_OUTPUT[1 if same_line else 0 :])
    for layer, f in ((1, activation(setting.hidden)), (2, declared)):
        for constant in constants(f.value):
            value, slope = (with_constant(text, constant) for text in (f.value, f.derivative))
            text = f"the constant {constant} of {f.said} is {{t}}, in the forward pass and in dZ{layer}"
            changes = {f"O{layer}": of_layer(value, layer), f"dZ{layer}": of_layer(f"dO * ({slope})", layer)}
            yield ForwardRow("activation_constant", text, changes, (f"O{layer}",), True), None
    for row in tables.ROWS:
        if setting.biases or not {"b1", "b2"} & set().union(*map(reads, row.changes.values())):
            yield row, None
    for other in others(setting.hidden):
        if other.name != "identity":  # that is hidden_..._missing
            yield from ((row, other) for row in tables.OTHER_HIDDEN)
    for name, texts in tables.FOREIGN.items():
        yield tables.OTHER_HIDDEN[0], Activation(name, name, name, *texts, None, False)


def _forward(row: ForwardRow, other: Activation | None, setting: Setting) -> Forward:
    hidden, output = activation(setting.hidden), activation(setting.output)
    names = {"hidden": hidden.said, "output": output.said, "name": hidden.name}
    if other is not None:
        names |= {"other": other.a, "otherwise": _otherwise(output, other)}
    formulas = {name: tidy(formula_of(text, 1, setting, other)) for name, text in row.changes.items()}
    lines = {
        step: Line("right", step, f"{step} = {formula}", LETTERS[step], literal=row.literal)
        for step, formula in formulas.items()
        if step in STEPS
    }
    return Forward(
        said(row.id, names),
        said(row.text, names),
        ", ".join(said(text, names) if "=" in text else _shown(text, setting) for text in row.correction),
        {name: formulas.get(name, right) for name, right in forward_lines(setting).items()},
        lines,
        row.literal,
    )


def _otherwise(declared: Activation, other: Activation) -> str:
    """The output's activation exchanged for another one, as the beginning of a sentence."""
    if other.name == "identity":
        return f"the output's {declared.said} is left out"
    if declared.name == "identity":
        return f"{other.a} is put on the output"
    return f"the output has {other.a} where the declared one is {declared.said if declared.kink else declared.a}"


def _shown(name: str, setting: Setting) -> str:
    """A right line of the forward pass with its activation by name."""
    if name[0] == "Z":
        return f"{name} = {forward_lines(setting)[name]}"
    f = activation(setting.hidden if name == "O1" else setting.output)
    said_of_Z = f"Z{name[1]}" if f.name == "identity" else f"{f.said.replace(' ', '_')}(Z{name[1]})"
    return f"{name} = {said_of_Z}"


def _gradients(forward: Forward | None, setting: Setting) -> np.ndarray:
    """All leaves in a row, at random numbers of sizes that fit.

    Raises:
      Misfit: none fit.
    """
    try:
        return _at(forward, random_scope(setting, square=False), setting)
    except Misfit:
        return _at(forward, random_scope(setting, square=True), setting)


def _at(forward: Forward | None, scope: Scope, setting: Setting) -> np.ndarray:
    t, found, lines = 0.37, dict(scope), right_lines(setting)
    if forward is not None:
        found |= forward.compute(scope, t)
        lines = lines | forward.lines
    for step, line in lines.items():
        found[step] = line.compute(found, t)
    return np.concatenate([found[leaf].ravel() for leaf in LEAVES])


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=0))

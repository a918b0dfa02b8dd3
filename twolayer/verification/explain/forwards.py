"""Wrong forward passes. A derivation that starts from one can be consistent in itself, so each brings its own lines.

Each row says which of Z1, O1, Z2 and O2 it computes otherwise, and which steps then follow otherwise. In a formula
hidden(A) and output(A) are the declared activations of A, and other(A) and other_slope(A) those of the other one that
a row is about. In a sentence {hidden} and {output} are the declared ones ("ReLU"), {other} is the other one ("a ReLU").
"""

import functools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from twolayer.verification.explain.catalogue import formula_of, random_scope
from twolayer.verification.explain.edits import constants, said, tidy, with_constant
from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.texts import reads
from twolayer.verification.problem import (
    LEAVES,
    LETTERS,
    STEPS,
    TRACE,
    Activation,
    Line,
    Misfit,
    Scope,
    Setting,
    activation,
    compute,
    forward_lines,
    of_layer,
    others,
    right_lines,
)


class ForwardRow(NamedTuple):
    """A wrong forward pass as an entry of the tables.

    Attributes:
      id: the cause.
      text: what is wrong, in one sentence.
      changes: the formulas that differ, of the forward pass and of the steps that follow from it.
      correction: the right lines to show, by name or in words of their own.
      literal: it has a constant t.
    """

    id: str
    text: str
    changes: dict[str, str]
    correction: tuple[str, ...]
    literal: bool = False


# With another output activation than the declared one, in the forward pass alone or in dZ2 too.
OTHER_OUTPUT = (
    ForwardRow("other_output", "{otherwise} in the forward pass", {"O2": "other(Z2)"}, ("O2",)),
    ForwardRow("other_output", "{otherwise}, in the forward pass and in dZ2",
               {"O2": "other(Z2)", "dZ2": "dO2 * other_slope(Z2)"}, ("O2",)),
)  # fmt: skip

# With another hidden activation. A leaky ReLU has rows of its own, since its slope is a number of the derivation.
OTHER_HIDDEN = (
    ForwardRow("other_activation", "the hidden activation is {other}; the declared one is {hidden}",
               {"O1": "other(Z1)", "dZ1": "dO1 * other_slope(Z1)"}, ("O1",)),
    ForwardRow("other_activation", "the hidden activation is {other} in the forward pass; the declared one is {hidden}",
               {"O1": "other(Z1)"}, ("O1",)),
)  # fmt: skip

ROWS = (
    ForwardRow("bias_missing", "b1 is missing in Z1", {"Z1": "x @ W1.T"}, ("Z1",)),
    ForwardRow("bias_missing", "b2 is missing in Z2", {"Z2": "O1 @ W2.T"}, ("Z2",)),
    ForwardRow("bias_missing", "b1 and b2 are missing in the forward pass", {"Z1": "x @ W1.T", "Z2": "O1 @ W2.T"},
               ("Z1", "Z2")),
    ForwardRow("bias_outside", "b1 is added after the hidden {hidden}; it belongs inside",
               {"Z1": "x @ W1.T", "O1": "hidden(Z1) + b1"}, ("O1 = {hidden}(x @ W1.T + b1)",)),
    ForwardRow("bias_outside", "b1 is added after the hidden {hidden}; it belongs inside",
               {"Z1": "x @ W1.T", "O1": "hidden(Z1) + b1", "db1": "dO1.sum(axis=0)"},
               ("O1 = {hidden}(x @ W1.T + b1)",)),
    ForwardRow("bias_outside", "b2 is added after the output's {output}; it belongs inside",
               {"Z2": "O1 @ W2.T", "O2": "output(Z2) + b2"}, ("O2 = {output}(O1 @ W2.T + b2)",)),
    ForwardRow("bias_sign", "b1 is subtracted in Z1, as a threshold; it is added", {"Z1": "x @ W1.T - b1"}, ("Z1",)),
    ForwardRow("bias_sign", "b2 is subtracted in Z2, as a threshold; it is added", {"Z2": "O1 @ W2.T - b2"}, ("Z2",)),
    ForwardRow("bias_sign", "both biases are subtracted, as thresholds; they are added",
               {"Z1": "x @ W1.T - b1", "Z2": "O1 @ W2.T - b2"}, ("Z1", "Z2")),
    ForwardRow("bias_of_other_layer", "b2 stands where b1 belongs in Z1", {"Z1": "x @ W1.T + b2"}, ("Z1",)),
    ForwardRow("bias_of_other_layer", "b1 stands where b2 belongs in Z2", {"Z2": "O1 @ W2.T + b1"}, ("Z2",)),
    ForwardRow("hidden_{name}_missing", "the hidden layer has no {hidden}, in the forward pass and in dZ1",
               {"O1": "Z1", "dZ1": "dO1"}, ("O1",)),
    ForwardRow("hidden_{name}_missing", "the hidden layer has no {hidden} in the forward pass", {"O1": "Z1"}, ("O1",)),
    ForwardRow("hidden_{name}_missing", "Z1 stands where O1 belongs in Z2: the {hidden} is skipped in the forward pass",
               {"Z2": "Z1 @ W2.T + b2"}, ("Z2",)),
    ForwardRow("transpose", "W1 is not transposed in Z1; it runs only where d = K", {"Z1": "x @ W1 + b1"}, ("Z1",)),
    ForwardRow("transpose", "W2 is not transposed in Z2; it runs only where K = C", {"Z2": "O1 @ W2 + b2"}, ("Z2",)),
    ForwardRow("transpose", "W1 is reshaped where it must be transposed in Z1",
               {"Z1": "x @ W1.reshape(d, K) + b1"}, ("Z1",)),
    ForwardRow("transpose", "W2 is reshaped where it must be transposed in Z2",
               {"Z2": "O1 @ W2.reshape(K, C) + b2"}, ("Z2",)),
    ForwardRow("w2_for_w1", "W2 stands where W1 x belongs in the hidden layer", {"Z1": "W2 + b1"}, ("Z1",)),
    ForwardRow("w2_for_w1", "W2 stands where W1 belongs in the hidden layer", {"Z1": "x @ W2.T + b1"}, ("Z1",)),
    ForwardRow("w2_for_w1", "W2 stands where W1 x belongs in the hidden layer, and b2 is missing",
               {"Z2": "(W2 @ hidden(W2 + b1[:, None])).T"}, ("O2",)),
    ForwardRow("w1_for_w2", "W1 stands where W2 belongs in the output layer", {"Z2": "O1 @ W1.T + b2"}, ("Z2",)),
    ForwardRow("input_for_activation", "the input x stands where O1 belongs in the output layer",
               {"Z2": "x @ W2.T + b2"}, ("Z2",)),
    ForwardRow("activation_of_input", "the hidden activation is applied to the input x, not to Z1",
               {"Z1": "hidden(x) @ W1.T + b1", "O1": "Z1"}, ("Z1", "O1")),
    ForwardRow("activation_twice", "the hidden {hidden} is applied twice", {"O1": "hidden(hidden(Z1))"}, ("O1",)),
    ForwardRow("activation_twice", "the output's {output} is applied twice", {"O2": "output(output(Z2))"}, ("O2",)),
    ForwardRow("softmax_output", "a softmax is applied to the output before the loss; the declared output is {output}",
               {"O2": "softmax(Z2)"}, ("O2",)),
    ForwardRow("softmax_output", "a softmax is applied to the output before the loss, and left out in dZ2",
               {"O2": "softmax(Z2)", "dZ2": "dO2"}, ("O2",)),
    ForwardRow("softmax_output", "a softmax is applied to the output before the loss, in the forward pass and in dZ2",
               {"O2": "softmax(Z2)", "dZ2": "jacobian(O2, dO2)"}, ("O2",)),
    ForwardRow("softmax_output", "a softmax is applied to the output, with P (1 - P) alone for its derivative in dZ2",
               {"O2": "softmax(Z2)", "dZ2": "dO2 * O2 * (1 - O2)"}, ("O2",)),
    ForwardRow("mean_over_units", "Z2 is the mean over the hidden units, not their sum",
               {"Z2": "O1 @ W2.T / K + b2"}, ("Z2",)),
    ForwardRow("mean_over_units", "Z2 is the mean over the hidden units, not their sum, and dW2 and dO1 follow it",
               {"Z2": "O1 @ W2.T / K + b2", "dW2": "dZ2.T @ O1 / K", "dO1": "dZ2 @ W2 / K"}, ("Z2",)),
    ForwardRow("leaky_relu", "the hidden activation is a leaky ReLU with slope {t}; the declared one is {hidden}",
               {"O1": "where(Z1 > 0, Z1, t * Z1)", "dZ1": "dO1 * where(Z1 > 0, 1, t)"}, ("O1",), True),
    ForwardRow("leaky_relu", "the output activation is a leaky ReLU with slope {t}; the declared one is {output}",
               {"O2": "where(Z2 > 0, Z2, t * Z2)", "dZ2": "dO2 * where(Z2 > 0, 1, t)"}, ("O2",), True),
    ForwardRow("clipped", "Z2 is clipped at {t} in the forward pass",
               {"Z2": "clip(O1 @ W2.T + b2, -t, t)"}, ("Z2",), True),
    ForwardRow("scaled", "the hidden activation is multiplied with {t}, as of dropout at test time",
               {"O1": "t * hidden(Z1)"}, ("O1",), True),
    ForwardRow("scaled", "the hidden activation is multiplied with {t}, in the forward pass and in dZ1",
               {"O1": "t * hidden(Z1)", "dZ1": "t * dO1 * hidden_slope(Z1)"}, ("O1",), True),
    ForwardRow("steepness", "Z1 is multiplied with {t} inside the hidden activation",
               {"O1": "hidden(t * Z1)"}, ("O1",), True),
)  # fmt: skip

# Activations that no network of ours has, and people's networks do: value and derivative over Z and O.
FOREIGN = {
    "an absolute value": ("abs(Z)", "sign(Z)"),
    "a sine": ("sin(Z)", "cos(Z)"),
    "a square": ("Z**2", "2 * Z"),
    "an arctangent": ("arctan(Z)", "1 / (1 + Z**2)"),
    "softsign": ("Z / (1 + abs(Z))", "1 / (1 + abs(Z))**2"),
    "ELU": ("where(Z > 0, Z, expm1(minimum(Z, 0)))", "where(Z > 0, 1, exp(minimum(Z, 0)))"),
    "SiLU": ("Z * sigmoid(Z)", "sigmoid(Z) * (1 + Z * (1 - sigmoid(Z)))"),
    "a step": ("1 * (Z > 0)", "0 * Z"),
}


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
        yield from ((row, other) for row in OTHER_OUTPUT[1 if same_line else 0 :])
    for layer, f in ((1, activation(setting.hidden)), (2, declared)):
        for constant in constants(f.value):
            value, slope = (with_constant(text, constant) for text in (f.value, f.derivative))
            text = f"the constant {constant} of {f.said} is {{t}}, in the forward pass and in dZ{layer}"
            changes = {f"O{layer}": of_layer(value, layer), f"dZ{layer}": of_layer(f"dO * ({slope})", layer)}
            yield ForwardRow("activation_constant", text, changes, (f"O{layer}",), True), None
    for row in ROWS:
        if setting.biases or not {"b1", "b2"} & set().union(*map(reads, row.changes.values())):
            yield row, None
    for other in others(setting.hidden):
        if other.name != "identity":  # that is hidden_..._missing
            yield from ((row, other) for row in OTHER_HIDDEN)
    for name, texts in FOREIGN.items():
        yield OTHER_HIDDEN[0], Activation(name, name, name, *texts, None, False)


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

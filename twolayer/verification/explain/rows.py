"""How a row of the catalogue's tables becomes a formula and a sentence of a layer and a setting.

Rows speak of Z, O, dO, dZ, W, b, dW, db and V in any layer, of f(A) and slope(A), the layer's activation and its
derivative at A, and of `residual`, `value` and `right`, those of the loss. Here the names of a layer are put in, and
the formulas of the two tables, of activations and of losses.
"""

import functools
from collections.abc import Callable

from twolayer.verification.explain.edits import exchanged, expanded, readable, renamed, said, tidy
from twolayer.verification.explain.lines import Line, Row
from twolayer.verification.numbers.texts import reads
from twolayer.verification.problem import (
    LETTERS,
    LOSSES,
    Activation,
    Setting,
    activation,
    layer_names,
    of_layer,
    right_lines,
    weighted,
)

LONGEST = 40  # characters of a formula in a sentence


def formula_of(code: str, layer: int, setting: Setting, another: Activation | None = None) -> str:
    """The formula of a row, with the names and formulas of a layer and a setting; other(A) is `another` activation."""
    return of_layer(expanded(code, _macros(layer, setting, another)), layer)


def line_of(row: Row, step: str, setting: Setting) -> Line:
    """A row as the line of a step: names put in, and the factor w of a residual."""
    layer, names = int(step[2]), sentence_names(int(step[2]), setting)
    whole = step != "dO2" or "right" in row.code
    formula = formula_of(row.code, layer, setting)
    formula = tidy(formula if whole else weighted(formula, setting))
    return Line(row.id, step, f"{step} = {formula}", LETTERS[step], said(row.text, names), row.literal, row.affine)


def activation_of(layer: int, setting: Setting) -> Activation:
    """The declared activation of a layer."""
    return activation(setting.hidden if layer == 1 else setting.output)


def _macros(layer: int, setting: Setting, another: Activation | None) -> dict[str, Callable[[str], str]]:
    """What slope(Z), residual and the like stand for in the tables."""
    own, other = activation_of(layer, setting), another or activation_of(3 - layer, setting)
    hidden, loss = activation(setting.hidden), LOSSES[setting.loss]
    return {
        "f": value_at(own),
        "slope": slope_at(own),
        "other": value_at(other),
        "other_slope": slope_at(other),
        "hidden": value_at(hidden),
        "hidden_slope": slope_at(hidden),
        "output": value_at(activation(setting.output)),
        "residual": functools.partial(exchanged, loss.residual),
        "value": lambda argument: f"({loss.value})[:, None]",
        "right": lambda argument: right_lines(setting)["dO2"].formula,
    }


def value_at(f: Activation) -> Callable[[str], str]:
    """The activation at an argument."""
    return lambda argument: renamed(f.value, {"Z": f"({argument})"})


def slope_at(f: Activation) -> Callable[[str], str]:
    """The derivative at an argument, of which O is the activation; at Z it is left as it stands, over Z and O."""

    def at(argument: str) -> str:
        if not {"Z", "O"} & reads(f.derivative):
            return f"{f.derivative} * ones_like({'Z' if ':=' in argument else argument})"
        if argument == "Z" or ":=" in argument:
            return exchanged(f.derivative, argument if ":=" in argument else "")
        return renamed(f.derivative, {"Z": f"({argument})", "O": f"({value_at(f)(argument)})"})

    return at


def sentence_names(layer: int, setting: Setting) -> dict[str, str]:
    """What the names in braces stand for in the sentences of a layer."""
    own, loss = activation_of(layer, setting), LOSSES[setting.loss]
    declared = loss.said.removesuffix(" loss")
    declared = f"loss is {declared[4:]}" if declared.startswith("the ") else f"one is {declared}"
    return layer_names(layer) | {
        "f": own.said,
        "a": own.a,
        "slope": slope_said(own, layer),
        "where": "hidden layer" if layer == 1 else "output",
        "other": str(3 - layer),
        "loss": declared,
        "residual": readable(loss.residual),
    }


def slope_said(f: Activation, layer: int) -> str:
    """The derivative in a sentence, where it is short."""
    if f.name == "relu":
        return of_layer("1[Z > 0]", layer)
    formula = readable(of_layer(f.derivative, layer))
    return formula if len(formula) <= LONGEST else f"f'(Z{layer})"

"""The network, the losses and the eight steps of back-propagation as LaTeX. Rows are examples; dA is dL/dA."""

import re

from twolayer.activations import find
from twolayer.verification.problem import LOSSES

SUMS = {"mean": r"\frac{1}{m} \sum_{i=1}^{m} ", "sum": r"\sum_{i=1}^{m} "}
OUTER = r"Z_2 = O_1 W_2^\top + \mathbf{1}\, b_2^\top, \qquad "
INNER = r"Z_1 = x W_1^\top + \mathbf{1}\, b_1^\top, \qquad "
SHAPES = {"dO2": "(m, C)", "dZ2": "(m, C)", "dW2": "(C, K)", "db2": "(C,)"}
SHAPES |= {"dO1": "(m, K)", "dZ1": "(m, K)", "dW1": "(K, d)", "db1": "(K,)"}


def network(output: str, hidden: str = "relu") -> list[str]:
    """The forward pass, one equation a layer, then what f and g are."""
    f, g = find("activation", hidden).latex, find("activation", output).latex
    return [f"{INNER}O_1 = f(Z_1)", f"{OUTER}O_2 = g(Z_2)", rf"f(z) = {f}, \qquad g(z) = {g}"]


def loss(loss: str, reduction: str) -> str:
    """What the derivation is the gradient of; o and y are the outputs and the targets of example i."""
    return "L = " + SUMS[reduction] + rf"\Big({LOSSES[loss].latex}\Big)"


def steps(loss: str, output: str, reduction: str, hidden: str = "relu") -> dict[str, str]:
    """The right equation of each of the eight steps, in the order of back-propagation."""
    mean = reduction == "mean" and loss in LOSSES  # the derivative of an own loss has all of it
    residual = re.sub(r"\bo\b", "O_2", LOSSES[loss].latex_residual) if loss in LOSSES else r"\partial L / \partial O_2"
    return {
        "dO2": r"\mathrm{d}O_2 = " + (rf"\frac{{1}}{{m}} \big({residual}\big)" if mean else residual),
        "dZ2": rf"\mathrm{{d}}Z_2 = {_back('g', output, 2)}",
        "dW2": r"\mathrm{d}W_2 = \mathrm{d}Z_2^\top O_1",
        "db2": r"\mathrm{d}b_2 = \mathrm{d}Z_2^\top \mathbf{1}",
        "dO1": r"\mathrm{d}O_1 = \mathrm{d}Z_2\, W_2",
        "dZ1": rf"\mathrm{{d}}Z_1 = {_back('f', hidden, 1)}",
        "dW1": r"\mathrm{d}W_1 = \mathrm{d}Z_1^\top x",
        "db1": r"\mathrm{d}b_1 = \mathrm{d}Z_1^\top \mathbf{1}",
    }


def _back(f: str, activation: str, layer: int) -> str:
    """The cotangent of a pre-activation."""
    slope = find("activation", activation).latex_derivative
    if slope == "1":
        return rf"\mathrm{{d}}O_{layer}"
    return rf"\mathrm{{d}}O_{layer} \odot {f}'(Z_{layer}), \quad {f}'(z) = {slope}"


def matrix(name: str, values: list) -> str:
    """A named nested list as LaTeX; names such as W1 and dZ1 get their index below. A vector is a row."""
    rows = values if values and isinstance(values[0], list | tuple) else [values]
    body = r" \\ ".join(" & ".join(f"{value:g}" for value in row) for row in rows)
    return rf"{symbol(name)} = \begin{{pmatrix}} {body} \end{{pmatrix}}"


def symbol(name: str) -> str:
    r"""`dZ1` as \mathrm{d}Z_1."""
    d, rest = (r"\mathrm{d}", name[1:]) if len(name) > 1 and name[0] == "d" else ("", name)
    return d + (f"{rest[:-1]}_{rest[-1]}" if rest[-1:].isdigit() else rest)

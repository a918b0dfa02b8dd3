"""The two-layer network as the verifier's client: its losses, its arrays, and its eight steps, all as text.

    Z1 = x W1^T + b1    O1 = hidden(Z1)    Z2 = O1 W2^T + b2    O2 = output(Z2)    L = sum_i w_i loss(O2_i, y_i)

Examples are rows: d inputs, K hidden units, C outputs, m examples; w is 1/m for the mean and 1 for the sum. A scope is
a dict of arrays by name, float64 or balls; each formula is computed in what its scope holds. Nothing else in the
verifier, but for the catalogue of wrong lines beside it, knows which network is judged.
"""

import functools
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from twolayer.activations import ACTIVATIONS, find
from twolayer.activations import Activation as Entry
from twolayer.formulas import FORMULAS
from twolayer.verification.explain.edits import renamed
from twolayer.verification.numbers.balls import Ball
from twolayer.verification.numbers.texts import evaluate, reads

Scope = dict[str, np.ndarray]

LEAVES = ("dW1", "db1", "dW2", "db2")
STEPS = ("dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1")
CHAIN = ("dO2", "dZ2", "dO1", "dZ1")  # of these, those that the error is carried along
INPUTS = ("W1", "b1", "W2", "b2", "x", "y")
TRACE = ("Z1", "O1", "Z2", "O2")

# What each step reads, besides parameters, batch and forward pass.
UPSTREAM = {
    "dO2": (),
    "dZ2": ("dO2",),
    "dW2": ("dO2", "dZ2"),
    "db2": ("dO2", "dZ2", "dW2"),
    "dO1": ("dO2", "dZ2", "dW2"),
    "dZ1": ("dO1",),
    "dW1": ("dZ2", "dW2", "dO1", "dZ1"),
    "db1": ("dZ2", "dO1", "dZ1", "dW1"),
}

# The shape of each array, in letters. A derivative has that of what it is taken by.
LETTERS = {"W1": "Kd", "b1": "K", "W2": "CK", "b2": "C", "x": "md", "y": "mC", "w": ""}
LETTERS |= {"Z1": "mK", "O1": "mK", "Z2": "mC", "O2": "mC"}
LETTERS |= {step: LETTERS[step[1:]] for step in STEPS}


class Setting(NamedTuple):
    """What a derivation claims to differentiate."""

    loss: str
    output: str
    reduction: str
    hidden: str = "relu"
    biases: bool = True


class Sizes(NamedTuple):
    """d inputs, K hidden units, C outputs, m examples."""

    d: int
    K: int
    C: int
    m: int


class Loss(NamedTuple):
    """A loss as text over O2 and y, both (m, C).

    Attributes:
      said: its name in a sentence.
      value: one number for each example.
      residual: its derivative by O2, (m, C).
      latex, latex_residual: both, of one example.
      targets: what y may be: "onehot", "real", or "bits", any numbers 0 and 1.
    """

    said: str
    value: str
    residual: str
    latex: str = ""
    latex_residual: str = ""
    targets: str = "real"


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(
        "cross-entropy",
        value="logsumexp(O2) - (y * O2).sum(axis=1)",
        residual="softmax(O2) - y",
        latex=r"\log \sum_j e^{o_j} - \sum_k y_k o_k",
        latex_residual=r"\mathrm{softmax}(o) - y",
        targets="onehot",
    ),
    "quadratic": Loss(
        "the quadratic loss",
        value="((O2 - y)**2).sum(axis=1) / 2",
        residual="O2 - y",
        latex=r"\tfrac12 \sum_k (o_k - y_k)^2",
        latex_residual="o - y",
    ),
    "binary_cross_entropy": Loss(
        "binary cross-entropy",
        value="(log1p(exp(O2)) - y * O2).sum(axis=1)",
        residual="sigmoid(O2) - y",
        latex=r"\sum_k \log(1 + e^{o_k}) - y_k o_k",
        latex_residual=r"\sigma(o) - y",
        targets="bits",
    ),
}
# A loss that has no texts of its own here is read as training has it.
LOSSES |= {
    name: Loss(name.replace("_", " "), f.value, f.residual, f.latex, f.latex_residual, "onehot" if f.labels else "real")
    for name, f in FORMULAS.items()
    if name not in LOSSES
}


class Activation(NamedTuple):
    """An entry of the table of activations, with what sentences need and its value over any numbers.

    Attributes:
      said: its name in a sentence: "ReLU".
      a: the same with its article: "a ReLU".
      value: f as text over Z.
      derivative: f' as text over Z and O.
      largest: the largest |Z| that training allows, where there is one.
      kink: whether f has a kink at 0.
    """

    name: str
    said: str
    a: str
    value: str
    derivative: str
    largest: float | None
    kink: bool

    def apply(self, Z: Any) -> Any:
        return evaluate(self.value, {"Z": Z})


# Names in a sentence; others are said as they stand in the table, "softplus".
SAID = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "gelu": "GELU", "gelu_tanh": "GELU by tanh"}
SAID |= {"identity": "the identity"}


@functools.cache
def _described(entry: Entry) -> Activation:
    name = entry.name.split("(")[0]
    said = SAID.get(name, name.replace("_", " "))
    article = "" if said in ("tanh", "the identity", "softplus", "GELU by tanh") else "a "
    return Activation(name, said, article + said, entry.value, entry.derivative, entry.largest, entry.kink)


def activation(name: str) -> Activation:
    """The activation of this name.

    Raises:
      ValueError: it is not known.
    """
    return _described(find("activation", name))


def others(name: str) -> tuple[Activation, ...]:
    """The activations of the table other than this one."""
    known = (_described(entry) for entry in ACTIVATIONS.values())
    return tuple(entry for entry in known if entry.name != activation(name).name)


def slope(name: str, Z: np.ndarray, O: np.ndarray) -> np.ndarray:  # noqa: E741
    """The derivative of an activation at Z, where O is the activation itself."""
    return evaluate(f"{activation(name).derivative} + 0 * Z", {"Z": Z, "O": O})


class Misfit(ValueError):
    """A line does not fit these sizes: a matrix product of square matrices only, say."""


class Line(NamedTuple):
    """One line of a derivation.

    Attributes:
      id: "right", or the cause.
      step: which of the steps it computes.
      code: the line as one would write it.
      letters: the shape of the step, in letters of the sizes.
      text: what is wrong with it, in one sentence; "{t}" stands for the literal.
      literal: it has a constant t, tried with each number that stands in the derivation.
      affine: the step is a + t b, so t is solved for instead.
    """

    id: str
    step: str
    code: str
    letters: str
    text: str = ""
    literal: bool = False
    affine: bool = False

    @property
    def formula(self) -> str:
        return self.code.split(" = ", 1)[1]

    @property
    def reads(self) -> frozenset[str]:
        """The names that the formula reads; two scopes that agree on these give the same step."""
        return reads(self.formula)

    def compute(self, scope: Mapping[str, np.ndarray], t: float | Fraction | Ball | None = None) -> np.ndarray:
        """The step's array, float64 or balls as the scope's; a number or a column is spread over it.

        Raises:
          Misfit: the shapes do not fit at the sizes of this scope.
        """
        return compute(self.formula, self.letters, scope, t)


class Row(NamedTuple):
    """A wrong line before it is known which step, layer and setting it stands in: an entry of the catalogue's tables.

    Attributes:
      id, text, literal, affine: as in Line.
      code: its formula. In the tables of a layer Z, O, dO, dZ, W, b, dW, db are those of the layer, V is what its
        weights multiply, Z_other and O_other belong to the other layer; in a text the same names stand in braces.
    """

    id: str
    code: str
    text: str
    literal: bool = False
    affine: bool = False


def compute(
    formula: str, letters: str, scope: Mapping[str, np.ndarray], t: float | Fraction | Ball | None = None
) -> np.ndarray:
    """A formula at a scope, in the shape of these letters.

    Raises:
      Misfit: it does not have that shape at these sizes.
    """
    (K, d), (C, _), m = scope["W1"].shape, scope["W2"].shape, len(scope["x"])
    sizes = {"d": d, "K": K, "C": C, "m": m}
    wanted = tuple(sizes[letter] for letter in letters)
    more = sizes | ({} if t is None else {"t": t}) | ({"i": np.arange(m)[:, None]} if "i" in reads(formula) else {})
    try:
        value = evaluate(formula, {**scope, **more})
        return value if value.shape == wanted else np.broadcast_to(value, wanted)
    except (ValueError, IndexError) as error:
        raise Misfit(f"{formula}: {error}") from error


def targets(setting: Setting) -> str:
    """What y may be: "onehot", "real" or "bits"."""
    return LOSSES[setting.loss].targets


def shape(name: str, sizes: Sizes) -> tuple[int, ...]:
    """The shape of an array at these sizes."""
    return tuple(getattr(sizes, letter) for letter in LETTERS[name])


def layer_names(layer: int) -> dict[str, str]:
    """What the names of the catalogue's tables stand for in layer 1 or 2: V is what the layer's weights multiply."""
    names = {name: f"{name}{layer}" for name in ("Z", "O", "dO", "dZ", "W", "b", "dW", "db")}
    names |= {f"{name}_other": f"{name}{3 - layer}" for name in ("Z", "O", "W", "dZ")}
    return names | {"V": "x" if layer == 1 else "O1"}


def of_layer(formula: str, layer: int) -> str:
    """A formula over Z, O, dO, dZ, W, b, dW, db and V, with the names that these have in layer 1 or 2."""
    return renamed(formula, layer_names(layer))


def times(factor: str, derivative: str) -> str:
    """The product of a name and a formula, as one would write it."""
    mask = re.fullmatch(r"np\.where\((.+), 1, 0\)", derivative)
    if mask:
        return f"{factor} * ({mask[1]})"
    if derivative == "1":
        return factor
    flat = re.fullmatch(r"\w+ \* \([^()]*\)|[\w.]+\([^()]*\)|\w+", derivative)
    return f"{factor} * {derivative}" if flat else f"{factor} * ({derivative})"


def forward_lines(setting: Setting) -> dict[str, str]:
    """Z1, O1, Z2 and O2 as formulas."""
    b1, b2 = (" + b1", " + b2") if setting.biases else ("", "")
    return {
        "Z1": f"x @ W1.T{b1}",
        "O1": of_layer(activation(setting.hidden).value, 1),
        "Z2": f"O1 @ W2.T{b2}",
        "O2": of_layer(activation(setting.output).value, 2),
    }


def weighted(residual: str, setting: Setting) -> str:
    """The residuals of the examples with the factor that each has in the loss."""
    if setting.reduction == "sum":
        return residual
    return f"{residual} / m" if re.fullmatch(r"[\w.]+(\(\w+\))?", residual) else f"({residual}) / m"


@functools.cache
def right_lines(setting: Setting) -> dict[str, Line]:
    """Step -> its right line (eq. 2b), in the order of back-propagation."""
    formulas = {
        "dO2": weighted(LOSSES[setting.loss].residual, setting),
        "dZ2": of_layer(times("dO", activation(setting.output).derivative), 2),
        "dW2": "dZ2.T @ O1",
        "db2": "dZ2.sum(axis=0)",
        "dO1": "dZ2 @ W2",
        "dZ1": of_layer(times("dO", activation(setting.hidden).derivative), 1),
        "dW1": "dZ1.T @ x",
        "db1": "dZ1.sum(axis=0)",
    }
    return {step: Line("right", step, f"{step} = {formula}", LETTERS[step]) for step, formula in formulas.items()}


def forward(setting: Setting, scope: Scope) -> Scope:
    """A scope of parameters and a batch, with w, Z1, O1, Z2 and O2 beside them."""
    found = dict(scope)
    m, exact = len(found["x"]), found["W1"].dtype == object
    one: Any = Ball(1) if exact else 1.0
    found["w"] = np.asarray(one / m if setting.reduction == "mean" else one)
    for name, formula in forward_lines(setting).items():
        found[name] = evaluate(formula, found)
    return found


def total(setting: Setting, scope: Scope) -> Any:
    """The declared loss of a batch, one number."""
    found = forward(setting, scope)
    return (found["w"] * evaluate(LOSSES[setting.loss].value, found)).sum()


def right(setting: Setting, scope: Scope) -> Scope:
    """A scope of parameters and a batch, with all twelve right arrays beside them: Z1, O1, Z2, O2 and the steps."""
    found = forward(setting, scope)
    for step, line in right_lines(setting).items():
        found[step] = line.compute(found)
    return found

"""The losses, one entry each: value, its derivative by the prediction, and both in LaTeX. Imports no JAX.

Texts are code in NumPy's notation over the prediction O2 (m, C) and the target y (m, C), where a class is a one-hot
row. They may use what the texts of activations.py may, and .sum(axis=1). losses.py makes functions of them, and has
those that must not be computed as they are written.
"""

from typing import NamedTuple

REDUCTIONS = ("mean", "sum")


class Formula(NamedTuple):
    """One loss of one example, for all m examples of a batch.

    Attributes:
      name: as in the table, or one's own.
      value: (m,), as text over O2 and y.
      residual: d value / d O2 (m, C), as text over O2 and y.
      labels: whether it is for classes alone, and takes them as integers.
      latex: the value.
      latex_residual: the residual.
      kink: whether `value` has kinks, so that its derivative is not one number everywhere.
      stable: the function of losses.py that computes both without overflow or cancellation, where the texts would not.
    """

    name: str
    value: str
    residual: str
    labels: bool = False
    latex: str = ""
    latex_residual: str = ""
    kink: bool = False
    stable: str | None = None


_ENTRIES = (
    Formula(
        "cross_entropy",
        value="np.log(np.exp(O2).sum(axis=1)) - (y * O2).sum(axis=1)",
        residual="np.exp(O2) / np.exp(O2).sum(axis=1, keepdims=True) - y",
        labels=True,
        latex=r"\log \sum_k e^{o_k} - \sum_k y_k o_k",
        latex_residual=r"\frac{e^{o_k}}{\sum_j e^{o_j}} - y_k",
        stable="cross_entropy",
    ),
    Formula(
        "quadratic",
        value="((O2 - y) ** 2).sum(axis=1) / 2",
        residual="O2 - y",
        latex=r"\tfrac12 \sum_k (o_k - y_k)^2",
        latex_residual=r"o_k - y_k",
        stable="quadratic",  # which refuses targets of another shape, and sums bfloat16 in float32
    ),
    Formula(
        "binary_cross_entropy",
        value="(np.log1p(np.exp(O2)) - y * O2).sum(axis=1)",
        residual="1 / (1 + np.exp(-O2)) - y",
        labels=True,
        latex=r"\sum_k \log(1 + e^{o_k}) - y_k o_k",
        latex_residual=r"\sigma(o_k) - y_k",
        stable="binary_cross_entropy",
    ),
)
FORMULAS: dict[str, Formula] = {entry.name: entry for entry in _ENTRIES}
OF_LABELS = tuple(name for name, entry in FORMULAS.items() if entry.labels)

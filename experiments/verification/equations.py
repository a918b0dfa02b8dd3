"""The network, the losses and the eight steps of back-propagation as LaTeX. Rows are examples; dA is dL/dA."""

NETWORK = {
    "relu": r"O_2 = \operatorname{ReLU}(Z_2)",
    "identity": r"O_2 = Z_2",
    "sigmoid": r"O_2 = \sigma(Z_2)",
}
HIDDEN = {
    "relu": r"Z_1 = x W_1^\top + \mathbf{1}\, b_1^\top, \qquad O_1 = \operatorname{ReLU}(Z_1)",
    "sigmoid": r"Z_1 = x W_1^\top + \mathbf{1}\, b_1^\top, \qquad O_1 = \sigma(Z_1)",
}
OUTER = r"Z_2 = O_1 W_2^\top + \mathbf{1}\, b_2^\top, \qquad "

VALUES = {
    "cross_entropy": r"\Big(\log \sum_{j=1}^{C} e^{(O_2)_{ij}} - \sum_{k=1}^{C} y_{ik}\,(O_2)_{ik}\Big)",
    "quadratic": r"\frac{1}{2} \sum_{k=1}^{C} \big((O_2)_{ik} - y_{ik}\big)^2",
    "binary_cross_entropy": r"\sum_{k=1}^{C} \Big(\log \big(1 + e^{(O_2)_{ik}}\big) - y_{ik}\,(O_2)_{ik}\Big)",
}
SUMS = {"mean": r"\frac{1}{m} \sum_{i=1}^{m} ", "sum": r"\sum_{i=1}^{m} "}
RESIDUALS = {
    "cross_entropy": r"\operatorname{softmax}(O_2) - y",
    "quadratic": "O_2 - y",
    "binary_cross_entropy": r"\sigma(O_2) - y",
}
BACK = {
    "relu": r"\mathrm{d}O_%d \odot \mathbf{1}[Z_%d > 0]",
    "identity": r"\mathrm{d}O_%d",
    "sigmoid": r"\mathrm{d}O_%d \odot O_%d \odot (1 - O_%d)",
}

SHAPES = {
    "dO2": "(m, C)",
    "dZ2": "(m, C)",
    "dW2": "(C, K)",
    "db2": "(C,)",
    "dO1": "(m, K)",
    "dZ1": "(m, K)",
    "dW1": "(K, d)",
    "db1": "(K,)",
}


def network(output: str, hidden: str = "relu") -> list[str]:
    """The forward pass, one equation a layer."""
    return [HIDDEN[hidden], OUTER + NETWORK[output]]


def loss(loss: str, reduction: str) -> str:
    """What the derivation is the gradient of."""
    return "L = " + SUMS[reduction] + VALUES[loss]


def steps(loss: str, output: str, reduction: str, hidden: str = "relu") -> dict[str, str]:
    """The right equation of each of the eight steps, in the order of back-propagation."""
    residual = RESIDUALS[loss]
    return {
        "dO2": r"\mathrm{d}O_2 = " + (rf"\frac{{1}}{{m}} \big({residual}\big)" if reduction == "mean" else residual),
        "dZ2": r"\mathrm{d}Z_2 = " + BACK[output].replace("%d", "2"),
        "dW2": r"\mathrm{d}W_2 = \mathrm{d}Z_2^\top O_1",
        "db2": r"\mathrm{d}b_2 = \mathrm{d}Z_2^\top \mathbf{1}",
        "dO1": r"\mathrm{d}O_1 = \mathrm{d}Z_2\, W_2",
        "dZ1": r"\mathrm{d}Z_1 = " + BACK[hidden].replace("%d", "1"),
        "dW1": r"\mathrm{d}W_1 = \mathrm{d}Z_1^\top x",
        "db1": r"\mathrm{d}b_1 = \mathrm{d}Z_1^\top \mathbf{1}",
    }


def matrix(name: str, values: list) -> str:
    """A named nested list as LaTeX; names such as W1 and dZ1 get their index below. A vector is a row."""
    rows = values if values and isinstance(values[0], list | tuple) else [values]
    body = r" \\ ".join(" & ".join(f"{value:g}" for value in row) for row in rows)
    return rf"{symbol(name)} = \begin{{pmatrix}} {body} \end{{pmatrix}}"


def symbol(name: str) -> str:
    r"""`dZ1` as \mathrm{d}Z_1."""
    d, rest = (r"\mathrm{d}", name[1:]) if len(name) > 1 and name[0] == "d" else ("", name)
    return d + (f"{rest[:-1]}_{rest[-1]}" if rest[-1:].isdigit() else rest)

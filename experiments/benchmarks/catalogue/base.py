"""The right derivation as source text, one line a step, in three layouts; any line can be replaced by a wrong one.

    rows     one example a row: Z1 = x @ W1.T + b1, dW2 = dZ2.T @ O1
    columns  one example a column, as in most lecture notes: Z1 = W1 @ X + b1, dW2 = dZ2 @ O1.T
    loop     one example after the other: dW2 += jnp.outer(dZ2, O1)

A slot is the name to the left of the equals sign: the forward pass, E and P of the softmax, and the eight steps.
"""

import dataclasses

from twolayer import losses

LOSSES, OUTPUTS, REDUCTIONS = ("cross_entropy", "quadratic"), ("relu", "identity"), tuple(losses.REDUCTIONS)
# Written out, not imported from the checker: the catalogue judges it and depends on none of it.
LEAVES = ("dW1", "db1", "dW2", "db2")
STEPS = ("dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1")
FORWARD = ("Z1", "O1", "Z2", "O2")
SOFTMAX = ("E", "P")
Change = str | tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Layout:
    """What differs between the layouts: the words a line may use in braces, and the right-hand sides of some slots.

    words: x, y, b1, b2 as they stand in a line; the axes of `classes` and `examples`; the index of one example.
    """

    words: dict[str, str | int]
    lines: dict[str, str]


LAYOUTS = {
    "rows": Layout(
        {"x": "x", "y": "y", "b1": "b1", "b2": "b2", "classes": 1, "examples": 0, "first": "[0]", "last": "[-1]"},
        {
            "Z1": "x @ W1.T + b1",
            "Z2": "O1 @ W2.T + b2",
            "dW2": "dZ2.T @ O1",
            "db2": "dZ2.sum(axis=0)",
            "dO1": "dZ2 @ W2",
            "dW1": "dZ1.T @ x",
            "db1": "dZ1.sum(axis=0)",
        },
    ),
    "columns": Layout(
        {"x": "X", "y": "Y", "b1": "b1[:, None]", "b2": "b2[:, None]", "classes": 0, "examples": 1}
        | {"first": "[:, 0]", "last": "[:, -1]"},
        {
            "Z1": "W1 @ X + b1[:, None]",
            "Z2": "W2 @ O1 + b2[:, None]",
            "dW2": "dZ2 @ O1.T",
            "db2": "dZ2.sum(axis=1)",
            "dO1": "W2.T @ dZ2",
            "dW1": "dZ1 @ X.T",
            "db1": "dZ1.sum(axis=1)",
        },
    ),
    "loop": Layout(
        {"x": "x[i]", "y": "y[i]", "b1": "b1", "b2": "b2", "classes": 0},
        {
            "Z1": "W1 @ x[i] + b1",
            "Z2": "W2 @ O1 + b2",
            "dW2": "jnp.outer(dZ2, O1)",
            "db2": "dZ2",
            "dO1": "W2.T @ dZ2",
            "dW1": "jnp.outer(dZ1, x[i])",
            "db1": "dZ1",
        },
    ),
}


def right_lines(loss: str, output: str, reduction: str, layout: str) -> dict[str, str]:
    """The right-hand side of every slot, in the order of the file."""
    relu, words = output == "relu", _words(loss, reduction, layout)
    lines = {
        "O1": "jnp.maximum(Z1, 0)",
        "O2": "jnp.maximum(Z2, 0)" if relu else "Z2",
        "E": "jnp.exp(O2 - O2.max(axis={classes}, keepdims=True))",
        "P": "E / E.sum(axis={classes}, keepdims=True)",
        "dO2": "{residual}{n}",
        "dZ2": "dO2 * (Z2 > 0)" if relu else "dO2",
        "dZ1": "dO1 * (Z1 > 0)",
    } | LAYOUTS[layout].lines
    softmax = SOFTMAX if loss == "cross_entropy" else ()
    return {slot: lines[slot].format(**words) for slot in (*FORWARD, *softmax, *STEPS)}


def source(
    loss: str,
    output: str,
    reduction: str = "mean",
    layout: str = "rows",
    changes: dict[str, Change] | None = None,
    *,
    steps: bool = False,
) -> str:
    """A complete derivation file.

    Args:
      loss, output, reduction: the setting it is for.
      layout: "rows", "columns" or "loop".
      changes: for some slots a new right-hand side, or a pair (old, new) that is replaced in the right one. In it
        {right} stands for the right one, {residual} for (P - y) or (O2 - y), {a} for P or O2, {n} for " / m" with the
        mean and nothing with the sum, and the words of the layout for themselves. "= ..." assigns where the loop adds.
      steps: whether all eight steps are returned, as rows, or only the four leaves.
    """
    lines = right_lines(loss, output, reduction, layout)
    words = _words(loss, reduction, layout)
    for slot, change in (changes or {}).items():
        lines[slot] = _changed(lines[slot], change, words)
    body = [_statement(slot, line, layout) for slot, line in lines.items()]
    names = (*LEAVES, *(step for step in STEPS if step not in LEAVES)) if steps else LEAVES
    transposed = "" if layout != "columns" else ".T"
    items = (f'"{name}": {name}{"" if name in LEAVES else transposed}' for name in names)
    text = [
        "W1, b1, W2, b2 = params.W1, params.b1, params.W2, params.b2",
        "m = x.shape[0]",
        *(_looped(body, steps) if layout == "loop" else body),
        f"return {{{', '.join(items)}}}",
    ]
    if layout == "columns":
        text.insert(2, "X, Y = x.T, y.T")
    return "import jax.numpy as jnp\n\n\ndef gradients(params, x, y):\n" + "".join(f"    {line}\n" for line in text)


def _words(loss: str, reduction: str, layout: str) -> dict[str, str | int]:
    words = LAYOUTS[layout].words
    a, n = "P" if loss == "cross_entropy" else "O2", " / m" if reduction == "mean" else ""
    return words | {"a": a, "n": n, "residual": f"({a} - {words['y']})"}


def _changed(right: str, change: Change, words: dict[str, str | int]) -> str:
    if isinstance(change, str):
        return change.format(right=right, **words)
    old, new = (part.format(**words) for part in change)
    if old not in right:
        raise ValueError(f"{old!r} does not occur in {right!r}")
    return right.replace(old, new)


def _statement(slot: str, line: str, layout: str) -> str:
    if line.startswith("= "):
        return f"{slot} {line}"
    return f"{slot} {'+=' if layout == 'loop' and slot in LEAVES else '='} {line}"


def _looped(body: list[str], steps: bool) -> list[str]:
    zeros = ", ".join(f"jnp.zeros_like({name[1:]})" for name in LEAVES)
    before = [f"{', '.join(LEAVES)} = {zeros}", *(["steps = []"] if steps else []), "for i in range(m):"]
    inside = [*body, *(["steps.append((dO2, dZ2, dO1, dZ1))"] if steps else [])]
    after = ["dO2, dZ2, dO1, dZ1 = (jnp.stack(step) for step in zip(*steps))"] if steps else []
    return [*before, *(f"    {line}" for line in inside), *after]

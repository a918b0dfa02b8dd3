"""The wrong lines of a setting: mistakes that people make, each with one sentence for whoever made it.

Sources: the author's own slips, published exercises, forum threads and repositories, and what is left when a factor is
dropped, doubled, transposed or taken from the neighbouring layer. A wrong constant factor needs no line here: it is
read off (numbers/factors.py). Likelier mistakes come first.

The tables (wrong_*.py) hold rows in general names: Z, O, dO, dZ, W, b, dW, db and V are those of any layer, f(A) and
slope(A) are its activation and the derivative at A, and residual, value and right those of the loss. Here they become
the lines of a step and a setting: names are put in, and the formulas of the activations and the loss. A row that says
what is right, or what a row before it says already, is left out: both are tried at random numbers, so no table needs
conditions, and an activation or a loss from outside has its lines from its one entry.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from twolayer.verification.explain import wrong_activations, wrong_losses, wrong_products
from twolayer.verification.explain.edits import edits, exchanged, expanded, readable, renamed, said, tidy
from twolayer.verification.numbers.texts import reads
from twolayer.verification.problem import (
    INPUTS,
    LETTERS,
    LOSSES,
    TRACE,
    UPSTREAM,
    Activation,
    Line,
    Misfit,
    Row,
    Scope,
    Setting,
    Sizes,
    activation,
    layer_names,
    of_layer,
    others,
    right,
    right_lines,
    targets,
    times,
    weighted,
)

LONGEST = 40  # characters of a formula in a sentence
ROUNDING, TRIES = 1e-13, 500
CONSTANTS = (0.0037, 0.37, 3.7)  # at which lines with a constant t are compared
PRIME, SQUARE = Sizes(3, 11, 5, 7), Sizes(5, 5, 5, 5)


@functools.lru_cache(maxsize=256)
def wrong_lines(step: str, setting: Setting) -> tuple[Line, ...]:
    """The wrong lines of one step, the likelier first; no two compute the same, and none what is right."""
    if step[:2] == "db" and not setting.biases:
        return ()
    layer, letters = int(step[2]), LETTERS[step]
    rows = {
        "dO2": lambda: _losses(setting),
        "dO1": lambda: wrong_products.HIDDEN_COTANGENT,
        "dZ": lambda: _activations(layer, setting),
        "dW": lambda: wrong_products.WEIGHTS + _of(layer, wrong_products.HIDDEN_WEIGHTS, wrong_products.OUTPUT_WEIGHTS),
        "db": lambda: wrong_products.BIASES,
    }
    rows = rows.get(step) or rows[step[:2]]
    found = [line_of(row, step, setting) for row in rows()]
    found += [Line("swapped", step, f"{step} = {formula}", letters, text) for formula, text in _swaps(step, setting)]
    return tuple(_distinct(found, right_lines(setting)[step], setting))


def _of(layer: int, first: tuple, second: tuple) -> tuple:
    return first if layer == 1 else second


def _losses(setting: Setting) -> Iterator[Row]:
    """The rows of dO2, a residual each."""
    loss = LOSSES[setting.loss]
    yield from wrong_losses.OF_LOSS.get(setting.loss, ())
    yield from wrong_losses.PREACTIVATION.get(setting.loss, wrong_losses.ANY_PREACTIVATION)
    for other in LOSSES.values():
        text = said(wrong_losses.OTHER_LOSS[1], {"residual": readable(other.residual), "other": other.said})
        yield Row(wrong_losses.OTHER_LOSS[0], other.residual, text)
    yield from wrong_losses.GENERAL
    yield from _edited(loss.residual, 2, wrong_losses.EDITED, "{}")


def _activations(layer: int, setting: Setting) -> Iterator[Row]:
    """The rows of dZ."""
    f = activation_of(layer, setting)
    named = {"relu": wrong_activations.RELU, "sigmoid": wrong_activations.SIGMOID}
    named |= {"tanh": wrong_activations.TANH, "identity": wrong_activations.IDENTITY}
    yield from named.get(f.name, ())
    yield from wrong_activations.KINKED if f.kink else ()
    for g in (g for g in others(f.name) if g.name != "identity"):  # that is the derivative missing
        shown = slope_said(g, layer)
        text = wrong_activations.OTHERS if f.name != "identity" else wrong_activations.IDENTITY_IS
        for derivative in (g.derivative, slope_at(g)("(Z)")):
            by_name = derivative is g.derivative and "'" not in shown
            names = {"said": shown if by_name else "this", "other": g.a}
            yield Row(f"{g.name}_derivative", times("dO", derivative), said(text, names))
    yield from wrong_activations.GENERAL if f.name != "identity" else ()
    yield from _edited(f.derivative, layer, wrong_activations.EDITED, "dO * ({})")


def _edited(formula: str, layer: int, table: dict[str, tuple[str, str]], pattern: str) -> Iterator[Row]:
    """The edits of a formula as rows."""
    for edit in edits(formula):
        id, text = table[edit.kind]
        names = {"old": readable(of_layer(edit.old, layer)), "new": readable(of_layer(edit.new, layer))}
        if edit.kind != "constant" and len(names["old"]) <= LONGEST:
            text += ": {new} stands where {old} belongs"
        yield Row(id, pattern.format(edit.formula), said(text, names), literal=edit.kind == "constant")


def _swaps(step: str, setting: Setting) -> Iterator[tuple[str, str]]:
    """Each array of the right line exchanged for another of its shape, with the sentence.

    Another array for dO2, or in it, is a wrong loss: those have words of their own.
    """
    if step == "dO2":
        return
    line = right_lines(setting)[step]
    known = (*INPUTS, *TRACE, *UPSTREAM[step])
    for old in sorted(line.reads & set(LETTERS) - ({"dO2"} if step == "dZ2" else set())):
        for new in known:
            if new != old and LETTERS[new] == LETTERS[old]:
                yield renamed(line.formula, {old: new}), f"{new} stands where {old} belongs"


class _Signature(NamedTuple):
    """What a line computes at random numbers, for each constant t: its size, and two random sums of its entries."""

    square: bool
    sizes: np.ndarray
    sums: np.ndarray


def _distinct(lines: Iterable[Line], right_line: Line, setting: Setting) -> Iterator[Line]:
    """The lines that are finite, no multiple of the right one, and not the same as one before."""
    seen: dict[bool, list[_Signature]] = {False: [], True: []}
    true = {square: _signature(right_line, setting, square) for square in (False, True)}
    for line in lines:
        found = _signature(line, setting, False) or _signature(line, setting, True)
        if found is None or not np.isfinite(found.sums).all() or (not found.sizes.any() and line.id != "zero"):
            continue
        right_one = true[found.square]
        if right_one is not None and _is_multiple(found, right_one):
            continue
        if any(_same(found, other) for other in seen[line.literal]):
            continue
        seen[line.literal].append(found)
        yield line


def _signature(line: Line, setting: Setting, square: bool) -> _Signature | None:
    """None if the line does not fit these sizes, or reads what is not known yet at its step."""
    known = random_scope(setting, square)
    scope = {name: known[name] for name in (*INPUTS, "w", *TRACE, *UPSTREAM[line.step])}
    try:
        values = np.array([line.compute(scope, t).ravel() for t in (CONSTANTS if line.literal else (None,))])
    except (Misfit, NameError):
        return None
    sizes = np.abs(values).max(axis=1)
    if not line.literal and 0 < sizes[0] < ROUNDING:  # a sum that cancels: all such are one, and not the zero in code
        return _Signature(square, np.array([ROUNDING]), np.zeros((1, 2)))
    with np.errstate(invalid="ignore"):
        return _Signature(square, sizes, values / np.where(sizes, sizes, 1)[:, None] @ _WEIGHTS[: values.shape[1]])


_WEIGHTS = np.random.default_rng(1).normal(size=(PRIME.m * PRIME.K, 2))


def _same(a: _Signature, b: _Signature) -> bool:
    if a.square != b.square or not _close(a.sums, b.sums):
        return False
    return _close(a.sizes / np.where(b.sizes, b.sizes, 1), b.sizes > 0)


def _is_multiple(a: _Signature, right_one: _Signature) -> bool:
    return bool(a.sizes.all()) and all(_close(row, right_one.sums) or _close(-row, right_one.sums) for row in a.sums)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= 1e-9)


@functools.lru_cache(maxsize=64)
def random_scope(setting: Setting, square: bool) -> Scope:
    """All right arrays at Gaussian numbers, of prime or square sizes; every unit and every example is on somewhere."""
    rng = np.random.default_rng(2)
    for _ in range(TRIES):
        found = right(setting, _gaussian(rng, SQUARE if square else PRIME, setting))
        on = [found[name] > 0 for name in ("Z1", "Z2")]
        if all(Z.any(axis=0).all() and Z.any(axis=1).all() and not Z.all(axis=0).any() for Z in on):
            break
    return found


def _gaussian(rng: np.random.Generator, sizes: Sizes, setting: Setting) -> Scope:
    """Parameters and a batch; the biases are such that each unit is on for about half of the examples."""
    d, K, C, m = sizes
    y = {"onehot": lambda: np.eye(C)[rng.integers(C, size=m)], "real": lambda: 2 * rng.normal(size=(m, C)),
         "bits": lambda: rng.integers(2, size=(m, C)).astype(float)}[targets(setting)]()  # fmt: skip
    W1, b1, W2, b2, x = (rng.normal(size=shape) for shape in ((K, d), (K,), (C, K), (C,), (m, d)))
    W2 = W2 / K**0.5
    if not setting.biases:
        return {"W1": W1, "b1": 0 * b1, "W2": W2, "b2": 0 * b2, "x": x, "y": y}
    b1 = b1 / 8 - np.median(x @ W1.T, axis=0)
    O1 = activation(setting.hidden).apply(x @ W1.T + b1)
    b2 = b2 / 8 - np.median(O1 @ W2.T, axis=0)
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "x": x, "y": y}


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

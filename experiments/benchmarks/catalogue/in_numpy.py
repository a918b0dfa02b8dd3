"""The catalogue in NumPy, as people write it: masks, labels and single entries are changed in place.

    text = wrong_text(entry)       # of an Entry, with the same mistakes
    text = right_text(right)       # of a Right; None for the styles that are about automatic differentiation

Each text is a whole file that needs NumPy only, and returns the numbers of its JAX twin.
"""

import pathlib
import re
from collections.abc import Iterator

from experiments.benchmarks.catalogue import rewrites, right_algebra, right_examples, right_programs
from experiments.benchmarks.catalogue.base import LAYOUTS, source
from experiments.benchmarks.catalogue.entry import Entry
from experiments.benchmarks.catalogue.rewrites import Right

AT = re.compile(r"(\w+) (\+?=) \((.+)\)\.at\[(.+)\]\.(set|multiply)\((.+)\)")
MASK = re.compile(r"(dZ\d) = (dO\d) \* \((Z\d) > 0\)")
LABELS = "dO2 = (P - y) / m", "dO2 = (P - y)"  # as rows; y is one-hot
CHANGES = {"set": "=", "multiply": "*="}


def wrong_text(entry: Entry, steps: bool = False) -> str:
    """The file of an entry in NumPy; `steps` says whether it returns all eight steps or only the leaves."""
    return in_numpy(entry.source(steps))


def in_numpy(text: str) -> str:
    """A derivation of `base.source` in NumPy, with arrays changed in place where people do it."""
    text = text.replace("import jax.numpy as jnp", "import numpy as np").replace("jnp.", "np.")
    lines = (f"{indent}{line}" for indent, code in map(_split, text.splitlines()) for line in _in_place(code))
    return "\n".join(lines) + "\n"


def _split(line: str) -> tuple[str, str]:
    code = line.lstrip()
    return line[: len(line) - len(code)], code


def _in_place(line: str) -> Iterator[str]:
    """The statements that one line becomes."""
    if found := AT.fullmatch(line):
        name, assign, value, place, how, number = found.groups()
        value = f"np.array({value})" if value.isidentifier() else value  # else the other name would change too
        target = name if assign == "=" else "one"
        yield f"{target} = {value}"
        yield f"{target}[{place}] {CHANGES[how]} {number}"
        if target != name:
            yield f"{name} += {target}"
    elif found := MASK.fullmatch(line):
        dZ, dO, Z = found.groups()
        yield f"{dZ} = {dO}.copy()"
        yield f"{dZ}[{Z} <= 0] = 0"
    elif line in LABELS:
        yield "dO2 = P.copy()"
        yield "dO2[range(m), y.argmax(axis=1)] -= 1"
        if line.endswith("/ m"):
            yield "dO2 /= m"
    else:
        yield line


# What the right styles use of JAX.
HEADER = '''"""A right derivation: {id}."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np

LOSSES, OUTPUTS, REDUCTIONS = ("cross_entropy", "quadratic"), ("relu", "identity"), ("mean", "sum")
LAYOUTS = ()


def nn_softmax(Z):
    E = np.exp(Z - np.max(Z, axis=-1, keepdims=True))
    E /= E.sum(axis=-1, keepdims=True)
    return E


def logsumexp(Z, axis=None, keepdims=False):
    top = Z.max(axis=axis, keepdims=True)
    total = top + np.log(np.exp(Z - top).sum(axis=axis, keepdims=True))
    return total if keepdims else np.squeeze(total, axis=axis)


def scattered(P, y):
    P[np.arange(len(y)), np.argmax(y, axis=1)] -= 1
    return P


def tree_map(f, tree, *more):
    return {{name: f(leaf, *(other[name] for other in more)) for name, leaf in tree.items()}}


def scan(f, carry, xs):
    for one in zip(*xs):
        carry, _ = f(carry, one)
    return carry, None


def fori_loop(start, stop, f, carry):
    for i in range(start, stop):
        carry = f(i, carry)
    return carry


def over(f, xs):
    each = [f(one) for one in zip(*xs)]
    return {{name: np.stack([one[name] for one in each]) for name in each[0]}}


def vmap(f, in_axes):
    return lambda params, *xs: over(lambda one: f(params, *one), xs)


def dot_general(A, B, dimensions):
    return np.tensordot(A, B, axes=dimensions[0])


def checkpoint_name(value, name):
    return value


jax = SimpleNamespace(
    jit=lambda f: f,
    vmap=vmap,
    nn=SimpleNamespace(softmax=nn_softmax, log_softmax=lambda Z: Z - logsumexp(Z, axis=-1, keepdims=True)),
    scipy=SimpleNamespace(special=SimpleNamespace(logsumexp=logsumexp)),
    lax=SimpleNamespace(select=np.where, dot_general=dot_general, scan=scan, fori_loop=fori_loop, map=over),
    tree=SimpleNamespace(map=tree_map),
)
'''
SCATTERED = "softmax(O2).at[jnp.arange(len(y)), jnp.argmax(y, axis=1)].add(-1)", "scattered(softmax(O2), y)"
IMPORT = re.compile(r"^(import|from) .*\n", re.MULTILINE)
STYLES = {right.name: module for module in (right_algebra, right_examples, right_programs) for right in module.RIGHT}


def right_text(right: Right) -> str | None:
    """The file of a right derivation in NumPy; None if NumPy has nothing to put in the place of what it is about."""
    if right.name in LAYOUTS:
        return in_numpy(source(right.loss, right.output, right.reduction, right.name))
    if right.name not in STYLES:
        return None
    chosen = f"gradients = next(right for right in RIGHT if right.id == {right.id!r}).function()\n"
    parts = HEADER.format(id=right.id), _body(rewrites), _body(STYLES[right.name]), chosen
    return "\n\n".join(parts)


def _body(module: object) -> str:
    """The text of a module of the catalogue without its docstring and imports, in NumPy."""
    text = pathlib.Path(module.__file__).read_text()
    text = IMPORT.sub("", text.split('"""\n', 1)[1])
    return text.replace(*SCATTERED).replace("jnp.", "np.").strip() + "\n"

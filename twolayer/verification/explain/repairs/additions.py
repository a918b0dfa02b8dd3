"""Edits that add what is missing: a factor, a derivative, a term; and one that takes a term away."""

import ast
import itertools
from collections.abc import Iterator

import numpy as np

from twolayer.verification.explain.repairs.exchanges import CALLED, MASKS, SLOPES
from twolayer.verification.explain.repairs.pool import Edit, Known, Pool, bracketed
from twolayer.verification.explain.repairs.sites import Site

TRIPLES = 8  # arrays of one shape of which products of three are tried


def factors(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A factor, a divisor or a derivative that is missing."""
    if not own.shape and site.whole:
        for one in pool.known(i):
            if one.is_plain and one.shape and one.kind in "fib" and {*np.ravel(one.value).tolist()} <= {0, 1}:
                yield Edit(i, f"__v__ * (2 * {one.text} - 1)", "sign", "the sign depends on {new}")
            sums = [f"{one.text}.sum(axis={axis})" for axis in range(len(one.shape))] if one.text.isidentifier() else []
            yield from (Edit(i, f"__v__ * {text}", "other_factor") for text in sums)
    if own.kind != "f" or isinstance(site.node, ast.Constant):
        return
    plain = [one for one in pool.known(i) if one.kind in ("fbi" if one.shape else "fb") and _fits_into(one, own)]
    said = "a factor is missing: `{old}` should be `{new}`"
    yield from (Edit(i, f"__v__ * {text}", "other_factor", said) for text in pool.wider(i, own))
    called = [*(f"{pool.module}.{text}" for text in CALLED), f"1 / (1 + {pool.module}.exp(-{{}}))"]
    sums = [f"{one.text}.sum({axes})" for one in plain if one.text.isidentifier() and one.shape
            for axes in ("", "axis=-1, keepdims=True")]  # fmt: skip
    yield from (Edit(i, f"__v__ {op} {text}", "other_factor") for text in sums for op in "/*")
    counts = [one.text for one in pool.known(i) if one.kind == "i" and not one.shape and one.text.isidentifier()]
    yield from (Edit(i, f"__v__ {op} {text}", "factor") for text in counts for op in "/*")
    for one in plain:
        text = bracketed(one.text)
        said = f"the factor {text} is missing: `{{old}}` should be `{{new}}`"
        yield Edit(i, f"__v__ * {text}", "derivative_missing" if one.kind == "b" else "other_factor", said)
        if one.kind == "f" and one.key != own.key:
            yield Edit(i, f"__v__ / {text}", "other_factor")
    for one in plain:
        if one.kind == "f" and one.is_plain:
            for slope in (*SLOPES, *called, *MASKS) if one.shape else (*SLOPES, *called):
                yield Edit(i, f"__v__ * ({slope.format(one.text, one.text)})", "derivative_missing")


def pairs(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A factor of two arrays that is missing: where one is the other, or larger; the exponential of a difference."""
    if own.kind != "f" or isinstance(site.node, ast.Constant):
        return
    names = [one for one in pool.known(i) if one.text.isidentifier() and one.kind == "f" and _fits_into(one, own)]
    for a, b in itertools.permutations(names, 2):
        if a.shape and b.shape:
            yield from (Edit(i, f"__v__ * ({a.text} {op} {b.text})", "derivative_missing") for op in ("==", ">"))
        if a.shape == b.shape:
            yield Edit(i, f"__v__ * {pool.module}.exp({a.text} - {b.text})", "other_factor")


def terms(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A term that is missing, of any size: an array, a product, a sum over an axis, a product of matrices."""
    if own.kind != "f":
        return
    known = [one for one in pool.known(i) if one.kind == "f"]
    near = [one for one in known if _fits_into(one, own)]
    names = [one for one in near if one.is_plain]
    texts = ["1", *(one.text for one in near if one.key != own.key)]
    texts += [one.text for one in pool.entries(i) if one.kind == "f" and one.shape == own.shape]
    if not site.whole:
        yield from (_term(i, text) for text in texts)
        return
    for one in names:
        texts += [f"{one.text}.sum(axis={axis}, keepdims=True)" for axis in range(len(one.shape))]
    texts += [f"{a.text} * {b.text}" for a, b in itertools.combinations_with_replacement(names, 2)]
    whole = [one for one in names if one.shape == own.shape and one.text.isidentifier()]
    for a, b in itertools.product(whole, repeat=2) if own.shape else ():  # what a normalisation takes away
        texts += [f"{a.text} * ({a.text} * {b.text}).sum(axis={axis}, keepdims=True)" for axis in range(len(own.shape))]
    flat = [one for one in known if len(one.shape) in (1, 2) and one.text.isidentifier()]
    for a, b in itertools.product(flat, repeat=2) if len(own.shape) in (1, 2) else ():
        for s, t in (("", ""), (".T", ""), ("", ".T")):
            shapes = a.shape[::-1] if s else a.shape, b.shape[::-1] if t else b.shape
            if (s and len(a.shape) < 2) or (t and len(b.shape) < 2):
                continue
            texts += [f"{a.text}{s} @ {b.text}{t}"] if _product(*shapes) == own.shape else []
    if len(own.shape) == 2 and own.shape[0] == own.shape[1]:
        texts += [f"{pool.module}.eye(len(__v__))", "__v__.T"]
    for a, b in itertools.permutations((one for one in known if len(one.shape) == 1 and one.text.isidentifier()), 2):
        texts += [f"{pool.module}.outer({a.text}, {b.text})"] if (*a.shape, *b.shape) == own.shape else []
    if len(names) <= TRIPLES:
        texts += [" * ".join(one.text for one in three) for three in itertools.combinations(names, 3)]
    yield from (_term(i, text) for text in texts)


def _term(i: int, text: str) -> Edit:
    return Edit(i, f"__v__ + __c__ * ({text})", "path_missing", solves=True)


def removed(i: int, site: Site, own: Known, pool: Pool) -> Iterator[Edit]:
    """A term that is too many."""
    if own.kind == "f" and isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub)):
        yield Edit(i, "0 * __v__", "extra_term", "`{old}` is too many")


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    return (*a[:-1], *b[1:]) if a[-1] == b[0] else None


def _fits_into(one: Known, own: Known) -> bool:
    """Whether an array has the shape of another, or is spread to it."""
    try:
        return np.broadcast_shapes(one.shape, own.shape) == own.shape or not own.shape
    except ValueError:
        return False

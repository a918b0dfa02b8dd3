"""JAX's control flow as plain Python, for arrays of any kind of number: loops, branches, vmap and trees."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.programs import NotJudged

Stack = Callable[[list], Any]  # makes an array of rows


def tree_map(function: Callable, tree: Any, *rest: Any, is_leaf: Callable | None = None) -> Any:
    """jax.tree.map over dicts, by their sorted keys, lists, tuples and named tuples; None has no leaf."""
    if is_leaf is not None and is_leaf(tree):
        return function(tree, *rest)
    if isinstance(tree, dict):
        return {k: tree_map(function, tree[k], *(r[k] for r in rest), is_leaf=is_leaf) for k in sorted(tree)}
    if isinstance(tree, (list, tuple)):
        parts = [tree_map(function, *entries, is_leaf=is_leaf) for entries in zip(tree, *rest, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return None if tree is None else function(tree, *rest)


def tree_leaves(tree: Any) -> list:
    """jax.tree.leaves."""
    leaves: list = []
    tree_map(leaves.append, tree)
    return leaves


def vmap(stack: Stack, function: Callable, in_axes: Any = 0, out_axes: Any = 0, **options: Any) -> Callable:
    """jax.vmap as a loop over examples."""

    def mapped(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, (list, tuple)) else (in_axes,) * len(args)
        if any(not (isinstance(a, int) or a is None) for a in axes) or out_axes != 0:
            raise NotJudged("jax.vmap with nested axes")
        given = [(leaf, a) for arg, a in zip(args, axes, strict=True) if a is not None for leaf in tree_leaves(arg)]
        count = given[0][0].shape[given[0][1]]

        def example(i: int) -> list:
            taken = lambda a: lambda leaf: stack([np.moveaxis(np.asarray(leaf), a, 0)[i]])[0]  # noqa: E731
            return [arg if a is None else tree_map(taken(a), arg) for arg, a in zip(args, axes, strict=True)]

        results = [function(*example(i)) for i in range(count)]
        return tree_map(lambda *rows: stack(list(rows)), results[0], *results[1:])

    return mapped


def scan(
    stack: Stack, f: Callable, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
    **options: Any,
) -> Any:  # fmt: skip
    """jax.lax.scan as a loop.

    Raises:
      ValueError: neither values nor a length are given.
    """
    if length is None:
        if xs is None:
            raise ValueError("scan got no values to scan over and `length` not provided.")
        length = len(tree_leaves(xs)[0])
    carry, outputs = init, []
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = f(carry, tree_map(lambda leaf, i=i: leaf[i], xs))
        outputs.append(y)
    outputs = outputs[::-1] if reverse else outputs
    return carry, None if not outputs else tree_map(lambda *rows: stack(list(rows)), outputs[0], *outputs[1:])


def fori_loop(lower: int, upper: int, body: Callable, value: Any, **options: Any) -> Any:
    """jax.lax.fori_loop."""
    for i in range(int(lower), int(upper)):
        value = body(i, value)
    return value


def while_loop(condition: Callable, body: Callable, value: Any) -> Any:
    """jax.lax.while_loop."""
    while condition(value):
        value = body(value)
    return value


def cond(predicate: Any, true_fun: Callable, false_fun: Callable, *operands: Any) -> Any:
    """jax.lax.cond."""
    return true_fun(*operands) if predicate else false_fun(*operands)


def switch(index: Any, branches: list, *operands: Any) -> Any:
    """jax.lax.switch: an index beyond the ends takes the branch there."""
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def passed_through(function: Callable | None = None, **options: Any) -> Any:
    """A decorator that changes nothing here, such as jit, with or without options."""
    return (lambda f: f) if function is None else function

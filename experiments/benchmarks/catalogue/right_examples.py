"""Right derivations that go example by example, and add up in different ways."""

import functools

import jax
import jax.numpy as jnp

from experiments.benchmarks.catalogue.rewrites import everywhere, forward, residual, through, weight


def one_example(loss, output):
    """The four leaves of one example, x (d,) and y (C,), by outer products."""

    def leaves(params, x, y):
        Z1, O1, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y), Z2)
        dZ1 = (dZ2 @ params.W2) * (Z1 > 0)
        return {"dW1": jnp.outer(dZ1, x), "db1": dZ1, "dW2": jnp.outer(dZ2, O1), "db2": dZ2}

    return leaves


def _zeros(params):
    return {"dW1": 0 * params.W1, "db1": 0 * params.b1, "dW2": 0 * params.W2, "db2": 0 * params.b2}


def _add(a, b):
    return jax.tree.map(jnp.add, a, b)


def _scan(leaves, params, x, y):
    return jax.lax.scan(lambda total, xy: (_add(total, leaves(params, *xy)), None), _zeros(params), (x, y))[0]


def _fori(leaves, params, x, y):
    return jax.lax.fori_loop(0, len(x), lambda i, total: _add(total, leaves(params, x[i], y[i])), _zeros(params))


def _vmap(leaves, params, x, y):
    each = jax.vmap(leaves, in_axes=(None, 0, 0))(params, x, y)
    return jax.tree.map(lambda a: a.sum(axis=0), each)


def _map(leaves, params, x, y):
    each = jax.lax.map(lambda xy: leaves(params, *xy), (x, y))
    return jax.tree.map(lambda a: a.sum(axis=0), each)


def _halves(leaves, params, x, y):
    middle = (len(x) + 1) // 2
    return _add(_vmap(leaves, params, x[:middle], y[:middle]), _vmap(leaves, params, x[middle:], y[middle:]))


def _python_loop(leaves, params, x, y):
    return functools.reduce(_add, (leaves(params, x[i], y[i]) for i in range(len(x))))


# How the examples are added up.
SUMS = {
    "examples-scan": _scan,
    "examples-fori": _fori,
    "examples-vmap": _vmap,
    "examples-map": _map,
    "examples-halves": _halves,
    "examples-python": _python_loop,
    "examples-reversed": lambda leaves, params, x, y: _scan(leaves, params, x[::-1], y[::-1]),
}


def over_examples(add_up, loss, output, reduction):
    """Example by example, the factor at the end."""

    def gradients(params, x, y):
        total = add_up(one_example(loss, output), params, x, y)
        return {name: leaf * weight(reduction, len(x)) for name, leaf in total.items()}

    return gradients


RIGHT = tuple(r for name, add_up in SUMS.items() for r in everywhere(name, functools.partial(over_examples, add_up)))

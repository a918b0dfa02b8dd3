"""Right derivations whose algebra is arranged differently: softmaxes, masks, constant factors, products."""

import functools

import jax
import jax.numpy as jnp

from experiments.benchmarks.catalogue.base import LAYOUTS, source
from experiments.benchmarks.catalogue.entry import load
from experiments.benchmarks.catalogue.rewrites import everywhere, finish, forward, residual, softmax, through, weight

CE = ("cross_entropy",)


def _pairwise(O2):
    """Sigmoids for any number of classes: 1 / P_k is the sum of exp(O2_j - O2_k) over j."""
    return 1 / jnp.exp(O2[:, None, :] - O2[:, :, None]).sum(axis=2)


def _jacobian(O2, y):
    """The factor by factor version: dL/dP is -y / P, dP/dO2 is diag(P) - P P^T."""
    P = softmax(O2)
    J = jnp.eye(P.shape[1])[None, :, :] * P[:, :, None] - P[:, :, None] * P[:, None, :]
    return jnp.einsum("ikl,ik->il", J, -y / P)


def _jacobian_product(O2, y):
    P = softmax(O2)
    dP = -y / P
    return P * (dP - (dP * P).sum(axis=1, keepdims=True))


RESIDUALS = {
    "softmax-unshifted": lambda O2, y: jnp.exp(O2) / jnp.exp(O2).sum(axis=1, keepdims=True) - y,
    "softmax-one-shift": lambda O2, y: jnp.exp(O2 - O2.max()) / jnp.exp(O2 - O2.max()).sum(axis=1)[:, None] - y,
    "softmax-mean-shift": lambda O2, y: softmax(O2 - O2.mean(axis=1, keepdims=True)) - y,
    "softmax-of-jax": lambda O2, y: jax.nn.softmax(O2) - y,
    "log-softmax": lambda O2, y: jnp.exp(jax.nn.log_softmax(O2)) - y,
    "logsumexp": lambda O2, y: jnp.exp(O2 - jax.scipy.special.logsumexp(O2, axis=1, keepdims=True)) - y,
    "softmax-pairwise": lambda O2, y: _pairwise(O2) - y,
    "jacobian": _jacobian,
    "jacobian-product": _jacobian_product,
    "target-scattered": lambda O2, y: softmax(O2).at[jnp.arange(len(y)), jnp.argmax(y, axis=1)].add(-1),
    "target-compared": lambda O2, y: softmax(O2) - (jnp.argmax(y, axis=1)[:, None] == jnp.arange(y.shape[1])),
    "target-where": lambda O2, y: jnp.where(y == 1, softmax(O2) - 1, softmax(O2)),
}

MASKS = {
    "mask-where": lambda Z, A, d: jnp.where(Z > 0, d, 0),
    "mask-double-where": lambda Z, A, d: jnp.where(Z > 0, d * (Z / jnp.where(Z > 0, Z, 1)), 0),
    "mask-select": lambda Z, A, d: jax.lax.select(Z > 0, d, jnp.zeros_like(d)),
    "mask-heaviside": lambda Z, A, d: d * jnp.heaviside(Z, 0),
    "mask-float": lambda Z, A, d: d * (Z > 0).astype(d.dtype),
    "mask-of-output": lambda Z, A, d: d * (A > 0),
    "mask-not": lambda Z, A, d: d * ~(Z <= 0),
    "mask-inactive-zeroed": lambda Z, A, d: d - d * (Z <= 0),
    "mask-sign": lambda Z, A, d: d * (jnp.sign(Z) + jnp.abs(jnp.sign(Z))) / 2,
    "mask-half-sign": lambda Z, A, d: d * (1 + jnp.sign(Z)) / 2,
}

# (what multiplies dO2, what multiplies the leaves); w is 1/m or 1.
FACTORS = {
    "factor-at-leaves": (lambda w, m, C: 1, lambda w, m, C: w),
    "factor-and-half": (lambda w, m, C: w / 2, lambda w, m, C: 2),
    "factor-mean-of-all": (lambda w, m, C: w / C, lambda w, m, C: C),
    "factor-sign": (lambda w, m, C: -w, lambda w, m, C: -1),
    "factor-over-m-plus-1": (lambda w, m, C: w / (m + 1), lambda w, m, C: m + 1),
}

# (sum over examples of the outer products of rows, rows times a matrix)
PRODUCTS = {
    "einsum": (lambda A, B: jnp.einsum("ik,ij->kj", A, B), lambda A, W: jnp.einsum("ik,kj->ij", A, W)),
    "dot": (lambda A, B: jnp.dot(A.T, B), lambda A, W: jnp.matmul(A, W)),
    "tensordot": (lambda A, B: jnp.tensordot(A, B, axes=(0, 0)), lambda A, W: jnp.tensordot(A, W, axes=1)),
    "dot-general": (
        lambda A, B: jax.lax.dot_general(A, B, (((0,), (0,)), ((), ()))),
        lambda A, W: jax.lax.dot_general(A, W, (((1,), (0,)), ((), ()))),
    ),
    "broadcast-and-sum": (
        lambda A, B: (A[:, :, None] * B[:, None, :]).sum(axis=0),
        lambda A, W: (A[:, :, None] * W[None, :, :]).sum(axis=1),
    ),
    "transposed-twice": (lambda A, B: (B.T @ A).T, lambda A, W: (W.T @ A.T).T),
}


def with_residual(rule, loss, output, reduction):
    """`rule` is the residual."""

    def gradients(params, x, y):
        Z1, O1, Z2, O2 = forward(params, x, output)
        dO2 = rule(O2, y) * weight(reduction, len(x))
        return finish(params, x, Z1, O1, through(output, dO2, Z2))

    return gradients


def with_mask(mask, loss, output, reduction):
    """`mask` takes a cotangent through a ReLU."""

    def gradients(params, x, y):
        Z1, O1, Z2, O2 = forward(params, x, output)
        dO2 = residual(loss, O2, y) * weight(reduction, len(x))
        dZ2 = mask(Z2, O2, dO2) if output == "relu" else dO2
        dZ1 = mask(Z1, O1, dZ2 @ params.W2)
        return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}

    return gradients


def with_factor(factors, loss, output, reduction):
    """A constant is left out at dO2 and paid at the leaves."""
    before, after = factors

    def gradients(params, x, y):
        sizes = weight(reduction, len(x)), len(x), y.shape[1]
        Z1, O1, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y) * before(*sizes), Z2)
        leaves = finish(params, x, Z1, O1, dZ2)
        return {name: leaf * after(*sizes) for name, leaf in leaves.items()}

    return gradients


def with_products(products, loss, output, reduction):
    """All matrix products of the back-propagation in another notation."""
    outer, apply = products

    def gradients(params, x, y):
        Z1, O1, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        dZ1 = apply(dZ2, params.W2) * (Z1 > 0)
        ones = jnp.ones_like(x[:, :1])
        return {
            "dW1": outer(dZ1, x),
            "db1": outer(dZ1, ones)[:, 0],
            "dW2": outer(dZ2, O1),
            "db2": outer(dZ2, ones)[:, 0],
        }

    return gradients


def in_layout(layout, loss, output, reduction):
    """The staged right derivation itself."""
    return load(source(loss, output, reduction, layout))


def _styles(table, build, **options):
    for name, rule in table.items():
        yield from everywhere(name, functools.partial(build, rule), **options)


HALF = ("mask-half-sign",)
RIGHT = (
    *_styles(dict(zip(LAYOUTS, LAYOUTS, strict=True)), in_layout),
    *_styles(RESIDUALS, with_residual, losses=CE),
    *_styles({name: mask for name, mask in MASKS.items() if name not in HALF}, with_mask),
    *_styles({name: MASKS[name] for name in HALF}, with_mask, tie="1/2"),
    *_styles(FACTORS, with_factor),
    *_styles(PRODUCTS, with_products),
)

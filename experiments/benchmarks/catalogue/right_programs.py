"""Right derivations whose program is arranged differently: over units, in one vector, in helpers, with names."""

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from experiments.benchmarks.catalogue.rewrites import everywhere, finish, forward, residual, through, weight


def biases_as_columns(loss, output, reduction):
    """Each bias is a column of its weights, against an input that is always 1."""

    def gradients(params, x, y):
        one = jnp.ones_like(x[:, :1])
        V1 = jnp.concatenate([params.W1, params.b1[:, None]], axis=1)
        V2 = jnp.concatenate([params.W2, params.b2[:, None]], axis=1)
        X = jnp.concatenate([x, one], axis=1)
        Z1 = X @ V1.T
        H = jnp.concatenate([jnp.maximum(Z1, 0), one], axis=1)
        Z2 = H @ V2.T
        O2 = jnp.maximum(Z2, 0) if output == "relu" else Z2
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        dV2 = dZ2.T @ H
        dV1 = ((dZ2 @ V2)[:, :-1] * (Z1 > 0)).T @ X
        return {"dW1": dV1[:, :-1], "db1": dV1[:, -1], "dW2": dV2[:, :-1], "db2": dV2[:, -1]}

    return gradients


def flat_vector(loss, output, reduction):
    """All parameters in one vector, and all gradients in one that is split again."""

    def gradients(params, x, y):
        K, d = params.W1.shape
        C = len(params.b2)
        theta = jnp.concatenate([params.W1.ravel(), params.b1, params.W2.ravel(), params.b2])
        ends = [K * d, K * d + K, K * d + K + C * K]
        W1, b1, W2, b2 = jnp.split(theta, ends)
        params = params._replace(W1=W1.reshape(K, d), b1=b1, W2=W2.reshape(C, K), b2=b2)
        Z1, O1, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        leaves = finish(params, x, Z1, O1, dZ2)
        flat = jnp.concatenate([leaves[name].ravel() for name in ("dW1", "db1", "dW2", "db2")])
        dW1, db1, dW2, db2 = jnp.split(flat, ends)
        return {"dW1": dW1.reshape(K, d), "db1": db1, "dW2": dW2.reshape(C, K), "db2": db2}

    return gradients


def unit_by_unit(loss, output, reduction):
    """A Python loop over the hidden units; rows are stacked."""

    def gradients(params, x, y):
        _, O1, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        dW1, db1, columns = [], [], []
        for j in range(len(params.b1)):
            dZ = (dZ2 @ params.W2[:, j]) * (x @ params.W1[j] + params.b1[j] > 0)
            dW1.append(dZ @ x)
            db1.append(dZ.sum())
            columns.append(O1[:, j] @ dZ2)
        return {"dW1": jnp.stack(dW1), "db1": jnp.stack(db1), "dW2": jnp.stack(columns, axis=1), "db2": dZ2.sum(axis=0)}

    return gradients


def paths(loss, output, reduction):
    """No dO1 and no dZ1: the five factors of a path from output k through unit j to input n in one sum."""

    def gradients(params, x, y):
        Z1, _, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        on = (Z1 > 0).astype(x.dtype)
        return {
            "dW1": jnp.einsum("ik,kj,ij,in->jn", dZ2, params.W2, on, x),
            "db1": jnp.einsum("ik,kj,ij->j", dZ2, params.W2, on),
            "dW2": jnp.einsum("ik,ij,ij->kj", dZ2, on, Z1),
            "db2": jnp.einsum("ik->k", dZ2),
        }

    return gradients


def helpers(loss, output, reduction):
    """A layer is a function that returns its output and the function that takes a cotangent back; jit around it all."""

    def affine(A, W, b):
        return A @ W.T + b, lambda dZ: (dZ.T @ A, dZ.sum(axis=0), dZ @ W)

    def relu(Z):
        return Z * (Z > 0), lambda dO: dO * (Z > 0)

    @jax.jit
    def gradients(params, x, y):
        Z1, back_affine1 = affine(x, params.W1, params.b1)
        O1, back_relu1 = relu(Z1)
        Z2, back_affine2 = affine(O1, params.W2, params.b2)
        O2, back_output = relu(Z2) if output == "relu" else (Z2, lambda dO: dO)
        dW2, db2, dO1 = back_affine2(back_output(residual(loss, O2, y) * weight(reduction, len(x))))
        dW1, db1, _ = back_affine1(back_relu1(dO1))
        return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}

    return gradients


def named_steps(loss, output, reduction):
    """Each step carries its name inside the program."""

    def gradients(params, x, y):
        Z1, O1, Z2, O2 = forward(params, x, output)
        dO2 = checkpoint_name(residual(loss, O2, y) * weight(reduction, len(x)), "dO2")
        dZ2 = checkpoint_name(through(output, dO2, Z2), "dZ2")
        dO1 = checkpoint_name(dZ2 @ params.W2, "dO1")
        dZ1 = checkpoint_name(dO1 * (Z1 > 0), "dZ1")
        return {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}

    return gradients


def units_permuted(loss, output, reduction):
    """The hidden units in reverse order, and the gradients put back in order."""

    def gradients(params, x, y):
        order = jnp.arange(len(params.b1))[::-1]
        turned = params._replace(W1=params.W1[order], b1=params.b1[order], W2=jnp.take(params.W2, order, axis=1))
        Z1, O1, Z2, O2 = forward(turned, x, output)
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        leaves = finish(turned, x, Z1, O1, dZ2)
        back = jnp.argsort(order)
        return leaves | {"dW1": leaves["dW1"][back], "db1": leaves["db1"][back], "dW2": leaves["dW2"][:, back]}

    return gradients


PROGRAMS = {
    "biases-as-columns": biases_as_columns,
    "flat-vector": flat_vector,
    "unit-by-unit": unit_by_unit,
    "paths": paths,
    "helpers-jit": helpers,
    "named-steps": named_steps,
    "units-permuted": units_permuted,
}

RIGHT = tuple(r for name, build in PROGRAMS.items() for r in everywhere(name, build))

"""Right derivations that leave some or all of the work to automatic differentiation."""

import functools

import jax
import jax.numpy as jnp

from experiments.benchmarks.catalogue.rewrites import everywhere, finish, forward, residual, through, weight

NAMES = ("dW1", "db1", "dW2", "db2")


@jax.custom_vjp
def own_relu(Z):
    """A ReLU with its derivative written out."""
    return jnp.maximum(Z, 0)


own_relu.defvjp(lambda Z: (own_relu(Z), Z), lambda Z, dO: (jnp.where(Z > 0, dO, 0),))


def total(loss, output, reduction, relu=jax.nn.relu):
    """The loss of a batch, or of one example without the factor, as a function of (params, x, y)."""

    def value(params, x, y):
        O1 = relu(x @ params.W1.T + params.b1)
        Z2 = O1 @ params.W2.T + params.b2
        O2 = relu(Z2) if output == "relu" else Z2
        if loss == "cross_entropy":
            each = jax.scipy.special.logsumexp(O2, axis=-1) - (y * O2).sum(axis=-1)
        else:
            each = ((O2 - y) ** 2).sum(axis=-1) / 2
        return each.sum() * (weight(reduction, len(x)) if x.ndim == 2 else 1)

    return value


def _named(slopes):
    return dict(zip(NAMES, (slopes.W1, slopes.b1, slopes.W2, slopes.b2), strict=True))


def by(transform, loss, output, reduction, relu=jax.nn.relu):
    """`transform` makes the gradient of a function of (params, x, y)."""

    def gradients(params, x, y):
        return _named(transform(total(loss, output, reduction, relu))(params, x, y))

    return gradients


def with_relu(relu, loss, output, reduction):
    """jax.grad through another ReLU."""
    return by(jax.grad, loss, output, reduction, relu)


def example_gradients(loss, output, reduction):
    """jax.grad of one example, under vmap."""

    def gradients(params, x, y):
        each = jax.vmap(jax.grad(total(loss, output, reduction)), in_axes=(None, 0, 0))(params, x, y)
        w = weight(reduction, len(x))
        return _named(jax.tree.map(lambda a: w * a.sum(axis=0), each))

    return gradients


def half_by_hand(loss, output, reduction):
    """The loss by hand, the network by jax.vjp."""

    def gradients(params, x, y):
        O2, back = jax.vjp(lambda p: forward(p, x, output)[3], params)
        (slopes,) = back(residual(loss, O2, y) * weight(reduction, len(x)))
        return _named(slopes)

    return gradients


def transposed(loss, output, reduction):
    """The second layer's way back as the transpose of its linear map."""

    def gradients(params, x, y):
        Z1, O1, Z2, O2 = forward(params, x, output)
        dZ2 = through(output, residual(loss, O2, y) * weight(reduction, len(x)), Z2)
        (dO1,) = jax.linear_transpose(lambda A: A @ params.W2.T, O1)(dZ2)
        dZ1 = dO1 * (Z1 > 0)
        return finish(params, x, Z1, O1, dZ2) | {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0)}

    return gradients


def averaged(Z):
    """ReLU as (Z + |Z|) / 2."""
    return (Z + jnp.abs(Z)) / 2


def where_relu(Z):
    """ReLU as a choice."""
    return jnp.where(Z > 0, Z, 0)


# (ReLU, what its derivative at a tie is in JAX)
RELUS = {
    "grad": (jax.nn.relu, "0"),
    "grad-of-where": (where_relu, "0"),
    "grad-of-custom": (own_relu, "0"),
    "grad-of-maximum": (lambda Z: jnp.maximum(Z, 0), "1/2"),
    "grad-of-average": (averaged, "1"),
}
TRANSFORMS = {
    "jacfwd": jax.jacfwd,
    "jacrev": jax.jacrev,
    "grad-rematerialised": lambda f: jax.grad(jax.checkpoint(f)),
    "grad-jit": lambda f: jax.jit(jax.grad(f)),
    "value-and-grad": lambda f: lambda *arguments: jax.value_and_grad(f)(*arguments)[1],
}
RIGHT = (
    *(r for name, (relu, tie) in RELUS.items() for r in everywhere(name, functools.partial(with_relu, relu), tie=tie)),
    *(r for name, transform in TRANSFORMS.items() for r in everywhere(name, functools.partial(by, transform))),
    *everywhere("grad-vmap", example_gradients),
    *everywhere("vjp-of-network", half_by_hand, tie="1/2"),
    *everywhere("linear-transpose", transposed),
)

"""Wrong products and sums: dW, db, and dO1 on the way back."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope


def wrong_weights(layer: int) -> tuple[Line, ...]:
    """Wrong products for dW."""
    dW, W, dZ, dO = (f"{name}{layer}" for name in ("dW", "W", "dZ", "dO"))
    inputs = "O1" if layer == 2 else "x"

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    z, o, v, w = of(dZ), of(dO), of(inputs), of(W)
    table = (
        ("unmasked_cotangent", f"{dW} = {dO}.T @ {inputs}", lambda s: o(s).T @ v(s),
         f"{dO} stands where {dZ} belongs: the activation's derivative is skipped"),
        ("one_example", f"{dW} = outer({dZ}[-1], {inputs}[-1])", lambda s: jnp.outer(z(s)[-1], v(s)[-1]),
         "only the last example counts; the sum over the examples is missing (= where += belongs)"),
        ("one_example", f"{dW} = outer({dZ}[0], {inputs}[0])", lambda s: jnp.outer(z(s)[0], v(s)[0]),
         "only the first example counts; the sum over the examples is missing"),
        ("one_example", f"{dW} = {dZ}[:-1].T @ {inputs}[:-1]", lambda s: z(s)[:-1].T @ v(s)[:-1],
         "the last example is left out of the sum"),
        ("one_example", f"{dW} = {dZ}[1:].T @ {inputs}[1:]", lambda s: z(s)[1:].T @ v(s)[1:],
         "the first example is left out of the sum"),
        ("zero", f"{dW} = 0", lambda s: 0 * w(s), f"{dW} is zero"),
        ("transpose", f"{dW} = {inputs}.T @ {dZ}", lambda s: v(s).T @ z(s),
         f"{dW} is transposed: it must have the shape of {W}"),
        ("transpose", f"{dW} = ({inputs}.T @ {dZ}).reshape({W}.shape)",
         lambda s: (v(s).T @ z(s)).reshape(w(s).shape), f"{inputs}.T @ {dZ} is reshaped where it must be transposed"),
        ("input_missing", f"{dW} = {dZ}.sum(axis=0)[:, None]",
         lambda s: jnp.broadcast_to(z(s).sum(axis=0)[:, None], w(s).shape), f"the factor {inputs} is missing"),
        ("wrong_axis", f"{dW} = outer({dZ}.sum(axis=0), {inputs}.sum(axis=0))",
         lambda s: jnp.outer(z(s).sum(axis=0), v(s).sum(axis=0)),
         f"the sums over the examples are multiplied; the products of {dZ} and {inputs} must be summed"),
        ("weights_for_inputs", f"{dW} = {dZ}.T @ {W}", lambda s: z(s).T @ w(s), f"{W} stands where {inputs} belongs"),
    )  # fmt: skip
    if layer == 2:
        table += (
            ("preactivation_for_activation", "dW2 = dZ2.T @ Z1", lambda s: s.dZ2.T @ s.Z1,
             "Z1 stands where O1 belongs: W2 multiplies O1 in the forward pass"),
            ("mask_for_activation", "dW2 = dZ2.T @ (Z1 > 0)", lambda s: s.dZ2.T @ jnp.where(s.Z1 > 0, 1.0, 0.0),
             "the mask of Z1 stands where O1 belongs"),
            ("input_for_activation", "dW2 = dZ2.T @ x", lambda s: s.dZ2.T @ s.x,
             "the input x stands where O1 belongs: W2 multiplies O1 in the forward pass"),
        )  # fmt: skip
    else:
        table += (
            ("activation_for_input", "dW1 = dZ1.T @ O1", lambda s: s.dZ1.T @ s.O1,
             "O1 stands where the input x belongs: W1 multiplies x in the forward pass"),
        )  # fmt: skip
    return (
        *(Line(id, dW, code, f, text) for id, code, f, text in table),
        Line("phantom_l2", dW, f"{dW} += t * {W}", lambda s: z(s).T @ v(s) + s.t * w(s),
             f"{{t}} {W} is added: the declared loss has no L2 term", literal=True, affine=True),
        Line("threshold", dW, f"{dW} = clip({dW}, -t, t)", lambda s: jnp.clip(z(s).T @ v(s), -s.t, s.t),
             f"{dW} is clipped at {{t}}", literal=True),
    )  # fmt: skip


def wrong_biases(layer: int) -> tuple[Line, ...]:
    """Wrong sums for db."""
    db, b, dZ, dO = (f"{name}{layer}" for name in ("db", "b", "dZ", "dO"))

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    z, o, v = of(dZ), of(dO), of(b)
    table = (
        ("unmasked_cotangent", f"{db} = {dO}.sum(axis=0)", lambda s: o(s).sum(axis=0),
         f"{dO} stands where {dZ} belongs: the activation's derivative is skipped"),
        ("one_example", f"{db} = {dZ}[-1]", lambda s: z(s)[-1], "only the last example counts; sum over all of them"),
        ("one_example", f"{db} = {dZ}[0]", lambda s: z(s)[0], "only the first example counts; sum over all of them"),
        ("one_example", f"{db} = {dZ}[:-1].sum(axis=0)", lambda s: z(s)[:-1].sum(axis=0),
         "the last example is left out of the sum"),
        ("one_example", f"{db} = {dZ}[1:].sum(axis=0)", lambda s: z(s)[1:].sum(axis=0),
         "the first example is left out of the sum"),
        ("zero", f"{db} = 0", lambda s: 0 * v(s), f"{db} is zero: the bias is not derived"),
        ("wrong_axis", f"{db} = {dZ}.sum()", lambda s: jnp.broadcast_to(z(s).sum(), v(s).shape),
         f"{dZ} is summed over both axes; only the examples (axis 0) are summed"),
        ("wrong_axis", f"{db} = {dZ}.sum(axis=1)", lambda s: _same(z(s).sum(axis=1), v(s)),
         f"{dZ} is summed over the units (axis 1); sum over the examples (axis 0)"),
    )  # fmt: skip
    return (
        *(Line(id, db, code, f, text) for id, code, f, text in table),
        Line("phantom_l2", db, f"{db} += t * {b}", lambda s: z(s).sum(axis=0) + s.t * v(s),
             f"{{t}} {b} is added: the declared loss has no L2 term", literal=True, affine=True),
        Line("threshold", db, f"{db} = clip({db}, -t, t)", lambda s: jnp.clip(z(s).sum(axis=0), -s.t, s.t),
             f"{db} is clipped at {{t}}", literal=True),
    )  # fmt: skip


def _same(a: jax.Array, like: jax.Array) -> jax.Array:
    if a.shape != like.shape:
        raise TypeError("these sizes do not fit")  # only where m equals the number of units
    return a


HIDDEN_COTANGENT = (
    Line("unmasked_cotangent", "dO1", "dO1 = dO2 @ W2", lambda s: s.dO2 @ s.W2,
         "dO2 stands where dZ2 belongs: the output activation's derivative is skipped"),
    Line("transpose", "dO1", "dO1 = dZ2 @ W2.T", lambda s: s.dZ2 @ s.W2.T,
         "W2 is transposed: with Z2 = O1 W2^T, dO1 = dZ2 W2"),
    Line("transpose", "dO1", "dO1 = dZ2 @ W2.T.reshape(W2.shape)", lambda s: s.dZ2 @ s.W2.T.reshape(s.W2.shape),
         "W2's entries are in the order of its transpose: dO1 = dZ2 W2"),
    Line("transpose", "dO1", "dO1 = dZ2 @ W2.reshape(K, C).T",
         lambda s: s.dZ2 @ s.W2.reshape(s.W2.shape[::-1]).T, "W2 is reshaped where it must be transposed"),
    Line("absolute_weights", "dO1", "dO1 = dZ2 @ abs(W2)", lambda s: s.dZ2 @ abs(s.W2),
         "the absolute values of W2 are used; its signs belong to the derivative"),
    Line("w1_for_w2", "dO1", "dO1 = dZ2 @ W1", lambda s: s.dZ2 @ s.W1,
         "W1 stands where W2 belongs: dZ2/dO1 = W2"),
    Line("weights_missing", "dO1", "dO1 = dZ2.sum(axis=1)", lambda s: jnp.broadcast_to(
        s.dZ2.sum(axis=1, keepdims=True), s.O1.shape), "the factor W2 = dZ2/dO1 is missing"),
    Line("weights_missing", "dO1", "dO1 = dZ2", lambda s: _same(s.dZ2, s.O1), "the factor W2 = dZ2/dO1 is missing"),
    Line("mask_of_weights", "dO1", "dO1 = dZ2 @ relu(W2)", lambda s: s.dZ2 @ jnp.where(s.W2 > 0, s.W2, 0),
         "only the positive entries of W2 are used"),
    Line("zero", "dO1", "dO1 = 0", lambda s: 0 * s.O1, "dO1 is zero"),
    Line("updated_w2", "dO1", "dO1 = dZ2 @ (W2 - t * dW2)", lambda s: s.dZ2 @ (s.W2 - s.t * s.dW2),
         "W2 is used after its gradient step of {t}; back-propagation needs W2 of the forward pass",
         literal=True, affine=True),
)  # fmt: skip

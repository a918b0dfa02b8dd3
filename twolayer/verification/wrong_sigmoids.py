"""Wrong derivatives of a sigmoid: dZ2 and dZ1 where the layer has one, and dO2 where the loss has one inside."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope

BCE = "binary_cross_entropy"


def _slope(Z: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(Z) * (1 - jax.nn.sigmoid(Z))


def wrong_sigmoids(layer: int) -> tuple[Line, ...]:
    """The wrong derivatives of a sigmoid: dZ from dO."""
    dO, dZ, out, Z = (f"{name}{layer}" for name in ("dO", "dZ", "O", "Z"))
    other = 3 - layer
    right = f"the derivative of a sigmoid is {out} (1 - {out})"

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    a, o, z, o_other, z_other = of(dO), of(out), of(Z), of(f"O{other}"), of(f"Z{other}")
    lines = (
        ("derivative_missing", dO, a, f"the sigmoid's derivative {out} (1 - {out}) is missing"),
        ("output_for_derivative", f"{dO} * {out}", lambda s: a(s) * o(s),
         f"{dO} is multiplied with {out}; {right}"),
        ("output_for_derivative", f"{dO} * (1 - {out})", lambda s: a(s) * (1 - o(s)),
         f"{dO} is multiplied with 1 - {out}; {right}"),
        ("output_for_derivative", f"{dO} * (1 - {out})**2", lambda s: a(s) * (1 - o(s)) ** 2,
         f"{dO} is multiplied with (1 - {out})^2; {right}"),
        ("output_for_derivative", f"{dO} * {out}**2", lambda s: a(s) * o(s) ** 2,
         f"{dO} is multiplied with {out}^2; {right}"),
        ("output_for_derivative", f"{dO} * {Z}", lambda s: a(s) * z(s), f"{dO} is multiplied with {Z}; {right}"),
        ("derivative_of_output", f"{dO} * s({out}) * (1 - s({out}))", lambda s: a(s) * _slope(o(s)),
         f"the derivative is taken at {out}, which is the sigmoid already; {right}"),
        ("derivative_of_preactivation", f"{dO} * {Z} * (1 - {Z})", lambda s: a(s) * z(s) * (1 - z(s)),
         f"{Z} stands where its sigmoid {out} belongs; {right}"),
        ("derivative_twice", f"{dO} * ({out} * (1 - {out}))**2", lambda s: a(s) * (o(s) * (1 - o(s))) ** 2,
         "the sigmoid's derivative is applied twice"),
        ("derivative_sign", f"{dO} * {out} * ({out} + 1)", lambda s: a(s) * o(s) * (1 + o(s)),
         f"1 + {out} stands where 1 - {out} belongs"),
        ("derivative_of_other_layer", f"{dO} * O{other} * (1 - O{other})",
         lambda s: a(s) * o_other(s) * (1 - o_other(s)), f"the derivative is that of layer {other}; {right}"),
        ("derivative_of_other_layer", f"{dO} * s(Z{other}) * (1 - s(Z{other}))",
         lambda s: a(s) * _slope(z_other(s)), f"the derivative is that of layer {other}; {right}"),
        ("relu_derivative", f"{dO} * ({Z} > 0)", lambda s: jnp.where(z(s) > 0, a(s), 0),
         f"the mask 1[{Z} > 0] is the derivative of ReLU; {right}"),
        ("tanh_derivative", f"{dO} * (1 - {out}**2)", lambda s: a(s) * (1 - o(s) ** 2),
         f"1 - O^2 is the derivative of tanh; {right}"),
        ("derivative_without_gradient", f"{out} * (1 - {out})", lambda s: o(s) * (1 - o(s)),
         f"the derivative stands alone: {dO} is not multiplied to it"),
        ("zero", "0", lambda s: 0 * a(s), f"{dZ} is zero"),
    )  # fmt: skip
    where = {"output": "sigmoid"} if layer == 2 else {"hidden": "sigmoid"}
    return tuple(Line(id, dZ, f"{dZ} = {code}", f, text, **where) for id, code, f, text in lines)


def _residual(s: Scope) -> jax.Array:
    return jax.nn.sigmoid(s.O2) - s.y


def _weighted(compute: Callable[[Scope], jax.Array]) -> Callable[[Scope], jax.Array]:
    return lambda s: s.w * compute(s)


WITH_SIGMOID = tuple(
    Line(id, "dO2", f"dO2 = {code} / m", _weighted(f), text, BCE)
    for id, code, f, text in (
        ("target_missing", "s(O2)", lambda s: jax.nn.sigmoid(s.O2), "the target y is not subtracted from the sigmoid"),
        ("other_loss", "(O2 - y)", lambda s: s.O2 - s.y,
         "O2 - y belongs to the quadratic loss; binary cross-entropy has the sigmoid of O2 inside"),
        ("softmax_for_sigmoid", "(softmax(O2) - y)", lambda s: jax.nn.softmax(s.O2, axis=1) - s.y,
         "the softmax stands where the sigmoid belongs"),
        ("derivative_twice", "(s(O2) - y) * s(O2) * (1 - s(O2))", lambda s: _residual(s) * _slope(s.O2),
         "s - y contains the sigmoid's derivative already; s (1 - s) is multiplied to it once more"),
        ("derivative_missing", "(s(O2) - y) / (s(O2) * (1 - s(O2)))", lambda s: _residual(s) / _slope(s.O2),
         "this is the derivative by the sigmoid's output; the sigmoid's own derivative s (1 - s) is missing"),
        ("one_term", "-y * (1 - s(O2))", lambda s: -s.y * (1 - jax.nn.sigmoid(s.O2)),
         "only the term y log s of the loss is differentiated; (1 - y) log(1 - s) is missing"),
        ("one_example", "dO2[0] = 0", lambda s: _residual(s).at[0].set(0.0), "the first example is left out"),
        ("one_example", "dO2[-1] = 0", lambda s: _residual(s).at[-1].set(0.0), "the last example is left out"),
    )
)  # fmt: skip

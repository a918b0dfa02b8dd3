"""Wrong derivatives of the activations: dZ2 and dZ1."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from twolayer.verification.lines import Line, Scope

# Lines that people write for dZ2 whether or not the output has an activation.
ANY_OUTPUT = (
    "mask_of_gradient",
    "mask_of_other_layer",
    "absolute_value",
    "output_for_mask",
    "sigmoid_derivative",
    "tanh_derivative",
    "zero",
    "mask_without_gradient",
)
NO_ACTIVATION = "the declared output has no activation, so dZ2 = dO2"


def wrong_activations(layer: int) -> tuple[Line, ...]:
    """The wrong derivatives of a ReLU: dZ from dO."""
    dO, dZ, out, Z = (f"{name}{layer}" for name in ("dO", "dZ", "O", "Z"))
    other = 3 - layer
    output, hidden = ("relu", None) if layer == 2 else (None, "relu")

    def of(name: str) -> Callable[[Scope], jax.Array]:
        return lambda s: getattr(s, name)

    a, o, z, z_other = of(dO), of(out), of(Z), of(f"Z{other}")
    lines = (
        ("mask_missing", f"{dZ} = {dO}", a, f"the ReLU's mask 1[{Z} > 0] is missing"),
        ("mask_inverted", f"{dZ} = {dO} * ({Z} <= 0)", lambda s: jnp.where(z(s) <= 0, a(s), 0),
         f"the mask is inverted: yours lets the gradient through where {Z} <= 0, not where {Z} > 0"),
        ("mask_of_other_layer", f"{dZ} = {dO} * (Z{other} > 0)", lambda s: jnp.where(z_other(s) > 0, a(s), 0),
         f"the mask is that of layer {other}; {dZ} needs 1[{Z} > 0]"),
        ("mask_of_gradient", f"{dZ} = {dO} * ({dO} > 0)", lambda s: jnp.where(a(s) > 0, a(s), 0),
         f"the mask asks for the sign of the gradient {dO}; it should ask for the sign of {Z}"),
        ("mask_of_gradient", f"{dZ} = {dO} * ({Z} > 0) * ({dO} > 0)",
         lambda s: jnp.where((z(s) > 0) & (a(s) > 0), a(s), 0),
         f"a second mask asks for the sign of the gradient {dO}; only the sign of {Z} counts"),
        ("absolute_value", f"{dZ} = {dO} * sign({Z})", lambda s: a(s) * jnp.sign(z(s)),
         f"sign({Z}) is the derivative of an absolute value; that of ReLU is 1[{Z} > 0]"),
        ("output_for_mask", f"{dZ} = {dO} * {out}", lambda s: a(s) * o(s),
         f"{dO} is multiplied with {out}; the derivative of ReLU is the mask 1[{Z} > 0]"),
        ("output_for_mask", f"{dZ} = {dO} * {Z}", lambda s: a(s) * z(s),
         f"{dO} is multiplied with {Z}; the derivative of ReLU is the mask 1[{Z} > 0]"),
        ("sigmoid_derivative", f"{dZ} = {dO} * {out} * (1 - {out})", lambda s: a(s) * o(s) * (1 - o(s)),
         f"O (1 - O) is the derivative of a sigmoid; here the activation is ReLU, with 1[{Z} > 0]"),
        ("sigmoid_derivative", f"{dZ} = {dO} * sigmoid({Z}) * (1 - sigmoid({Z}))",
         lambda s: a(s) * jax.nn.sigmoid(z(s)) * (1 - jax.nn.sigmoid(z(s))),
         f"this is the derivative of a sigmoid; here the activation is ReLU, with 1[{Z} > 0]"),
        ("tanh_derivative", f"{dZ} = {dO} * (1 - {out}**2)", lambda s: a(s) * (1 - o(s) ** 2),
         f"1 - O^2 is the derivative of tanh; here the activation is ReLU, with 1[{Z} > 0]"),
        ("tanh_derivative", f"{dZ} = {dO} * (1 - tanh({Z})**2)", lambda s: a(s) * (1 - jnp.tanh(z(s)) ** 2),
         f"this is the derivative of tanh; here the activation is ReLU, with 1[{Z} > 0]"),
        ("mask_without_gradient", f"{dZ} = {Z} > 0", lambda s: jnp.where(z(s) > 0, 1.0, 0.0),
         f"the mask stands alone: {dO} is not multiplied to it"),
        ("zero", f"{dZ} = 0", lambda s: 0 * a(s), f"{dZ} is zero"),
    )  # fmt: skip
    with_literal = (
        ("threshold", f"{dZ} = {dO} * ({Z} > t)", lambda s: jnp.where(z(s) > s.t, a(s), 0),
         f"the mask asks for {Z} > {{t}}; the kink of ReLU is at 0"),
        ("threshold", f"{dZ} = {dO} * (round({Z} * t) > 0)", lambda s: jnp.where(jnp.round(z(s) * s.t) > 0, a(s), 0),
         f"the mask is that of a rounded {Z}"),
        ("threshold", f"{dZ} = clip({dO} * ({Z} > 0), -t, t)",
         lambda s: jnp.clip(jnp.where(z(s) > 0, a(s), 0), -s.t, s.t), f"{dZ} is clipped at {{t}}"),
    )  # fmt: skip
    leaky = Line(
        "leaky_relu", dZ, f"{dZ} = {dO} * where({Z} > 0, 1, t)", lambda s: jnp.where(z(s) > 0, a(s), s.t * a(s)),
        f"where {Z} <= 0 the gradient is multiplied with {{t}}: that is a leaky ReLU", None, output, True, True, hidden,
    )  # fmt: skip
    tables = ((lines, False), (with_literal, True))
    found = [
        Line(id, dZ, code, f, text, None, output, literal, hidden=hidden)
        for table, literal in tables
        for id, code, f, text in table
    ]
    return (
        *found,
        *(
            line._replace(text=NO_ACTIVATION, output="identity")
            for line in found
            if layer == 2 and line.id in ANY_OUTPUT
        ),
        leaky,
    )


IDENTITY_OUTPUT = (
    Line("mask_added", "dZ2", "dZ2 = dO2 * (Z2 > 0)", lambda s: jnp.where(s.Z2 > 0, s.dO2, 0),
         "a mask is applied, but the declared output has no ReLU", None, "identity"),
)  # fmt: skip

"""Custom rules of JAX, a Pallas kernel, and a selective scan."""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl


@jax.custom_vjp
def rms_norm(x, w):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w


def rms_forward(x, w):
    r = 1 / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    return x * r * w, (x, r, w)


def rms_backward(residuals, g):
    x, r, w = residuals
    gw = g * w
    dx = r * gw - r**3 * x * (gw * x).mean(-1, keepdims=True)
    return dx, (g * x * r).sum(0)


rms_norm.defvjp(rms_forward, rms_backward)


@jax.custom_jvp
def softplus(x):
    return jnp.logaddexp(x, 0)


@softplus.defjvp
def softplus_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus(x), t / (1 + jnp.exp(-x))


def log_cosh_loss(x, y):
    """A function with a rule inside."""
    d = x - y
    return (d + softplus(-2 * d)).sum()


@jax.custom_vjp
def gated(x, gate):
    return x * jax.nn.sigmoid(gate)


def gated_forward(x, gate):
    s = jax.nn.sigmoid(gate)
    return x * s, (x, s)


def gated_backward(kept, g):
    x, s = kept
    return g * s, g * x * s * (1 - s)


gated.defvjp(gated_forward, gated_backward)


def scan_reference(a, b, x):
    def step(h, parts):
        decay, add = parts
        h = jnp.exp(-decay) * h + add
        return h, h

    return jax.lax.scan(step, jnp.zeros(x.shape[1:]), (a, b * x))[1]


@jax.custom_vjp
def selective_scan(a, b, x):
    return scan_reference(a, b, x)


def scan_forward(a, b, x):
    h = scan_reference(a, b, x)
    return h, (a, b, x, h)


def scan_backward(kept, g):
    a, b, x, h = kept

    def step(carry, parts):
        decay_after, g_t = parts
        carry = carry * decay_after + g_t
        return carry, carry

    decay = jnp.exp(-a)
    after = jnp.concatenate([decay[1:], jnp.zeros_like(decay[:1])])
    dh = jax.lax.scan(step, jnp.zeros(x.shape[1:]), (after, g), reverse=True)[1]
    before = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])
    return -dh * decay * before, dh * x, dh * b


selective_scan.defvjp(scan_forward, scan_backward)


def row_kernel(x_ref, w_ref, o_ref):
    x = x_ref[...]
    o_ref[...] = x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w_ref[...]


def pallas_rms_norm(x, w):
    m, d = x.shape
    block = 2
    padded = jnp.pad(x, ((0, -m % block), (0, 0)))
    out = pl.pallas_call(
        row_kernel,
        grid=(padded.shape[0] // block,),
        in_specs=[pl.BlockSpec((block, d), lambda i: (i, 0)), pl.BlockSpec((d,), lambda i: (0,))],
        out_specs=pl.BlockSpec((block, d), lambda i: (i, 0)),
        out_shape=jax.ShapeDtypeStruct(padded.shape, x.dtype),
        interpret=True,
    )(padded, w)
    return out[:m]


def plain_rms_norm(x, w):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def scaled(x, w, power):
    return x * w**power


def scaled_forward(x, w, power):
    return x * w**power, (x, w)


def scaled_backward(power, kept, g):
    x, w = kept
    dx = g * w**power
    dw = (g * x).sum() * power * w ** (power - 1)
    return dx, dw


scaled.defvjp(scaled_forward, scaled_backward)


def cubed(x, w):
    return scaled(x, w, 3)

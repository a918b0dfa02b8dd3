"""Backward passes in JAX: rules, attention by heads, convolution, losses, equal programs."""

import functools

import jax
import jax.numpy as jnp
from jax import lax


def heads(q, k, v):
    s = jnp.einsum("hid,hjd->hij", q, k) / jnp.sqrt(q.shape[-1])
    return jnp.einsum("hij,hjd->hid", jax.nn.softmax(s, axis=-1), v)


def heads_backward(q, k, v, do):
    scale = 1 / jnp.sqrt(q.shape[-1])
    s = jnp.einsum("hid,hjd->hij", q, k) * scale
    p = jnp.exp(s - s.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    dv = jnp.einsum("hij,hid->hjd", p, do)
    dp = jnp.einsum("hid,hjd->hij", do, v)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    dq = jnp.einsum("hij,hjd->hid", ds, k) * scale
    dk = jnp.einsum("hij,hid->hjd", ds, q) * scale
    return dq, dk, dv


@jax.custom_vjp
def layer_norm(x, w, b):
    mu = x.mean(-1, keepdims=True)
    return (x - mu) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * w + b


def ln_forward(x, w, b):
    mu = x.mean(-1, keepdims=True)
    rstd = lax.rsqrt(jnp.square(x - mu).mean(-1, keepdims=True) + 1e-5)
    return (x - mu) * rstd * w + b, (x, w, mu, rstd)


def ln_backward(kept, dy):
    x, w, mu, rstd = kept
    xhat = (x - mu) * rstd
    wdy = w * dy
    c1 = (xhat * wdy).mean(-1, keepdims=True)
    c2 = wdy.mean(-1, keepdims=True)
    dx = (wdy - (xhat * c1 + c2)) * rstd
    return dx, (dy * xhat).sum(0), dy.sum(0)


layer_norm.defvjp(ln_forward, ln_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def ce(logits, labels, smoothing):
    logp = jax.nn.log_softmax(logits)
    own = jnp.take_along_axis(logp, labels[:, None], axis=1)[:, 0]
    return -((1 - smoothing) * own + smoothing * logp.mean(axis=1)).mean()


def ce_forward(logits, labels, smoothing):
    return ce(logits, labels, smoothing), (jax.nn.softmax(logits), labels)


def ce_backward(smoothing, kept, g):
    p, labels = kept
    n, c = p.shape
    target = (1 - smoothing) * jax.nn.one_hot(labels, c) + smoothing / c
    return g * (p - target) / n, None


ce.defvjp(ce_forward, ce_backward)


def smoothed(logits, labels):
    return ce(logits, labels, 0.1)


def strided(x, w):
    return lax.conv_general_dilated(x[None, None], w[None, None], (2,), "VALID")[0, 0]


def strided_backward(x, w, dout):
    k = w.shape[0]
    wide = jnp.zeros(2 * dout.shape[0] - 1).at[::2].set(dout)
    wide = jnp.pad(wide, (0, x.shape[0] - k + 1 - wide.shape[0]))
    dx = jnp.convolve(wide, w)
    dw = jnp.array([(x[i : i + wide.shape[0]] * wide).sum() for i in range(k)])
    return dx, dw


def info_nce(u, v):
    s = u @ v.T / 0.5
    return (jax.nn.logsumexp(s, axis=1) - jnp.diag(s)).mean()


def info_nce_gradients(u, v):
    s = u @ v.T / 0.5
    p = jax.nn.softmax(s, axis=1)
    ds = (p - jnp.eye(len(u))) / len(u)
    return ds @ v / 0.5, ds.T @ u / 0.5


@jax.custom_jvp
def swish(x, beta):
    return x * jax.nn.sigmoid(beta * x)


@swish.defjvp
def swish_jvp(primals, tangents):
    x, beta = primals
    dx, dbeta = tangents
    s = jax.nn.sigmoid(beta * x)
    slope = s + beta * x * s * (1 - s)
    return x * s, slope * dx + x * x * s * (1 - s) * dbeta


def elbo(mu, rho):
    sigma = jnp.log1p(jnp.exp(rho))
    return (0.5 * (mu**2 + sigma**2) - jnp.log(sigma)).sum()


def elbo_gradients(mu, rho):
    sigma = jnp.log1p(jnp.exp(rho))
    dsigma = sigma - 1 / sigma
    return mu, dsigma * jax.nn.sigmoid(rho)


def ema(x, a):
    def step(m, xt):
        m = a * m + (1 - a) * xt
        return m, m

    return lax.scan(step, jnp.zeros_like(x[0]), x)[1]


def ema_backward(x, a, dy):
    m = ema(x, a)
    before = jnp.concatenate([jnp.zeros_like(m[:1]), m[:-1]])

    def step(carry, g):
        carry = g + a * carry
        return carry, carry

    dm = lax.scan(step, jnp.zeros_like(dy[0]), dy, reverse=True)[1]
    return (1 - a) * dm, (dm * (before - x)).sum()


def gram_loss(W, x):
    return 0.25 * ((x @ W @ W.T @ x.T - jnp.eye(len(x))) ** 2).sum()


def gram_gradients(W, x):
    h = x @ W
    r = h @ h.T - jnp.eye(len(x))
    dh = r @ h
    return x.T @ dh, dh @ W.T


def horner(x, c):
    y = jnp.zeros_like(x)
    for i in range(c.shape[0]):
        y = y * x + c[i]
    return y


def polynomial(x, c):
    n = c.shape[0]
    return sum(c[i] * x ** (n - 1 - i) for i in range(n))


def net_loss(W1, W2, x, y):
    return 0.5 * ((jnp.tanh(x @ W1) @ W2 - y) ** 2).mean()


def net_hvp(W1, W2, x, y, V1, V2):
    h = jnp.tanh(x @ W1)
    r = (h @ W2 - y) / y.size
    dh = (x @ V1) * (1 - h**2)
    dr = (dh @ W2 + h @ V2) / y.size
    back = r @ W2.T
    dback = dr @ W2.T + r @ V2.T
    dz = dback * (1 - h**2) - 2 * back * h * dh
    return x.T @ dz, h.T @ dr + dh.T @ r

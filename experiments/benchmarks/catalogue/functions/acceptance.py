"""Functions that people got wrong: kernels, attention in chunks, gated layers, a network with its second derivative."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl


def norm_kernel(x_ref, w_ref, o_ref):
    x = x_ref[...]
    mu = x.mean(-1, keepdims=True)
    var = ((x - mu) ** 2).mean(-1, keepdims=True)
    o_ref[...] = (x - mu) * jax.lax.rsqrt(var + 1e-5) * w_ref[...]


def pallas_layer_norm(x, w):
    m, d = x.shape
    block = 4
    rows = jnp.pad(x, ((0, -m % block), (0, 0)))
    out = pl.pallas_call(
        norm_kernel,
        grid=(rows.shape[0] // block,),
        in_specs=[pl.BlockSpec((block, d), lambda i: (i, 0)), pl.BlockSpec((d,), lambda i: (0,))],
        out_specs=pl.BlockSpec((block, d), lambda i: (i, 0)),
        out_shape=jax.ShapeDtypeStruct(rows.shape, x.dtype),
        interpret=True,
    )(rows, w)
    return out[:m]


def layer_norm(x, w):
    mu = x.mean(-1, keepdims=True)
    return (x - mu) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5) * w


def grouped_attention(q, k, v):
    _h, n, d = q.shape
    k, v = jnp.repeat(k, 2, axis=0), jnp.repeat(v, 2, axis=0)
    s = jnp.einsum("hid,hjd->hij", q, k) / jnp.sqrt(d)
    s = jnp.where(jnp.tril(jnp.ones((n, n))) > 0, s, -jnp.inf)
    return jnp.einsum("hij,hjd->hid", jax.nn.softmax(s, axis=-1), v)


def grouped_attention_backward(q, k, v, do, chunk=2):
    h, n, d = q.shape
    scale = 1 / jnp.sqrt(d)
    dq, dk, dv = jnp.zeros_like(q), jnp.zeros_like(k), jnp.zeros_like(v)
    for head in range(h):
        shared = head // 2
        for start in range(0, n, chunk):
            rows = slice(start, start + chunk)
            s = q[head, rows] @ k[shared].T * scale
            mask = jnp.arange(n)[None, :] <= jnp.arange(n)[rows][:, None]
            p = jnp.where(mask, jnp.exp(s), 0)
            p = p / p.sum(axis=-1, keepdims=True)
            g = do[head, rows]
            dp = g @ v[shared].T
            delta = (p * dp).sum(axis=-1, keepdims=True)
            ds = p * (dp - delta) * scale
            dq = dq.at[head, rows].set(ds @ k[shared])
            dk = dk.at[shared].add(ds.T @ q[head, rows])
            dv = dv.at[shared].add(p.T @ g)
    return dq, dk, dv


def delta_rule(q, k, v, beta, decay):
    k = k / jnp.sqrt((k * k).sum(-1, keepdims=True) + 1e-6)
    S, out = jnp.zeros((v.shape[1], k.shape[1])), []
    for t in range(q.shape[0]):
        S = S * jnp.exp(-jax.nn.softplus(decay[t]))
        S = S + beta[t] * jnp.outer(v[t] - S @ k[t], k[t])
        out.append(S @ q[t])
    return jnp.stack(out)


def delta_rule_at_once(q, k, v, beta, decay):
    n = q.shape[0]
    k = k / jnp.sqrt((k * k).sum(-1, keepdims=True) + 1e-6)
    log = jnp.cumsum(-jax.nn.softplus(decay))
    ratio = jnp.exp(log[:, None] - log[None, :])
    below = jnp.tril(jnp.ones((n, n)), -1)
    A = below * ratio * beta[:, None] * (k @ k.T)
    u = jnp.linalg.solve(jnp.eye(n) + A, beta[:, None] * v)
    return (jnp.tril(jnp.ones((n, n))) * ratio * (q @ k.T)) @ u


@jax.custom_vjp
def gated_linear(x, z, W):
    y = x * jax.nn.silu(z)
    return y * jax.lax.rsqrt((y * y).mean(-1, keepdims=True) + 1e-6) @ W


def gated_linear_forward(x, z, W):
    y = x * jax.nn.silu(z)
    r = jax.lax.rsqrt((y * y).mean(-1, keepdims=True) + 1e-6)
    return y * r @ W, (x, z, W, y, r)


def gated_linear_backward(kept, g):
    x, z, W, y, r = kept
    yhat = y * r
    dW = yhat.T @ g
    dyhat = g @ W.T
    dy = r * (dyhat - yhat * (dyhat * yhat).mean(-1, keepdims=True))
    s = jax.nn.sigmoid(z)
    dx = dy * z * s
    dz = dy * x * s * (1 + z * (1 - s))
    return dx, dz, dW


gated_linear.defvjp(gated_linear_forward, gated_linear_backward)


def cdf(z):
    return 0.5 * (1 + jax.scipy.special.erf(z / jnp.sqrt(2.0)))


def pdf(z):
    return jnp.exp(-0.5 * z**2) / jnp.sqrt(2 * jnp.pi)


def mlp_loss(W1, W2, x, y):
    z = x @ W1
    e = z * cdf(z) @ W2 - y
    return 0.5 * (e**2).sum() + 0.05 * ((W1**2).sum() + (W2**2).sum())


def mlp_gradients(W1, W2, x, y):
    z = x @ W1
    a = z * cdf(z)
    e = a @ W2 - y
    dz = (e @ W2.T) * (cdf(z) + z * pdf(z))
    return x.T @ dz + 0.1 * W1, a.T @ e + 0.1 * W2


def mlp_hvp(W1, W2, x, y, V1, V2):
    z, zt = x @ W1, x @ V1
    a, slope = z * cdf(z), cdf(z) + z * pdf(z)
    e, at = a @ W2 - y, zt * slope
    et = at @ W2 + a @ V2
    back, backt = e @ W2.T, et @ W2.T + e @ V2.T
    slopet = (2 - z**2) * pdf(z) * zt
    dzt = backt * slope + back * slopet
    return x.T @ dzt + 0.1 * V1, a.T @ et + at.T @ e + 0.1 * V2


def strided_conv(x, w, b):
    k, n = w.shape[0], (x.shape[0] - w.shape[0]) // 2 + 1
    out = np.zeros((n, w.shape[2]))
    for t in range(n):
        out[t] = np.tensordot(x[2 * t : 2 * t + k], w, 2) + b
    return out


def strided_conv_backward(x, w, b, g):
    k, n = w.shape[0], g.shape[0]
    wide = np.zeros((2 * n - 1 + 2 * (k - 1), g.shape[1]))
    wide[k - 1 : k - 1 + 2 * n - 1 : 2] = g
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(2 * n - 1 + k - 1):
        dx[t] = np.einsum("jc,jdc->d", wide[t : t + k], w[::-1])
    for t in range(n):
        dw += np.einsum("jd,c->jdc", x[2 * t : 2 * t + k], g[t])
    return dx, dw, g.sum(axis=0)

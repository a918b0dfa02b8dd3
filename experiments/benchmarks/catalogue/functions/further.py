"""Further functions and their faults: in place, in JAX, and those that people have got wrong."""

from experiments.benchmarks.catalogue.functions.entry import ANY, CUT, PART, SCALE, SIGN, SLOPE, Case, Fault

GRUP = {"q": "4 3 d", "k": "2 3 d", "v": "2 3 d"}
DELTA = {"q": "3 d", "k": "3 d", "v": "3 e", "beta": "3", "decay": "3"}
NET = {"W1": "d k", "W2": "k c", "x": "m d", "y": "m c"}
FURTHER = {
    "leaky_dropout": Case(
        "in_place",
        "gradient",
        ("leaky_loss", "leaky_gradients"),
        {"W1": "d k", "b1": "k", "W2": "k c", "b2": "c", "x": "m d", "labels": "m", "mask": "m k"},
        (
            Fault("W1 b1", "    dh *= mask / 0.8\n", "    dh *= mask\n", SCALE),
            Fault(
                "W1 b1",
                "    dh[z1 <= 0] *= 0.01\n",
                "    dh[z1 <= 0] = 0\n",
                ("derivative", "other_factor", "mask", "literal", "path_missing"),
            ),
            Fault("b2", 'grads["b2"] = p.sum(axis=0)', 'grads["b2"] = p.mean(axis=0)', ("factor", "factor")),
        ),
        {"domains": {"labels": "labels:c", "mask": "bits"}, "argnums": (0, 1, 2, 3)},
    ),
    "group_norm": Case(
        "in_place",
        "vjp",
        ("group_norm", "group_norm_backward"),
        {"x": "n 2*s", "gamma": "2*s"},
        (
            Fault("x", "/ size / std", "/ c / std", SCALE),
            Fault(
                "x",
                "    dx -= dnormed.mean(axis=2, keepdims=True) / std\n",
                "    dx -= dnormed.mean(axis=1, keepdims=True) / std\n",
                ("axis", "other_factor", "path_missing", "factor"),
            ),
            Fault("gamma", "(dy * normed.reshape(n, c))", "(dy * centred.reshape(n, c))", ("other_factor",)),
        ),
    ),
    "weight_norm": Case(
        "in_place",
        "vjp",
        ("weight_norm", "weight_norm_backward"),
        {"v": "d k", "g": "k", "x": "m d"},
        (
            Fault("v", "    dv -= g * dg * v / norm**2\n", "    dv -= dg * v / norm**2\n", ("other_factor",)),
            Fault("x", "dy @ w.T", "dy @ v.T", ("other_factor",)),
        ),
    ),
    "depthwise": Case(
        "in_place",
        "vjp",
        ("depthwise", "depthwise_backward"),
        {"x": "c 7", "w": "c 3"},
        (
            Fault(
                "x",
                "dx[:, t * stride : t * stride + k] += w",
                "dx[:, t * stride : t * stride + k] = w",
                ("path_missing", "part", "accumulation"),
            ),
            Fault("x w", "for t in range(dout.shape[1]):", "for t in range(dout.shape[1] - 1):", PART),
        ),
    ),
    "two_way_rnn": Case(
        "in_place",
        "vjp",
        ("two_way", "two_way_backward"),
        {"Wf": "d k", "Wb": "d k", "U": "k k", "x": "3 d"},
        (
            Fault("U", "dU += np.outer(hb[t + 1], dz)", "dU += np.outer(hb[t], dz)", ("other_factor", "off_by_one")),
            Fault(
                "Wb U x",
                "dz = (dy[t] + carry) * (1 - hb[t] ** 2)",
                "dz = (dy[t] + carry) * (1 - hb[t + 1] ** 2)",
                ("other_factor", "off_by_one", "derivative"),
            ),
            Fault(
                "U",
                "        dU += np.outer(hf[t], dz)\n",
                "        dU = np.outer(hf[t], dz)\n",
                ("path_missing", "part", "accumulation"),
            ),
        ),
    ),
    "vae": Case(
        "in_place",
        "gradient",
        ("vae_loss", "vae_gradients"),
        {"We": "d 2*k", "Wd": "k d", "x": "m d", "noise": "m k"},
        (
            Fault("We", "dlogvar = dz * noise * 0.5 * std", "dlogvar = dz * noise * std", SCALE),
            Fault("We", "0.5 * (np.exp(logvar) - 1) / m", "0.5 * (np.exp(logvar) - 1)", SCALE),
            Fault("We", "dmu = dz + mu / m", "dmu = dz", CUT),
        ),
        {"argnums": (0, 1)},
    ),
    "poisson": Case(
        "in_place",
        "gradient",
        ("poisson", "poisson_gradients"),
        {"w": "d", "b": "", "x": "m d", "counts": "m"},
        (
            Fault("w", "x.T @ err + 0.3 * w", "x.T @ err + 0.3 * w / len(counts)", SCALE),
            Fault("w b", "(rate - counts) / len(counts)", "(np.log(rate) - counts) / len(counts)", ANY),
        ),
        {"argnums": (0, 1)},
    ),
    "diffused": Case(
        "in_place",
        "gradient",
        ("diffused", "diffused_gradients"),
        {"u": "n>=4", "kappa": ""},
        (
            Fault("u kappa", "new[1:-1] -= 2 * dlap", "new[1:-1] -= dlap", SCALE),
            Fault("u kappa", "        new[2:] += dlap\n", "", CUT),
            Fault(
                "kappa",
                "dkappa += dt * (adjoint * lap).sum()",
                "dkappa = dt * (adjoint * lap).sum()",
                ("path_missing", "part", "accumulation"),
            ),
        ),
    ),
    "gravity": Case(
        "in_place",
        "gradient",
        ("gravity", "gravity_gradients"),
        {"q": "n>=3 2", "masses": "n>=3"},
        (
            Fault("q", "(r * r2)", "r2", ("derivative", "other_factor")),
            Fault("masses", "dm[j] -= masses[i] / r", "dm[j] -= masses[j] / r", ("other_factor",)),
        ),
        {"domains": {"masses": "positive"}},
    ),
    "log_volume": Case(
        "in_place",
        "gradient",
        ("log_volume", "log_volume_gradients"),
        {"A": "n n", "b": "n"},
        (
            Fault("A", "(dS + dS.T) @ A", "dS @ A", SCALE + CUT),
            Fault("A", "dS -= 0.5 * np.outer(y, y)", "dS -= 0.5 * np.outer(y, b)", ("other_factor",)),
        ),
    ),
    "isotonic": Case(
        "in_place",
        "gradient",
        ("isotonic_loss", "isotonic_gradients"),
        {"x": "n", "y": "n"},
        (
            Fault(
                "x",
                "np.cumsum(dc[::-1])[::-1]",
                "np.cumsum(dc)",
                ("transposed", "other_factor", "reversed", "off_by_one"),
            ),
            Fault("x", "dx[order] = ds", "dx = ds", ("permuted", "other_factor")),
        ),
    ),
    "rbf": Case(
        "in_place",
        "vjp",
        ("rbf", "rbf_backward"),
        {"x": "m d", "z": "n d", "log_width": ""},
        (
            Fault(
                "log_width",
                "(dk * k * d2 / width**2)",
                "(dk * k * d2 / width**3)",
                ("derivative", "other_factor", "derivative_missing"),
            ),
            Fault("z", "dz = -(2 *", "dz = (2 *", SIGN),
        ),
    ),
    "softmax_hvp": Case(
        "in_place",
        "hvp",
        ("softmax_loss", "softmax_hvp"),
        {"W": "d c", "x": "m d", "y": "m c"},
        (
            Fault(
                "W",
                "    dp -= p * (p * u).sum(axis=1, keepdims=True)\n",
                "    dp -= p * (p * u)\n",
                ("path_missing", "broadcast", "derivative", "axis"),
            ),
        ),
        {"domains": {"y": "onehot"}, "argnums": 0},
    ),
    "heads": Case(
        "in_jax",
        "vjp",
        ("heads", "heads_backward"),
        {"q": "h n d", "k": "h n d", "v": "h n d"},
        (
            Fault(
                "q k",
                "(dp * p).sum(axis=-1, keepdims=True)",
                "dp.sum(axis=-1, keepdims=True)",
                ("other_factor", "derivative"),
            ),
            Fault("k", 'jnp.einsum("hij,hid->hjd", ds, q)', 'jnp.einsum("hij,hjd->hid", ds, q)', ("transposed",)),
        ),
    ),
    "ln_rule": Case(
        "in_jax",
        "rule",
        ("layer_norm",),
        {"x": "m d", "w": "d", "b": "d"},
        (
            Fault("value", "rstd * w + b, (x, w, mu, rstd)", "rstd * w, (x, w, mu, rstd)", CUT),
            Fault("x", "c2 = wdy.mean(-1, keepdims=True)", "c2 = dy.mean(-1, keepdims=True)", ("other_factor",)),
            Fault(
                "x w value",
                "(-1, keepdims=True) + 1e-5)\n    return (x - mu) * rstd * w + b,",
                "(-1, keepdims=True) + 1e-6)\n    return (x - mu) * rstd * w + b,",
                ("literal", "epsilon"),
            ),
        ),
    ),
    "ce_rule": Case(
        "in_jax",
        "rule",
        ("smoothed",),
        {"logits": "m c", "labels": "m"},
        (
            Fault("logits", "(p - target) / n", "(p - target) / c", SCALE),
            Fault("logits", "+ smoothing / c\n", "+ smoothing\n", ("factor", "literal")),
        ),
        {"domains": {"labels": "labels:c"}},
    ),
    "strided": Case(
        "in_jax",
        "vjp",
        ("strided", "strided_backward"),
        {"x": "8", "w": "3"},
        (
            Fault(
                "x", "jnp.convolve(wide, w)", "jnp.convolve(wide, w[::-1])", ("other_factor", "flipped", "transposed")
            ),
        ),
    ),
    "info_nce": Case(
        "in_jax",
        "gradient",
        ("info_nce", "info_nce_gradients"),
        {"u": "m d", "v": "m d"},
        (
            Fault(
                "u v",
                "jax.nn.softmax(s, axis=1)",
                "jax.nn.softmax(s, axis=0)",
                ("axis", "transposed", "other_factor", "derivative"),
            ),
            Fault("v", "ds.T @ u / 0.5", "ds @ u / 0.5", ("transposed",)),
        ),
    ),
    "swish_rule": Case(
        "in_jax",
        "rule",
        ("swish",),
        {"x": "n", "beta": ""},
        (Fault("x", "slope = s + beta * x * s", "slope = s + x * s", ("other_factor",)),),
    ),
    "elbo": Case(
        "in_jax",
        "gradient",
        ("elbo", "elbo_gradients"),
        {"mu": "n", "rho": "n"},
        (
            Fault("rho", "dsigma * jax.nn.sigmoid(rho)", "dsigma", SLOPE),
            Fault(
                "rho",
                "dsigma * jax.nn.sigmoid(rho)",
                "dsigma * jax.nn.sigmoid(sigma)",
                ("derivative", "other_factor", "derivative_at_output"),
            ),
        ),
    ),
    "ema": Case(
        "in_jax",
        "vjp",
        ("ema", "ema_backward"),
        {"x": "4 d", "a": ""},
        (
            Fault("a", "(dm * (before - x))", "(dm * (m - x))", ("other_factor", "off_by_one")),
            Fault("x a", "carry = g + a * carry", "carry = g + (1 - a) * carry", ("other_factor", "derivative")),
        ),
    ),
    "gram": Case(
        "in_jax",
        "gradient",
        ("gram_loss", "gram_gradients"),
        {"W": "d k", "x": "m d"},
        (
            Fault("W x", "dh = r @ h", "dh = 0.5 * r @ h", SCALE + CUT),
            Fault("W x", "r = h @ h.T - jnp.eye(len(x))", "r = h @ h.T", CUT),
        ),
    ),
    "horner": Case(
        "in_jax",
        "equal",
        ("polynomial", "horner"),
        {"x": "n", "c": "4"},
        (Fault("value", "y = y * x + c[i]", "y = y * x + c[i] * x", ("other_factor", "factor")),),
    ),
    "net_hvp": Case(
        "in_jax",
        "hvp",
        ("net_loss", "net_hvp"),
        {"W1": "d k", "W2": "k c", "x": "m d", "y": "m c"},
        (
            Fault("W1", "- 2 * back * h * dh", "", ("path_missing", "gauss_newton")),
            Fault("W2", "h.T @ dr + dh.T @ r", "h.T @ dr", ("path_missing", "gauss_newton")),
        ),
        {"argnums": (0, 1)},
    ),
    "pallas_layer_norm": Case(
        "acceptance",
        "rule",
        ("pallas_layer_norm",),
        {"x": "m d", "w": "d"},
        (
            Fault(
                "value",
                "var = ((x - mu) ** 2).mean(-1, keepdims=True)",
                "var = ((x - mu) ** 2).sum(-1, keepdims=True) / (x.shape[-1] + 1)",
                (*SCALE, "derivative", "literal", "other_factor"),
            ),
            Fault("value", "rsqrt(var + 1e-5) * w_ref", "rsqrt(var + 1e-6) * w_ref", ("literal", "factor")),
            Fault(
                "value",
                "lambda i: (i, 0)), pl.BlockSpec((d,)",
                "lambda i: (0, 0)), pl.BlockSpec((d,)",
                ("part", "off_by_one", "other_factor"),
            ),
        ),
        {"reference": "layer_norm"},
    ),
    "grouped_attention": Case(
        "acceptance",
        "vjp",
        ("grouped_attention", "grouped_attention_backward"),
        GRUP,
        (
            Fault("q k", "ds = p * (dp - delta) * scale", "ds = p * dp * scale", (*CUT, "derivative")),
            Fault("q k", "ds = p * (dp - delta) * scale", "ds = p * (dp - delta)", SCALE),
            Fault("q k v", "shared = head // 2", "shared = head % 2", ("other_factor", "part", "off_by_one")),
            Fault(
                "q k v",
                "p = jnp.where(mask, jnp.exp(s), 0)",
                "p = jnp.exp(s)",
                ("derivative_missing", "derivative", "other_factor", "mask"),
            ),
        ),
    ),
    "delta_rule": Case(
        "acceptance",
        "equal",
        ("delta_rule", "delta_rule_at_once"),
        DELTA,
        (
            Fault("value", "jnp.eye(n) + A", "jnp.eye(n) - A", SIGN),
            Fault(
                "value",
                "    k = k / jnp.sqrt((k * k).sum(-1, keepdims=True) + 1e-6)\n    log",
                "    k = k / jnp.sqrt((k * k).sum(-1, keepdims=True) + 1e-5)\n    log",
                ("literal", "factor"),
            ),
            Fault(
                "value",
                "-jax.nn.softplus(decay))\n    ratio",
                "jnp.clip(-jax.nn.softplus(decay), -1, 0))\n    ratio",
                ("clip", "other_factor"),
            ),
        ),
    ),
    "gated_linear": Case(
        "acceptance",
        "rule",
        ("gated_linear",),
        {"x": "m d", "z": "m d", "W": "d c"},
        (
            Fault("W", "dW = yhat.T @ g", "dW = y.T @ g", ("other_factor",)),
            Fault("W", "dW = yhat.T @ g", "dW = (x * r).T @ g", ("other_factor",)),
            Fault("z", "dz = dy * x * s * (1 + z * (1 - s))", "dz = dy * s * (1 + z * (1 - s))", ("other_factor",)),
        ),
    ),
    "mlp": Case(
        "acceptance",
        "gradient",
        ("mlp_loss", "mlp_gradients"),
        NET,
        (
            Fault("W1", "/ jnp.sqrt(2 * jnp.pi)", "* 0.3989", ("literal", "factor")),
            Fault("W2", "a.T @ e + 0.1 * W2", "a.T @ e + 0.05 * W2", SCALE),
        ),
        {"argnums": (0, 1)},
    ),
    "mlp_hvp": Case(
        "acceptance",
        "hvp",
        ("mlp_loss", "mlp_hvp"),
        NET,
        (
            Fault("W1", "dzt = backt * slope + back * slopet", "dzt = backt * slope", (*CUT, "gauss_newton")),
            Fault("W2", "a.T @ et + at.T @ e + 0.1 * V2", "a.T @ et + 0.1 * V2", (*CUT, "gauss_newton")),
            Fault("W1", "x.T @ dzt + 0.1 * V1", "x.T @ dzt + 0.1 * W1", ("other_factor",)),
        ),
        {"argnums": (0, 1)},
    ),
    "strided_conv": Case(
        "acceptance",
        "vjp",
        ("strided_conv", "strided_conv_backward"),
        {"x": "7 d", "w": "3 d c", "b": "c"},
        (
            Fault("x", "w[::-1])", "w)", ("other_factor", "transposed")),
            Fault(
                "w", "x[2 * t : 2 * t + k], g[t])", "x[2 * t : 2 * t + k], g[t - 1])", ("off_by_one", "other_factor")
            ),
            Fault("x", "wide[k - 1 : k - 1 + 2 * n - 1 : 2] = g", "wide[k - 1 : k - 1 + 2 * n - 3 : 2] = g[:-1]", PART),
        ),
    ),
}

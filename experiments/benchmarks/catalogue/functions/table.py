"""What each function is, and how it is made wrong; further.py has those that were written later."""

from experiments.benchmarks.catalogue.functions.entry import ANY, CUT, PART, SCALE, SIGN, SLOPE, Case, Fault
from experiments.benchmarks.catalogue.functions.further import FURTHER

NORM = {"x": "m d", "gamma": "d", "beta": "d"}
ROWS = {"x": "m d", "w": "d"}

CASES = {
    "deep_net": Case(
        "layers",
        "gradient",
        ("deep_loss", "deep_gradients"),
        {"W1": "d h", "W2": "h k", "W3": "k c", "x": "m d", "y": "m c"},
        (
            Fault("W1", "(delta2 @ W2.T) * (1 - a1**2)", "delta2 @ W2.T", SLOPE),
            Fault("W2", "a1.T @ delta2 + 0.02 * W2", "a1.T @ delta2 + 0.01 * W2", SCALE),
        ),
        {"argnums": (0, 1, 2)},
    ),
    "gelu_slope": Case(
        "layers",
        "vjp",
        ("gelu", "gelu_pullback"),
        {"z": "n"},
        (
            Fault("z", "inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)", "inner = np.sqrt(2 / np.pi)", CUT),
            Fault("z", "0.5 * z * (1 - t**2) * inner", "0.5 * z * (1 - t) * inner", ("derivative", "other_factor")),
        ),
    ),
    "batch_norm_stepwise": Case(
        "layers",
        "vjp",
        ("batch_norm", "batch_norm_stepwise"),
        NORM,
        (
            Fault("x", "dvar * 2 * xc / m", "dvar * 2 * xc / (m - 1)", SCALE),
            Fault("x", " * -0.5 * inv_std**3", " * -0.5 * inv_std**2", ("derivative", "other_factor")),
        ),
    ),
    "batch_norm_compact": Case(
        "layers",
        "vjp",
        ("batch_norm", "batch_norm_compact"),
        NORM,
        (
            Fault("x", " - dbeta - xhat * dgamma)", " - dbeta)", CUT),
            Fault(
                "x",
                "gamma * inv_std / m * (m",
                "inv_std / m * (m",
                ("other_factor", "derivative_missing", "derivative"),
            ),
        ),
    ),
    "layer_norm": Case(
        "layers",
        "vjp",
        ("layer_norm", "layer_norm_backward"),
        {"x": "m d", "w": "d", "b": "d"},
        (
            Fault("x", "dnorm - dnorm.mean(-1, keepdims=True) - norm", "dnorm - norm", CUT),
            Fault("w", "dw += (dout * norm).sum(0)", "dw += (dout * x).sum(0)", ("other_factor",)),
        ),
    ),
    "attention": Case(
        "layers",
        "vjp",
        ("attention", "attention_backward"),
        {"q": "n d", "k": "n d", "v": "n e"},
        (
            Fault("q k", "ds = p * (dp - delta)", "ds = p * dp", (*CUT, "derivative")),
            Fault("k", "dk += ds.T @ q[rows] * scale", "dk += ds.T @ q[rows]", SCALE),
        ),
    ),
    "conv2d": Case(
        "layers",
        "vjp",
        ("conv2d", "conv2d_backward"),
        {"x": "4 5", "w": "3 2"},
        (
            Fault("x", "+= dout[i, j] * w\n", "+= dout[i, j] * w[::-1, ::-1]\n", ("other_factor",)),
            Fault("x w", "for i in range(dout.shape[0]):", "for i in range(dout.shape[0] - 1):", PART),
        ),
    ),
    "conv1d_im2col": Case(
        "layers",
        "vjp",
        ("conv1d", "conv1d_backward"),
        {"x": "5 d", "w": "2 d c", "b": "c"},
        (Fault("x", "dx[i : i + w.shape[0]] += dcols", "dx[i : i + w.shape[0]] = dcols", PART),),
    ),
    "max_pool": Case(
        "layers",
        "vjp",
        ("max_pool", "max_pool_backward"),
        {"x": "2*m d"},
        (Fault("x", "(blocks == best) * dout[:, None, :]", "np.ones_like(blocks) * dout[:, None, :]", SLOPE),),
    ),
    "embedding": Case(
        "layers",
        "gradient",
        ("embedded_loss", "embedded_gradients"),
        {"E": "v d", "W": "d c", "ids": "m", "labels": "m"},
        (
            Fault("E", "np.add.at(dE, ids, p @ W.T)", "dE[ids] += p @ W.T", PART),
            Fault("E W", "p /= len(ids)", "p /= W.shape[1]", SCALE),
        ),
        {"domains": {"ids": "labels:v", "labels": "labels:c"}},
    ),
    "rnn": Case(
        "recurrent",
        "gradient",
        ("rnn_loss", "rnn_gradients"),
        {"Wx": "k d", "Wh": "k k", "b": "k", "x": "3 d", "y": "3 k"},
        (
            Fault("Wh", "np.outer(dz, hs[t - 1])", "np.outer(dz, hs[t])", ("other_factor", "off_by_one")),
            Fault("Wx Wh b", "dh = hs[t] - y[t] + dh_next", "dh = hs[t] - y[t]", CUT),
        ),
    ),
    "gru": Case(
        "recurrent",
        "vjp",
        ("gru", "gru_backward"),
        {
            "params": dict.fromkeys(("Wr", "Wz", "Wn"), "d k") | dict.fromkeys(("Ur", "Uz", "Un"), "k k"),
            "x": "m d",
            "h": "m k",
        },
        (
            Fault("params.Wz params.Uz x h", "dz = dout * (h - n)", "dz = dout * (n - h)", SIGN),
            Fault(
                "h", "dh = dout * z + drh * r + dz", "dh = dout * z + drh + dz", ("other_factor", "derivative_missing")
            ),
        ),
    ),
    "lstm": Case(
        "recurrent",
        "gradient",
        ("lstm_loss", "lstm_gradients"),
        {"W": "5 12", "x": "3 2"},
        (
            Fault("W x", "dc = dc + dh * o", "dc = dh * o", CUT),
            Fault("W x", "df = dc * c_before", "df = dc * c", ("other_factor", "off_by_one")),
        ),
    ),
    "soft_targets": Case(
        "losses",
        "vjp",
        ("soft_targets", "soft_targets_backward"),
        {"z": "m c", "t": "m c"},
        (
            Fault("z", "grad_output[:, None]", "grad_output[0]", ("part", "other_factor")),
            Fault("z", "grad_output[:, None]", "grad_output[:, None] / len(z)", SCALE),
        ),
        {"domains": {"t": "onehot"}, "argnums": 0},
    ),
    "focal": Case(
        "losses",
        "gradient",
        ("focal", "focal_gradient"),
        {"z": "n", "y": "n"},
        (
            Fault(
                "z",
                "gamma * (1 - pt) ** (gamma - 1) * np.log(pt) - (1 - pt) ** gamma / pt",
                "-((1 - pt) ** gamma) / pt",
                CUT,
            ),
            Fault("z", "sign = np.where(y == 1, 1, -1)", "sign = 1", (*SIGN, "path_missing")),
        ),
        {"domains": {"y": "bits"}, "argnums": 0},
    ),
    "huber": Case(
        "losses",
        "gradient",
        ("huber", "huber_gradient"),
        {"w": "d", "x": "m d", "y": "m"},
        (
            Fault(
                "w", "g = np.clip(r, -delta, delta)", "g = np.clip(r, -1, 1)", ("derivative", "other_factor", "clip")
            ),
            Fault("w", "x.T @ g / len(y)", "x.T @ g", SCALE),
        ),
        {"argnums": 0},
    ),
    "hinge": Case(
        "losses",
        "gradient",
        ("hinge", "hinge_gradient"),
        {"W": "d c", "x": "m d", "labels": "m"},
        (
            Fault("W", "-coefficient.sum(axis=1)", "-1", ("derivative", "other_factor", "path_missing")),
            Fault("W", "coefficient = (margins > 0)", "coefficient = (scores > 0)", ("derivative", "other_factor")),
        ),
        {"domains": {"labels": "labels:c"}, "argnums": 0},
    ),
    "triplet": Case(
        "losses",
        "gradient",
        ("triplet", "triplet_gradients"),
        {"a": "m d", "p": "m d", "n": "m d"},
        (
            Fault("n", "dn = 2 * (a - n)", "dn = 2 * (n - a)", SIGN),
            Fault(
                "a p n", "active = (near - far + 0.2 > 0)", "active = (near - far > 0)", ("derivative", "other_factor")
            ),
        ),
    ),
    "logsumexp": Case(
        "losses",
        "gradient",
        ("logsumexp", "logsumexp_gradient"),
        {"x": "n"},
        (Fault("x", "return e / e.sum()\n\n\ndef cosine(", "return e\n\n\ndef cosine(", ANY),),
    ),
    "cosine": Case(
        "losses",
        "gradient",
        ("cosine", "cosine_gradients"),
        {"a": "n>=2", "b": "n>=2"},
        (
            Fault("b", "c * b / nb**2", "c * b / nb", ANY),
            Fault("a", "- c * a / na**2", "+ c * a / na**2", SIGN),
        ),
    ),
    "gaussian": Case(
        "losses",
        "gradient",
        ("gaussian", "gaussian_gradients"),
        {"A": "d d", "x": "n d"},
        (
            Fault("A", "2 * dS @ A", "dS @ A", (*SCALE, "path_missing")),
            Fault("A", "x.shape[0] * P - a @ a.T", "P - a @ a.T", SCALE),
        ),
    ),
    "solve": Case(
        "losses",
        "vjp",
        ("solved", "solved_backward"),
        {"A": "n n", "b": "n"},
        (
            Fault("A", "-np.outer(db, x)", "np.outer(db, x)", SIGN),
            Fault("A b", "np.linalg.solve(A.T, g)", "np.linalg.solve(A, g)", ("transposed", "other_factor")),
        ),
    ),
    "median": Case(
        "losses",
        "gradient",
        ("spread", "spread_gradient"),
        {"x": "n"},
        (Fault("x", "g = s / x.size", "g = s", SCALE),),
    ),
    "sort": Case(
        "losses",
        "gradient",
        ("ranked", "ranked_gradients"),
        {"x": "n", "w": "n"},
        (Fault("x", "dx[order] = w", "dx = w[order]", ("other_factor", "derivative", "permuted")),),
    ),
    "springs": Case(
        "physics",
        "gradient",
        ("spring_energy", "spring_gradients"),
        {"q": "n", "k": ""},
        (
            Fault("q", "dq[i] -= k * stretch", "dq[i] = -k * stretch", ("path_missing", "part")),
            Fault("k", "dk += 0.5 * stretch**2", "dk += stretch**2", SCALE),
        ),
    ),
    "lennard_jones": Case(
        "physics",
        "gradient",
        ("lennard_jones", "lennard_jones_gradients"),
        {"r": "n 3", "sigma": ""},
        (
            Fault("r", "pull = -24 * (2 * s6**2 - s6)", "pull = -24 * (s6**2 - s6)", SCALE),
            Fault("r", "dr[j] -= pull * diff", "dr[j] += pull * diff", SIGN),
        ),
        {"domains": {"sigma": "positive"}},
    ),
    "kepler": Case(
        "physics",
        "gradient",
        ("kepler", "kepler_gradients"),
        dict.fromkeys(("x", "y", "vx", "vy"), ""),
        (
            Fault("y", "dy = y / r**3", "dy = y / r**2", ANY),
            Fault("vx", "dvx = vx - dm * y", "dvx = vx + dm * y", SIGN),
        ),
    ),
    "oscillator": Case(
        "physics",
        "gradient",
        ("oscillator", "oscillator_gradients"),
        {"theta": "", "omega": ""},
        (Fault("theta omega", "a = a - dt * math.cos(theta) * b", "a = a - dt * math.cos(theta)", ANY),),
    ),
    "rms_rule": Case(
        "rules",
        "rule",
        ("rms_norm",),
        ROWS,
        (
            Fault("x", "r**3 * x * (gw", "r**2 * x * (gw", ("derivative", "other_factor")),
            Fault("x", "dx = r * gw - r**3 * x * (gw", "dx = r * gw - r**3 * x * (g", ("other_factor", "path_missing")),
        ),
    ),
    "softplus_rule_inside": Case(
        "rules",
        "rule",
        ("log_cosh_loss",),
        {"x": "n", "y": "n"},
        (Fault("x y", "t / (1 + jnp.exp(-x))", "t / (1 + jnp.exp(x))", ("derivative", "other_factor", "sign")),),
    ),
    "gated_rule": Case(
        "rules",
        "rule",
        ("gated",),
        {"x": "m d", "gate": "m d"},
        (
            Fault(
                "x gate", "return x * s, (x, s)", "return x * s, (x, gate)", ("other_factor", "derivative", "residual")
            ),
            Fault("gate", "g * x * s * (1 - s)", "g * x * (1 - s)", ("other_factor", "derivative")),
        ),
    ),
    "selective_scan": Case(
        "rules",
        "rule",
        ("selective_scan",),
        dict.fromkeys(("a", "b", "x"), "4 d"),
        (
            Fault("a", "-dh * decay * before", "-dh * decay * h", ("other_factor", "off_by_one")),
            Fault("a b x", "carry = carry * decay_after + g_t", "carry = g_t", CUT),
        ),
    ),
    "pallas": Case(
        "rules",
        "rule",
        ("pallas_rms_norm",),
        ROWS,
        (Fault("value", "+ 1e-6) * w_ref[...]", "+ 1e-5) * w_ref[...]", ("literal", "factor")),),
        {"reference": "plain_rms_norm"},
    ),
    "power_rule": Case(
        "rules",
        "rule",
        ("cubed",),
        {"x": "n", "w": ""},
        (Fault("w", "w ** (power - 1)", "w**power", ANY),),
    ),
    "logistic_hvp": Case(
        "second",
        "hvp",
        ("logistic", "logistic_hvp"),
        {"w": "d", "x": "m d", "y": "m"},
        (
            Fault("w", "/ len(y) + 0.1 * v", "/ len(y)", CUT),
            Fault("w", "s = p * (1 - p)", "s = p", ("derivative", "other_factor", "derivative_missing")),
        ),
        {"domains": {"y": "signs"}, "argnums": 0},
    ),
    "rosenbrock_hvp": Case(
        "second",
        "hvp",
        ("rosenbrock", "rosenbrock_hvp"),
        {"x": "n>=2"},
        (Fault("x", "1200 * x[i] ** 2 - 400 * x[i + 1] + 2", "1200 * x[i] ** 2 + 2", CUT),),
    ),
    "network_hvp": Case(
        "second",
        "hvp",
        ("network_loss", "network_hvp"),
        {"W": "d k", "x": "m d", "y": "m k"},
        (
            Fault(
                "W",
                "    return jax.grad(directional)(W)",
                "    J = jax.jvp(lambda U: jnp.tanh(x @ U), (W,), (V,))[1]\n"
                "    return jax.vjp(lambda U: jnp.tanh(x @ U), W)[1](J)[0]",
                ("gauss_newton", "path_missing"),
            ),
        ),
        {"argnums": 0},
    ),
    "variance_in_one_pass": Case(
        "second",
        "equal",
        ("variance", "variance_in_one_pass"),
        {"x": "n"},
        (Fault("value", "return m2 / count", "return m2 / (count - 1)", SCALE),),
    ),
    "log_softmax": Case(
        "second",
        "equal",
        ("log_softmax", "log_softmax_by_hand"),
        {"z": "m c"},
        (Fault("value", "jnp.exp(shifted).sum(axis=-1", "jnp.exp(z).sum(axis=-1", ANY),),
    ),
    "gelu_exact": Case(
        "second",
        "equal",
        ("gelu_by_jax", "gelu_exact"),
        {"x": "n"},
        (Fault("value", "x / jnp.sqrt(2.0)", "x / 1.4142", ("literal", "factor")),),
    ),
    "online_softmax": Case(
        "second",
        "equal",
        ("softmax", "softmax_in_pieces"),
        {"x": "n"},
        (Fault("value", "total * np.exp(top - new) + np.exp(part - new)", "total + np.exp(part - new)", ANY),),
    ),
    "circular_convolution": Case(
        "signals",
        "vjp",
        ("circular", "circular_backward"),
        {"x": "n", "h": "n"},
        (
            Fault("h", "G * np.conj(np.fft.fft(x))", "G * np.fft.fft(x)", ANY),
            Fault(
                "x", "dx = np.fft.ifft(G * np.conj(np.fft.fft(h)))", "dx = np.fft.fft(G * np.conj(np.fft.fft(h)))", ANY
            ),
        ),
    ),
    "low_pass": Case(
        "signals",
        "vjp",
        ("low_pass", "low_pass_backward"),
        {"x": "n>=2", "a": ""},
        (Fault("a", "* H**2 * f**2", "* H * f**2", ANY), Fault("a", "da = -np.sum", "da = np.sum", SIGN)),
        {"domains": {"a": "positive"}},
    ),
    "circuit": Case(
        "signals",
        "gradient",
        ("circuit", "circuit_gradients"),
        {"R": "", "L": "", "C": ""},
        (Fault("R", "2 * R - X / m", "2 * R", CUT), Fault("L C", "dX = 2 * X + R / m", "dX = 2 * X - R / m", SIGN)),
        {"domains": {"R": "positive", "L": "positive", "C": "positive"}},
    ),
    "strided_conv": Case(
        "signals",
        "vjp",
        ("strided_conv", "strided_conv_backward"),
        {"x": "n c 4 5", "w": "f c 2 3", "b": "f"},
        (
            Fault("x", "w[:, :, ::-1, ::-1]", "w", ("other_factor", "transposed")),
            Fault("b", "dout.sum(axis=(0, 2, 3))", "dout.mean(axis=(0, 2, 3))", SCALE),
        ),
    ),
    "variation": Case(
        "signals",
        "gradient",
        ("variation", "variation_gradient"),
        {"image": "h>=2 w>=2"},
        (
            Fault("image", "g[1:, :-1] += down", "g[1:, :-1] -= down", SIGN),
            Fault("image", "g[:-1, 1:] += right / size", "g[:-1, 1:] += right", ("other_factor", "derivative")),
        ),
    ),
    "ring": Case(
        "signals",
        "gradient",
        ("ring", "ring_gradients"),
        {"u": "n", "a": "n"},
        (
            Fault("u", "np.roll(force, 1) - force", "np.roll(force, -1) - force", ("off_by_one", "transposed")),
            Fault("a", '"a": 0.5 * stretch**2', '"a": stretch**2', SCALE),
        ),
    ),
    "lookup": Case(
        "signals",
        "gradient",
        ("looked_up", "looked_up_gradients"),
        {"t": "m", "values": "n>=2"},
        (Fault("values", "np.add.at(dvalues, j, 1 - a)", "dvalues[j] += 1 - a", PART),),
        {"domains": {"t": "unit"}},
    ),
    "eigenvalues": Case(
        "decompositions",
        "gradient",
        ("spectral", "spectral_gradient"),
        {"A": "n n"},
        (Fault("A", "slope = 2 * w / (w**2 + 1)", "slope = 2 / (w**2 + 1)", ("other_factor", "derivative")),),
    ),
    "eigenvector": Case(
        "decompositions",
        "gradient",
        ("leading", "leading_gradients"),
        {"A": "n n", "t": "n"},
        (
            Fault("A", "(w[-1] - w[i])", "(w[i] - w[-1])", SIGN),
            Fault("A", '"A": dS + dS.T', '"A": dS', CUT),
        ),
    ),
    "spectral_norm": Case(
        "decompositions",
        "gradient",
        ("normalised", "normalised_gradients"),
        {"W": "m n", "x": "n"},
        (
            Fault("W", "dsigma = -2 * (y @ y)", "dsigma = 2 * (y @ y)", SIGN),
            Fault("x", "W.T @ (2 * y) / s[0]", "W.T @ (2 * y)", ("derivative_missing", "other_factor")),
        ),
    ),
    "nuclear_norm": Case(
        "decompositions",
        "gradient",
        ("nuclear", "nuclear_gradient"),
        {"A": "m n"},
        (Fault("A", "    return U @ Vt", "    return 2 * U @ Vt", SCALE),),
    ),
    "least_squares": Case(
        "decompositions",
        "vjp",
        ("fitted", "fitted_backward"),
        {"A": "7 3", "b": "7"},
        (
            Fault("A", "np.outer(r, y) - np.outer(A @ y, x)", "-np.outer(A @ y, x)", CUT),
            Fault("A", "r = b - A @ x", "r = A @ x - b", SIGN),
        ),
    ),
    "matrix_exponential": Case(
        "decompositions",
        "vjp",
        ("flow", "flow_backward"),
        {"A": "n n", "u": "n"},
        (Fault("u", "scipy.linalg.expm(A).T @ g", "scipy.linalg.expm(A) @ g", ("transposed",)),),
    ),
    "covariance": Case(
        "decompositions",
        "gradient",
        ("volume", "volume_gradient"),
        {"X": "9 3"},
        (Fault("X", "2 / (len(X) - 1)", "2 / len(X)", SCALE),),
    ),
    "correlation": Case(
        "decompositions",
        "gradient",
        ("correlation", "correlation_gradients"),
        {"x": "n>=2", "y": "n>=2"},
        (
            Fault("x", "r * xc / sx**2", "r * xc / sx", ("other_factor", "derivative")),
            Fault("y", "xc / (sx * sy) - r * yc / sy**2", "xc / (sx * sy)", CUT),
        ),
    ),
    "gamma_law": Case(
        "decompositions",
        "gradient",
        ("gamma_law", "gamma_law_gradients"),
        {"a": "", "b": "", "x": "n"},
        (Fault("a", "da = n * digamma(a)", "da = digamma(a)", SCALE),),
        {"domains": {"a": "positive", "b": "positive", "x": "positive"}},
    ),
    "normal_law": Case(
        "decompositions",
        "vjp",
        ("smooth", "smooth_backward"),
        {"x": "n"},
        (Fault("x", "(norm.cdf(x) + x * norm.pdf(x))", "norm.cdf(x)", CUT),),
    ),
} | FURTHER

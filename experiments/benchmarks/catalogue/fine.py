"""Fine errors: wrong by little everywhere, or by much where no ordinary test point lies. Each says where it shows."""

import functools

from experiments.benchmarks.catalogue.entry import table
from experiments.benchmarks.catalogue.residuals import CE, MSE

SMALL, LARGE, HUGE = 1e-5, 10.0, 1e5
RELU_OUTPUT = {"outputs": ("relu",)}

fine = functools.partial(table, kind="fine")

RESIDUALS = (
    *fine(
        "dO2",
        [
            ("1/m-rounded", "reduction scale threshold", "{residual} * round(1 / m, 4)", {"reductions": ("mean",)}),
            ("third-rounded", "scale", "0.3333 * 3 * {right}"),
            ("1+1e-9", "scale", "{right} * (1 + 1e-9)"),
            ("clip-5", "threshold", "jnp.clip({residual}, -5, 5){n}", {"at": LARGE, "losses": MSE}),
        ],
    ),
    *fine(
        "dO2",
        [
            (
                "log-epsilon-1e-8",
                "log_epsilon",
                "P * (({y} * P / (P + 1e-8)).sum(axis={classes}, keepdims=True) - {y} / (P + 1e-8)){n}",
            ),
            ("smoothing-1e-5", "label_smoothing", "(P - (1 - 1e-5) * {y} - 1e-5 / y.shape[1]){n}"),
            ("sum-epsilon-1e-8", "softmax_epsilon", {"P": "E / (E.sum(axis={classes}, keepdims=True) + 1e-8)"}),
            ("P-at-most-0.999", "threshold", "(jnp.minimum(P, 0.999) - {y}){n}", {"at": LARGE}),
            ("P-at-least-1e-6", "threshold", "(jnp.maximum(P, 1e-6) - {y}){n}", {"at": LARGE}),
            ("logits-at-most-20", "threshold", {"E": ("O2", "jnp.minimum(O2, 20)")}, {"at": LARGE}),
        ],
        losses=CE,
    ),
)

MASKS = (
    *fine(
        "dZ2",
        [
            ("1+1e-6", "scale", "1.000001 * {right}"),
            ("leak-1e-3", "leaky_relu other_activation unknown", "dO2 * jnp.where(Z2 > 0, 1, 1e-3)", RELU_OUTPUT),
            ("threshold-1e-4", "threshold", "dO2 * (Z2 > 1e-4)", {"at": SMALL} | RELU_OUTPUT),
            ("mask-of-rounded", "threshold", "dO2 * (jnp.round(Z2, 3) > 0)", {"at": SMALL} | RELU_OUTPUT),
        ],
    ),
    *fine(
        "dZ1",
        [
            ("leak-1e-3", "leaky_relu other_activation unknown", "dO1 * jnp.where(Z1 > 0, 1, 1e-3)"),
            ("threshold-1e-4", "threshold", "dO1 * (Z1 > 1e-4)", {"at": SMALL}),
            ("threshold-1e-8", "threshold", "dO1 * (Z1 > 1e-8)", {"at": 1e-9}),
            ("mask-of-rounded", "threshold", "dO1 * (jnp.round(Z1, 3) > 0)", {"at": SMALL}),
            ("relu6", "threshold saturated other_activation", "dO1 * (Z1 > 0) * (Z1 < 6)", {"at": LARGE}),
        ],
    ),
)

PRODUCTS = (
    *fine(
        "dW2",
        [
            ("decay-1e-6", "phantom_l2", "{right} + 1e-6 * W2"),
            ("one-entry-1e-4", "one_entry", "({right}).at[0, 0].multiply(1 + 1e-4)"),
            ("clip-1e3", "threshold", "jnp.clip({right}, -1e3, 1e3)", {"at": HUGE}),
        ],
    ),
    *fine("db2", [("1-1e-7", "scale", "{right} * (1 - 1e-7)")]),
    *fine(
        "dO1",
        [
            ("1+1e-9", "scale", "{right} * (1 + 1e-9)"),
            ("clip-100", "threshold", "jnp.clip({right}, -100, 100)", {"at": HUGE}),
        ],
    ),
    *fine(
        "dW1",
        [
            ("decay-1e-6", "phantom_l2", "{right} + 1e-6 * W1"),
            ("one-entry-1e-4", "one_entry", "({right}).at[-1, -1].multiply(1 + 1e-4)"),
            ("rounded", "threshold unknown", "jnp.round({right}, 6)"),
            ("clip-1e3", "threshold", "jnp.clip({right}, -1e3, 1e3)", {"at": HUGE}),
        ],
    ),
    *fine("db1", [("decay-1e-8", "phantom_l2", "{right} + 1e-8 * b1")]),
)

FORWARD = fine(
    "forward",
    [
        ("relu6", "threshold other_activation", {"O1": "jnp.clip(Z1, 0, 6)", "dZ1": "dO1 * (Z1 > 0) * (Z1 < 6)"}),
        ("logits-clip-50", "threshold", {"O2": ("Z2", "jnp.clip(Z2, -50, 50)")}),
    ],
    at=LARGE,
)

MISTAKES = (*RESIDUALS, *MASKS, *PRODUCTS, *FORWARD)

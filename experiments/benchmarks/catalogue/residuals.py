"""Wrong dL/dO2: the residual, the softmax and its Jacobian."""

from experiments.benchmarks.catalogue.entry import BATCHED, table

CE, MSE = ("cross_entropy",), ("quadratic",)

BOTH_LOSSES = table(
    "dO2",
    [
        ("times-m", "reduction", "{residual}", {"reductions": ("mean",)}),
        ("over-m", "reduction", "{right} / m"),
        ("twice", "half", "2 * {right}"),
        ("half", "half", "{right} / 2"),
        ("over-C", "classes", "{right} / y.shape[1]"),
        ("times-C", "classes", "{right} * y.shape[1]"),
        ("sign", "sign", "({y} - {a}){n}"),
        ("times-1.1", "scale", "1.1 * {right}"),
        ("times-output", "times_output", "{residual} * O2{n}"),
        ("no-target", "target_missing", "{a}{n}"),
        ("plus-target", "residual_sign", "({a} + {y}){n}"),
        ("absolute", "absolute_error", "jnp.abs({residual}){n}"),
        ("signs", "absolute_error unknown", "jnp.sign({residual}){n}"),
        ("squared", "not_differentiated unknown", "{residual} ** 2{n}"),
        ("cubed", "unknown", "{residual} ** 3{n}"),
        (
            "batch-average",
            "residual_summed reduction",
            "{residual}.mean(axis={examples}, keepdims=True) * jnp.ones_like(O2){n}",
            {"layouts": BATCHED},
        ),
    ],
)

QUADRATIC = table(
    "dO2",
    [
        (
            "softmax",
            "other_loss",
            "(jnp.exp(O2) / jnp.exp(O2).sum(axis={classes}, keepdims=True) - {y}){n}",
        ),
        ("only-target", "prediction_missing", "-{y}{n}"),
        ("relative", "unknown", "{residual} / (1 + {y} ** 2){n}"),
    ],
    losses=MSE,
)

SOFTMAX = table(
    "dO2",
    [
        ("quadratic", "other_loss", "(O2 - {y}){n}"),
        ("no-jacobian", "softmax_jacobian_missing", "-{y} / P{n}"),
        ("jacobian-diagonal", "softmax_jacobian_diagonal", "-{y} * (1 - P){n}"),
        ("jacobian-off-diagonal", "mask_of_gradient unknown", "P * (1 - {y}){n}"),
        (
            "jacobian-twice",
            "softmax_jacobian_twice",
            "P * ({residual} - (P * {residual}).sum(axis={classes}, keepdims=True)){n}",
        ),
        ("times-P", "unknown", "P * {residual}{n}"),
        ("shifted", "onehot_shifted", "(P - jnp.roll({y}, 1, axis={classes})){n}"),
        ("shifted-back", "onehot_shifted", "(P - jnp.roll({y}, -1, axis={classes})){n}"),
        ("smoothing", "label_smoothing", "(P - 0.9 * {y} - 0.1 / y.shape[1]){n}"),
        ("bits", "scale", "1.4427 * {right}"),
        (
            "batch-softmax",
            "softmax_axis",
            {s: ("axis={classes}", "axis={examples}") for s in "EP"},
            {"layouts": BATCHED},
        ),
        ("batch-shift", "softmax_axis unknown", {"E": ("axis={classes}", "axis={examples}")}, {"layouts": BATCHED}),
        ("batch-sum", "softmax_axis unknown", {"P": "E / E.sum()"}, {"layouts": BATCHED}),
        ("unnormalised", "softmax_not_normalised unknown", {"P": "E"}),
        ("sigmoid", "sigmoid_for_softmax other_loss unknown", {"P": "1 / (1 + jnp.exp(-O2))"}),
        ("of-Z2", "softmax_of_preactivation other_output", {"E": ("O2", "Z2")}, {"outputs": ("relu",)}),
        (
            "epsilon",
            "log_epsilon",
            "P * (({y} * P / (P + 0.01)).sum(axis={classes}, keepdims=True) - {y} / (P + 0.01)){n}",
        ),
    ],
    losses=CE,
)

MISTAKES = (*BOTH_LOSSES, *QUADRATIC, *SOFTMAX)

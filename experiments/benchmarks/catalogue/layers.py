"""Wrong lines behind dL/dO2: activations, weights, biases and the way back through W2. In a row, # is the layer."""

from experiments.benchmarks.catalogue.entry import BATCHED, Mistake, table

SCALES = [
    ("over-m", "reduction", "{right} / m"),
    ("times-m", "reduction", "{right} * m"),
    ("sign", "sign", "-{right}"),
    ("twice", "half", "2 * {right}"),
    ("half", "half", "{right} / 2"),
]

# Through the activation. MASKS suppose that there is a ReLU; the others can be written behind an identity too.
MASKS = [
    ("no-mask", "mask_missing", "dO#"),
    ("inverted", "mask_inverted", "dO# * (Z# <= 0)"),
    ("leak", "leaky_relu other_activation unknown", "dO# * jnp.where(Z# > 0, 1, 0.1)"),
    ("guided-both", "mask_of_gradient unknown", "dO# * (Z# > 0) * (dO# > 0)"),
    ("times-preactivation", "output_for_mask unknown", "dO# * Z#"),
]
ACTIVATIONS = [
    *SCALES,
    ("guided", "mask_of_gradient", "dO# * (dO# > 0)"),
    ("times-output", "output_for_mask", "dO# * O#"),
    ("sigmoid", "sigmoid_derivative", "dO# * O# * (1 - O#)"),
    ("tanh", "tanh_derivative", "dO# * (1 - O# ** 2)"),
    ("sigmoid-of-Z", "sigmoid_derivative unknown", "dO# * jnp.exp(-Z#) / (1 + jnp.exp(-Z#)) ** 2"),
    ("absolute", "absolute_value other_activation unknown", "dO# * jnp.sign(Z#)"),
    ("mask-alone", "mask_without_gradient unknown", "1.0 * (Z# > 0)"),
    ("over-K", "scale", "{right} / b1.shape[0]"),
    ("batch-mask", "unknown", "dO# * (Z#.mean(axis={examples}, keepdims=True) > 0)", {"layouts": BATCHED}),
]

UNMASKED = [("unmasked", "unmasked_cotangent", ("dZ#", "dO#"))]
LEAF = [
    *SCALES,
    ("assigned", "one_example", "= {right}", {"layouts": ("loop",)}),
    ("absolute", "unknown", "jnp.abs({right})"),
    ("signs", "gradient_sign", "jnp.sign({right})"),
]
WEIGHTS = [
    *LEAF,
    ("first", "one_example", "jnp.outer(dZ#{first}, INPUT{first})", {"layouts": BATCHED}),
    ("last", "one_example", "jnp.outer(dZ#{last}, INPUT{last})", {"layouts": BATCHED}),
    ("last-dropped", "one_example unknown", "dZ#[:-1].T @ INPUT[:-1]", {"layouts": ("rows",)}),
    ("decay", "phantom_l2", "{right} + 0.01 * W#"),
    ("zero", "zero", "jnp.zeros_like(W#)"),
    ("no-input", "input_missing unknown", ("INPUT", "jnp.ones_like(INPUT)")),
    (
        "product-of-sums",
        "wrong_axis unknown",
        "jnp.outer(dZ#.sum(axis={examples}), INPUT.sum(axis={examples}))",
        {"layouts": BATCHED},
    ),
    (
        "input-summed",
        "wrong_axis unknown",
        "dZ#.T @ (INPUT.sum(axis=1, keepdims=True) * jnp.ones_like(INPUT))",
        {"layouts": ("rows",)},
    ),
    ("one-entry", "one_entry", "({right}).at[0, 0].multiply(2)"),
    ("one-row", "unknown", "({right}).at[0].set(0)"),
]
BIASES = [
    *LEAF,
    ("first", "one_example", "dZ#{first}", {"layouts": BATCHED}),
    ("last", "one_example", "dZ#{last}", {"layouts": BATCHED}),
    ("both-axes", "wrong_axis", "jnp.full_like(b#, dZ#.sum())", {"layouts": BATCHED}),
    ("maximum", "largest_example", ("sum", "max"), {"layouts": BATCHED}),
    ("decay", "phantom_l2", "{right} + 0.01 * b#"),
    ("zero", "zero", "jnp.zeros_like(b#)"),
    ("ones", "unknown", "jnp.ones_like(b#)"),
    ("one-entry", "one_entry", "({right}).at[0].multiply(2)"),
]

RELU_OUTPUT = {"outputs": ("relu",)}
FIRST_LAYER_INPUT = "{x}"


def of_layer(layer: int, letter: str, rows: list[tuple], **options) -> tuple[Mistake, ...]:
    """The rows for letter dZ, dW or db of layer 1 or 2."""

    def fill(change):
        if isinstance(change, tuple):
            return tuple(map(fill, change))
        return change.replace("#", str(layer)).replace("INPUT", "O1" if layer == 2 else FIRST_LAYER_INPUT)

    return table(
        f"{letter}{layer}", [(name, causes, fill(change), *more) for name, causes, change, *more in rows], **options
    )


MISTAKES = (
    *of_layer(2, "dZ", MASKS, **RELU_OUTPUT),
    *of_layer(2, "dZ", ACTIVATIONS),
    *table("dZ2", [("mask", "mask_added other_output unknown", "dO2 * (Z2 > 0)", {"outputs": ("identity",)})]),
    *of_layer(2, "dW", UNMASKED, **RELU_OUTPUT),
    *of_layer(2, "dW", WEIGHTS),
    *table(
        "dW2",
        [
            ("preactivation", "preactivation_for_activation", ("O1", "Z1")),
            ("mask-for-activation", "mask_for_activation unknown", ("O1", "(Z1 > 0)")),
        ],
    ),
    *of_layer(2, "db", UNMASKED, **RELU_OUTPUT),
    *of_layer(2, "db", BIASES),
    *table("dO1", [("unmasked", "unmasked_cotangent", ("dZ2", "dO2"))], **RELU_OUTPUT),
    *table(
        "dO1",
        [
            *SCALES,
            ("over-C", "classes", "{right} / b2.shape[0]"),
            ("updated", "updated_w2", ("W2", "(W2 - 0.1 * dW2)"), {"layouts": BATCHED}),
            ("absolute", "absolute_weights", ("W2", "jnp.abs(W2)")),
            ("signs", "sign_of_weights", ("W2", "jnp.sign(W2)")),
            ("squares", "squared_weights", ("W2", "(W2 ** 2)")),
            ("positive", "mask_of_weights unknown", ("W2", "jnp.maximum(W2, 0)")),
            ("no-weights", "weights_missing unknown", ("W2", "jnp.ones_like(W2)")),
            ("plus-bias", "unknown", "{right} + {b1}"),
            ("one-output", "one_output", "dZ2[:, :1] @ W2[:1]", {"layouts": ("rows",)}),
        ],
    ),
    *of_layer(1, "dZ", MASKS),
    *of_layer(1, "dZ", ACTIVATIONS),
    *of_layer(1, "dW", UNMASKED),
    *of_layer(1, "dW", WEIGHTS),
    *of_layer(1, "db", UNMASKED),
    *of_layer(1, "db", BIASES),
)

"""Right back-propagation of a wrong network: the slip stands in the forward pass."""

from experiments.benchmarks.catalogue.entry import BATCHED, table

SIGMOID = "1 / (1 + jnp.exp(-{}))"

HIDDEN = table(
    "forward",
    [
        ("no-b1", "bias_missing", {"Z1": (" + {b1}", "")}),
        ("no-b2", "bias_missing", {"Z2": (" + {b2}", "")}),
        ("no-biases", "bias_missing", {"Z1": (" + {b1}", ""), "Z2": (" + {b2}", "")}),
        ("minus-b1", "bias_sign", {"Z1": (" + {b1}", " - {b1}")}),
        ("b1-outside", "bias_outside bias_missing unknown", {"Z1": (" + {b1}", ""), "O1": "jnp.maximum(Z1, 0) + {b1}"}),
        ("no-hidden-relu", "hidden_relu_missing", {"O1": "Z1", "dZ1": "dO1"}),
        ("no-hidden-relu-masked", "hidden_relu_missing", {"O1": "Z1"}),
        ("Z1-forward", "hidden_relu_missing unknown", {"Z2": ("O1", "Z1")}),
        ("tanh", "other_activation", {"O1": "jnp.tanh(Z1)", "dZ1": "dO1 * (1 - O1 ** 2)"}),
        ("sigmoid", "other_activation", {"O1": SIGMOID.format("Z1"), "dZ1": "dO1 * O1 * (1 - O1)"}),
        (
            "leaky",
            "leaky_relu other_activation",
            {"O1": "jnp.where(Z1 > 0, Z1, 0.1 * Z1)", "dZ1": "dO1 * jnp.where(Z1 > 0, 1, 0.1)"},
        ),
        (
            "softplus",
            "other_activation",
            {"O1": "jnp.log(1 + jnp.exp(Z1))", "dZ1": f"dO1 * ({SIGMOID.format('Z1')})"},
        ),
        ("absolute", "other_activation", {"O1": "jnp.abs(Z1)", "dZ1": "dO1 * jnp.sign(Z1)"}),
        ("square", "other_activation", {"O1": "Z1 ** 2", "dZ1": "dO1 * 2 * Z1"}),
        ("halved", "other_activation unknown", {"O1": "jnp.maximum(Z1, 0) / 2", "dZ1": "dO1 * (Z1 > 0) / 2"}),
        (
            "centred",
            "unknown",
            {"Z1": ("{x}", "({x} - {x}.mean(axis={examples}, keepdims=True))")},
            {"layouts": BATCHED},
        ),
    ],
)
OUTPUT = (
    *table("forward", [("identity", "other_output", {"O2": "Z2", "dZ2": "dO2"})], outputs=("relu",)),
    *table(
        "forward",
        [
            ("relu", "other_output", {"O2": "jnp.maximum(Z2, 0)", "dZ2": "dO2 * (Z2 > 0)"}),
            ("relu-unmasked", "other_output", {"O2": "jnp.maximum(Z2, 0)"}),
        ],
        outputs=("identity",),
    ),
    *table(
        "forward",
        [
            ("output-sigmoid", "other_output", {"O2": SIGMOID.format("Z2"), "dZ2": "dO2 * O2 * (1 - O2)"}),
            ("output-tanh", "other_output", {"O2": "jnp.tanh(Z2)", "dZ2": "dO2 * (1 - O2 ** 2)"}),
        ],
    ),
)

MISTAKES = (*HIDDEN, *OUTPUT)

"""Lines that look wrong and are not: every leaf is right, away from exact ties."""

import functools

from experiments.benchmarks.catalogue.entry import table
from experiments.benchmarks.catalogue.layers import of_layer
from experiments.benchmarks.catalogue.residuals import CE, MSE

equal = functools.partial(table, kind="equivalent")

MASKS = [
    ("at-zero", "", "dO# * (Z# >= 0)", {"reason": "the convention at an exact tie, 1 in place of 0"}),
    (
        "half-at-zero",
        "",
        "dO# * jnp.heaviside(Z#, 0.5)",
        {"reason": "the convention at an exact tie, 1/2 in place of 0"},
    ),
    ("mask-of-output", "", "dO# * (O# > 0)", {"reason": "O > 0 exactly where Z > 0"}),
    ("mask-twice", "", "dO# * (Z# > 0) * (O# > 0)", {"reason": "a mask is its own square"}),
    ("inactive-removed", "", "dO# - dO# * (Z# <= 0)", {"reason": "1 minus the inverted mask is the mask"}),
]

MISTAKES = (
    *of_layer(1, "dZ", MASKS, kind="equivalent"),
    *of_layer(2, "dZ", MASKS, kind="equivalent", outputs=("relu",)),
    *equal(
        "dO2",
        [
            (
                "Z2",
                "preactivation_for_output",
                ("O2", "Z2"),
                {"reason": "O2 is Z2 where the mask is 1"},
            )
        ],
        losses=MSE,
        outputs=("relu",),
    ),
    *equal(
        "dO2",
        [
            ("clip-1", "", "jnp.clip({residual}, -1, 1){n}", {"reason": "P - y lies between -1 and 1"}),
            ("no-shift", "", {"E": "jnp.exp(O2)"}, {"reason": "the shift cancels in the softmax"}),
            ("two-terms", "", "((1 - {y}) * P - {y} * (1 - P)){n}", {"reason": "y is 0 or 1"}),
            (
                "sums-of-ones",
                "",
                "(P * {y}.sum(axis={classes}, keepdims=True) - {y} ** 2){n}",
                {"reason": "the entries of a one-hot row are their own squares and add up to 1"},
            ),
        ],
        losses=CE,
    ),
    *equal(
        "dW2",
        [("Z1-masked", "", ("O1", "(Z1 * (Z1 > 0))"), {"reason": "O1 is Z1 where it is positive, else 0"})],
    ),
    *equal(
        "db1",
        [("masked-again", "", ("dZ1", "(dZ1 * (O1 > 0))"), {"reason": "dZ1 is masked already"})],
    ),
)

"""Transposes, wrong axes and mixed-up names. Some fit only if all sizes agree; a reshape makes others fit always."""

import functools

from experiments.benchmarks.catalogue.entry import BATCHED, table

ROWS, COLUMNS = {"layouts": ("rows",)}, {"layouts": ("columns",)}

square = functools.partial(table, kind="shape", square=True)

SQUARE = (
    *square(
        "forward",
        [
            ("W2-for-W1", "w2_for_w1", {"Z1": ("W1", "W2")}),
            ("W2-for-W1-without-x", "w2_for_w1", {"Z1": ("x @ W1.T", "W2")}, ROWS),
            ("W1-untransposed", "unknown transpose", {"Z1": ("W1.T", "W1")}, ROWS),
            ("W2-untransposed", "unknown transpose", {"Z2": ("W2.T", "W2")}, ROWS),
        ],
    ),
    *square("dZ2", [("mask-of-layer-1", "mask_of_other_layer", "dO2 * (Z1 > 0)")]),
    *square("dZ1", [("mask-of-layer-2", "mask_of_other_layer", "dO1 * (Z2 > 0)")]),
    *square(
        "dW2",
        [
            ("x-for-O1", "input_for_activation", ("O1", "{x}")),
            ("transposed", "transpose", "O1.T @ dZ2", ROWS),
            ("transposed", "transpose", "O1 @ dZ2.T", COLUMNS),
            ("row-formula", "unknown transpose", "dZ2.T @ O1", COLUMNS),
        ],
    ),
    *square("db2", [("over-units", "wrong_axis", ("axis={examples}", "axis={classes}"))], layouts=BATCHED),
    *square(
        "dO1",
        [
            ("W2-transposed", "transpose", "dZ2 @ W2.T", ROWS),
            ("W2-transposed", "transpose", "W2 @ dZ2", COLUMNS),
            ("row-formula", "unknown transpose", "dZ2 @ W2", COLUMNS),
            ("W1-for-W2", "unknown w1_for_w2 w2_for_w1", ("W2", "W1")),
        ],
    ),
    *square(
        "dW1",
        [
            ("O1-for-x", "unknown activation_for_input input_for_activation", ("{x}", "O1")),
            ("transposed", "transpose", "x.T @ dZ1", ROWS),
            ("transposed", "transpose", "X @ dZ1.T", COLUMNS),
            ("dZ2-for-dZ1", "unknown cotangent_of_other_layer", ("dZ1", "dZ2")),
        ],
    ),
    *square("db1", [("over-units", "wrong_axis", ("axis={examples}", "axis={classes}"))], layouts=BATCHED),
)

RESHAPED = (
    *table("dW2", [("reshaped", "transpose", "(O1.T @ dZ2).reshape(W2.shape)")], kind="shape", layouts=("rows",)),
    *table("dO1", [("reshaped", "transpose", "dZ2 @ W2.T.reshape(W2.shape)")], kind="shape", layouts=("rows",)),
    *table("dW1", [("reshaped", "transpose", "(x.T @ dZ1).reshape(W1.shape)")], kind="shape", layouts=("rows",)),
    *table(
        "dZ1",
        [("any-output", "mask_of_other_layer mask_missing unknown", "dO1 * (Z2 > 0).any(axis=1, keepdims=True)")],
        kind="shape",
        layouts=("rows",),
    ),
    *table(
        "db1",
        [("over-units-resized", "wrong_axis unknown", "jnp.resize(dZ1.sum(axis=1), b1.shape)")],
        kind="shape",
        layouts=("rows",),
    ),
)

MISTAKES = (*SQUARE, *RESHAPED)

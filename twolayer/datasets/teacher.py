"""Regression with a known answer: a random two-layer ReLU network, the teacher, labels Gaussian inputs."""

import dataclasses
import math
import sys

import numpy as np
from jaxtyping import Float, Float32

from twolayer.datasets.dataset import DataError, Dataset, Form, Split, assemble

MOST = sys.maxsize  # bytes that an array may have


@dataclasses.dataclass(frozen=True)
class TeacherOptions:
    """Sizes of the teacher and of the data.

    inputs, hidden_size, outputs: d, K, C of the teacher.
    train, valid, test: numbers of examples.
    noise: standard deviation of the noise on each target. Before its last ReLU the teacher has variance 2.
    output: "relu" as in the author's network, so that a student of this kind can reach the noise floor, or
        "identity", whose negative targets a ReLU student can never reach.

    Raises:
      DataError: a size below 1, a noise that is negative or not finite, an unknown output.
    """

    inputs: int = 64
    hidden_size: int = 32
    outputs: int = 10
    train: int = 10_000
    valid: int = 2_000
    test: int = 2_000
    noise: float = 0.1
    output: str = "relu"

    def __post_init__(self) -> None:
        for field in ("inputs", "hidden_size", "outputs", "train", "valid", "test"):
            if getattr(self, field) < 1:
                raise DataError(f"teacher: {field} must be at least 1, got {getattr(self, field)}")
        if not 0 <= self.noise < math.inf:
            raise DataError(f"teacher: noise must be a finite number of at least 0, got {self.noise}")
        if (
            8
            * max(self.train, self.valid, self.test, self.hidden_size)
            * max(self.inputs, self.hidden_size, self.outputs)
            > MOST
        ):
            raise DataError("teacher: sizes whose arrays are more than any memory has; take smaller ones")
        if self.output not in ("relu", "identity"):
            raise DataError(f"teacher: output must be relu or identity, got {self.output!r}")


def teacher_student(options: TeacherOptions, seed: int) -> Dataset:
    """Draw y = teacher(x) + noise with x ~ N(0, 1), the same for the same options and seed.

    The teacher has He weights, W1 ~ N(0, 2/d) and W2 ~ N(0, 2/K), and zero biases. Weights and splits have
    streams of their own: another number of examples changes neither the teacher nor the other splits.

    Raises:
      DataError: a negative seed.
    """
    if seed < 0:
        raise DataError(f"teacher: seed must be at least 0, got {seed}")
    d, K, C = options.inputs, options.hidden_size, options.outputs
    weights, *streams = np.random.SeedSequence(seed).spawn(4)
    rng = _generator(weights)
    W1 = rng.normal(0, math.sqrt(2 / d), (K, d))
    W2 = rng.normal(0, math.sqrt(2 / K), (C, K))
    sizes = (options.train, options.valid, options.test)
    splits = [_draw(stream, n, W1, W2, options) for stream, n in zip(streams, sizes, strict=True)]
    return assemble("teacher", Form(sizes, inputs=d, outputs=C, scale=1.0), *splits)


def answer(
    x: Float32[np.ndarray, "n d"], W1: Float[np.ndarray, "K d"], W2: Float[np.ndarray, "C K"], output: str
) -> Float[np.ndarray, "n C"]:
    """The teacher without noise, in the precision of its weights."""
    Z2 = np.maximum(x @ W1.T, 0) @ W2.T
    return np.maximum(Z2, 0) if output == "relu" else Z2


def _draw(
    stream: np.random.SeedSequence,
    n: int,
    W1: Float[np.ndarray, "K d"],
    W2: Float[np.ndarray, "C K"],
    options: TeacherOptions,
) -> Split:
    # Two streams, so that a longer split begins with the shorter one.
    features, noise = map(_generator, stream.spawn(2))
    x = features.standard_normal((n, options.inputs), dtype=np.float32)
    y = answer(x, W1, W2, options.output) + options.noise * noise.standard_normal((n, options.outputs))
    return Split(x, y.astype(np.float32))


def _generator(stream: np.random.SeedSequence) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(stream))

"""A trained network as it is used: its parameters and metrics, and what it says of raw examples."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, Shaped

from twolayer import evaluation
from twolayer.datasets import given
from twolayer.datasets.dataset import Standard
from twolayer.network import Params
from twolayer.precisions import PRECISIONS
from twolayer.settings import Settings


@contextlib.contextmanager
def precision(name: str) -> Iterator[tuple[str, str]]:
    """JAX as --precision wants it, for a while; gives the types of the parameters and of the arithmetic.

    Raises:
      ValueError: the name is not known.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision={name!r} is not known; choose one of: {', '.join(PRECISIONS)}")
    parameters, compute, matmul = PRECISIONS[name]
    with jax.enable_x64(parameters == "float64"), jax.default_matmul_precision(matmul):
        yield parameters, compute


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained network with all that it takes to use it.

    Attributes:
      params: W1 (K, d), b1 (K,), W2 (C, K), b2 (C,) as NumPy arrays; the best on validation with early stopping.
      metrics: name -> an array with one entry for each epoch that was trained.
      settings: how it was trained.
      status: "done", "stopped early" or "diverged"; then `params` are the last finite ones.
      labels: the classes as `fit` was given them; None of a regression.
      scale: the network sees x * scale.
      standard: how inputs and targets were standardised, if they were.
      said: what was understood of the data, a line each.
    """

    params: Params
    metrics: Mapping[str, np.ndarray]
    settings: Settings
    status: str
    labels: np.ndarray | None
    scale: float = 1.0
    standard: Standard | None = None
    said: tuple[str, ...] = ()

    def outputs(self, x: Num[Array | np.ndarray, "m ..."], precision_of: str | None = None) -> Float[np.ndarray, "m C"]:
        """O2 of raw examples, in the units of the raw targets.

        Args:
          precision_of: the arithmetic; None is that of the training, "float64" rounds less.

        Raises:
          ValueError: x does not fit the network, has no examples, or holds a NaN.
        """
        x = given.inputs("x", x)
        if x.ndim == 0 or 0 in x.shape:
            raise ValueError(f"x must be (examples, inputs) with at least one example, got shape {x.shape}")
        x = x.reshape(len(x), -1)
        if x.shape[1] != self.params.W1.shape[1]:
            raise ValueError(f"this network has {self.params.W1.shape[1]} inputs, x has {x.shape[1]}")
        if self.standard is not None:
            x = self.standard.inputs(x)
        elif x.dtype != np.uint8:
            x = x.astype(np.float32)
        if x.dtype != np.uint8 and not np.isfinite(x).all():
            raise ValueError("x holds a value that is not finite")
        with precision(precision_of or self.settings.precision) as (dtype, _):
            run = _predictor(self.scale, self.settings.output, self.settings.hidden_activation)
            O2 = np.asarray(run(Params(*(jnp.asarray(leaf, dtype) for leaf in self.params)), jnp.asarray(x)))
        return O2 if self.standard is None else self.standard.outputs(O2)

    def predict(self, x: Num[Array | np.ndarray, "m ..."], precision_of: str | None = None) -> np.ndarray:
        """The class of each raw example, as `fit` was given them; of a regression the targets, flat if there is one.

        Args:
          x, precision_of: as in `outputs`.
        """
        O2 = self.outputs(x, precision_of)
        if self.labels is not None:
            return self.labels[O2.argmax(axis=1)]
        return O2[:, 0] if O2.shape[1] == 1 else O2

    def probabilities(
        self, x: Num[Array | np.ndarray, "m ..."], precision_of: str | None = None
    ) -> Float[np.ndarray, "m C"]:
        """The softmax of O2: what cross-entropy makes of it.

        Args:
          x, precision_of: as in `outputs`.

        Raises:
          ValueError: this is a regression.
        """
        if self.labels is None:
            raise ValueError("this network has real targets, and no probabilities")
        O2 = self.outputs(x, precision_of).astype(np.float64)
        exps = np.exp(O2 - O2.max(axis=1, keepdims=True))
        return exps / exps.sum(axis=1, keepdims=True)

    def score(self, x: Num[Array | np.ndarray, "m ..."], y: Shaped[Array | np.ndarray, "m ..."]) -> float:
        """The accuracy on raw examples; of a regression R^2, the mean over its targets.

        Raises:
          ValueError: as `outputs`, or y has another shape than `predict` gives, a class that the network does not know,
            or is not finite.
        """
        y, found = given.targets("y", y), self.predict(x)
        if y.ndim == 0 or len(y) != len(found) or y.size != found.size:
            wanted = "class" if self.labels is not None else "row of targets"
            hint = "" if y.ndim < 2 else f"; a {wanted} for each example is shape {found.shape}"
            raise ValueError(f"x has {len(found)} examples and y has shape {y.shape}{hint}")
        y = y.reshape(found.shape)
        if self.labels is not None:
            known = self.labels.tolist()
            unknown = sorted(map(repr, set(y.tolist()) - set(known)))
            if unknown:
                raise ValueError(
                    f"y has the class {unknown[0]}, and this network knows {', '.join(map(repr, known[:8]))}"
                )
            return float((found == y).mean())
        if y.dtype.kind not in "biuf" or not np.isfinite(y).all():
            raise ValueError("y must be finite numbers, the targets of a regression")
        y = y.astype(np.float64)
        rest, whole = ((y - found) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
        return float(np.mean(1 - rest / np.where(whole == 0, 1, whole)))


@functools.lru_cache(maxsize=64)
def _predictor(scale: float, output: object, hidden_activation: object) -> Callable:
    names = {"output": output, "hidden_activation": hidden_activation}
    return jax.jit(functools.partial(evaluation.predict, scale=scale, **names))

"""What people's code gets for `jax`, `jax.numpy`, `jax.nn` and `jax.lax`: plain loops over balls, without loading JAX.

For files that mix jnp and np, and for the locals of files of plain jnp calls. What differentiates (jax.grad, custom
rules) is not judged here; the jaxpr is for that.
"""

import functools
import types
from typing import Any

import numpy as np

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import jax_functions
from twolayer.verification.programs.stand_ins.arrays import Array, apply, exactly, plain, wrap
from twolayer.verification.programs.stand_ins.nothing import refused
from twolayer.verification.programs.stand_ins.numpy_functions import array
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY, Module
from twolayer.verification.programs.stand_ins.one_number import ball
from twolayer.verification.programs.stand_ins.scipy_special import SPECIAL


class JaxArray(jax_functions.Unchanging, Array):
    """An array of balls that is never changed."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        result = apply(ufunc, method, inputs, **options)
        return result if options.get("out") is not None else in_jax(result)


def in_jax(value: Any) -> Any:
    """The same, its arrays unchangeable."""
    if isinstance(value, np.ndarray):
        return np.asarray(value).view(JaxArray)
    return type(value)(map(in_jax, value)) if type(value) in (list, tuple) else value


class _Random:
    """jax.random: what a key gives is a function of the key, and not what JAX would draw."""

    def PRNGKey(self, seed: Any) -> Any:
        return in_jax(array([0, int(seed)]))

    key = PRNGKey

    def split(self, key: Any, num: int = 2) -> Any:
        return in_jax(array(self._real(key).randint(0, 2**31, (num, 2))))

    def fold_in(self, key: Any, data: int) -> Any:
        return self.split(key, int(data) + 1)[-1]

    def _real(self, key: Any) -> np.random.RandomState:
        return np.random.RandomState([int(k) for k in np.ravel(np.asarray(key))])

    def _draw(self, name: str, key: Any, *args: Any, **options: Any) -> Any:
        shape = options.get("shape", args[0] if args else ())
        return in_jax(exactly(getattr(self._real(key), name)(size=shape)))

    normal = functools.partialmethod(_draw, "standard_normal")

    def uniform(self, key: Any, shape: Any = (), dtype: Any = float, minval: Any = 0, maxval: Any = 1) -> Any:
        return self._draw("random_sample", key, shape) * (ball(maxval) - minval) + ball(minval)

    def bernoulli(self, key: Any, p: Any = 0.5, shape: Any = ()) -> Any:
        return self._draw("random_sample", key, shape or np.shape(p)) < p

    def permutation(self, key: Any, x: Any, **options: Any) -> Any:
        return in_jax(wrap(self._real(key).permutation(plain(x))))

    def randint(self, key: Any, shape: Any, minval: int, maxval: int, dtype: Any = int) -> Any:
        return in_jax(wrap(self._real(key).randint(minval, maxval, shape)))

    def __getattr__(self, name: str) -> Any:
        raise NotJudged(f"jax.random.{name}")


_ROOT = jax_functions.names(NUMPY, SPECIAL, in_jax, lambda rows: in_jax(array(rows)), JaxArray, refused)
_ROOT |= {"random": _Random()}
JAX = {"jax": Module("jax", lambda name: refused(f"jax.{name}"), **_ROOT)}
JAX |= {"jax.numpy.linalg": _ROOT["numpy"].linalg, "jax.scipy.special": _ROOT["scipy"].special}
JAX |= {f"jax.{name}": module for name, module in _ROOT.items() if not isinstance(module, types.FunctionType)}

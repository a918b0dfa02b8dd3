"""What people's code gets for `jax`, `jax.numpy`, `jax.nn` and `jax.lax`: plain loops over balls, without loading JAX.

For files that mix jnp and np, and for the locals of files of plain jnp calls. What differentiates (jax.grad, custom
rules) is not judged here; the jaxpr is for that.
"""

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.stand_ins import control
from twolayer.verification.programs.stand_ins.arrays import Array, apply, ball, exactly, lift, pi, plain, wrap
from twolayer.verification.programs.stand_ins.nothing import Nothing
from twolayer.verification.programs.stand_ins.numpy_functions import array, where
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY, Module
from twolayer.verification.programs.stand_ins.scipy_module import SPECIAL, log_softmax, logsumexp, softmax


class JaxArray(Array):
    """An array that is never changed: `x += 1` binds a new one, as in JAX."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        result = apply(ufunc, method, inputs, **options)
        return result if options.get("out") is not None else in_jax(result)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("JAX arrays are immutable; write x = x.at[index].set(value)")

    @property
    def at(self) -> "_At":
        return _At(self)

    def block_until_ready(self) -> "JaxArray":
        return self


def _rebinding(name: str) -> Callable:
    """`x += y` as x + y."""
    return lambda a, b: getattr(np.ndarray, name)(a, b)


for _name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
    setattr(JaxArray, f"__i{_name}__", _rebinding(f"__{_name}__"))


class _At:
    """x.at[index].set(value) and its kin: a changed copy."""

    def __init__(self, values: JaxArray, key: Any = None):
        self.values, self.key = values, key

    def __getitem__(self, key: Any) -> "_At":
        return _At(self.values, key)

    def _by(self, ufunc: np.ufunc, value: Any) -> JaxArray:
        out = np.array(plain(self.values))
        apply(ufunc, "at", (out, self.key, value))
        return in_jax(wrap(out))

    def set(self, value: Any, **options: Any) -> JaxArray:
        out = array(self.values)
        out[self.key] = value
        return in_jax(out)

    def get(self, **options: Any) -> Any:
        return self.values[self.key]

    def __getattr__(self, name: str) -> Any:
        raise NotJudged(f"x.at[...].{name}")

    add = functools.partialmethod(_by, np.add)
    subtract = functools.partialmethod(_by, np.subtract)
    multiply = mul = functools.partialmethod(_by, np.multiply)
    divide = functools.partialmethod(_by, np.divide)
    power = functools.partialmethod(_by, np.power)
    max = functools.partialmethod(_by, np.maximum)
    min = functools.partialmethod(_by, np.minimum)


def in_jax(value: Any) -> Any:
    """The same, its arrays unchangeable."""
    if isinstance(value, np.ndarray):
        return np.asarray(value).view(JaxArray)
    return type(value)(map(in_jax, value)) if type(value) in (list, tuple) else value


def _jax(function: Callable) -> Callable:
    """A function of NumPy's as one of JAX: options that only speed it up are dropped, and its results never change."""

    def of_jax(*args: Any, **kwargs: Any) -> Any:
        for option in ("precision", "preferred_element_type", "mode", "inplace", "unique_indices"):
            kwargs.pop(option, None)
        result = function(*args, **kwargs)
        copied = isinstance(result, np.ndarray) and any(result is a for a in args)
        return in_jax(result.copy() if copied else result)

    of_jax.__name__ = getattr(function, "__name__", "function")
    return of_jax


def _find_jnp(name: str) -> Any:
    """What `jnp.name` is: NumPy's stand-in of that name."""
    value = getattr(NUMPY, name)
    return _jax(value) if callable(value) and not isinstance(value, type) else value


def _sigmoid(x: Any) -> Any:
    return SPECIAL["expit"](x)


def _softplus(x: Any) -> Any:
    return apply(np.logaddexp, "__call__", (lift(x), 0))


def _gelu(x: Any, approximate: bool = True) -> Any:
    x = wrap(lift(x))
    if approximate:
        inner = (2 / pi()).sqrt() * (x + ball(44715) / 1000000 * x**3)
        return x * (1 + apply(np.tanh, "__call__", (inner,))) / 2
    return x * (1 + SPECIAL["erf"](x / ball(2).sqrt())) / 2


def _elu(x: Any, alpha: Any = 1) -> Any:
    return where(lift(x) > 0, x, apply(np.expm1, "__call__", (lift(x),)) * ball(alpha))


def _one_hot(x: Any, num_classes: int, *, dtype: Any = float, axis: int = -1) -> Any:
    return array(np.asarray(plain(x))[..., None] == np.arange(num_classes), dtype)


NN = {
    "relu": lambda x: apply(np.maximum, "__call__", (x, 0)),
    "relu6": lambda x: NUMPY.clip(x, 0, 6),
    "leaky_relu": lambda x, negative_slope=0.01: where(lift(x) >= 0, x, wrap(lift(x)) * ball(negative_slope)),
    "sigmoid": _sigmoid, "softplus": _softplus, "gelu": _gelu, "elu": _elu, "one_hot": _one_hot,
    "log_sigmoid": lambda x: -_softplus(-lift(x)), "silu": lambda x: wrap(lift(x)) * _sigmoid(x),
    "swish": lambda x: wrap(lift(x)) * _sigmoid(x), "tanh": NUMPY.tanh, "identity": lambda x: x,
    "softmax": lambda x, axis=-1, **options: softmax(x, axis), "logsumexp": logsumexp,
    "log_softmax": lambda x, axis=-1, **options: log_softmax(x, axis),
    "soft_sign": lambda x: wrap(lift(x)) / (1 + abs(lift(x))),
}  # fmt: skip


def _stacked(rows: list) -> JaxArray:
    return in_jax(array(rows))


def vmap(function: Callable, *axes: Any, **options: Any) -> Callable:
    """jax.vmap as a loop over examples."""
    mapped = control.vmap(_stacked, function, *axes, **options)

    def of_examples(*args: Any) -> Any:
        try:
            return mapped(*args)
        except NotImplementedError as error:
            raise NotJudged(str(error)) from error

    return of_examples


LAX = {
    "scan": functools.partial(control.scan, _stacked), "fori_loop": control.fori_loop,
    "while_loop": control.while_loop, "cond": control.cond, "switch": control.switch,
    "stop_gradient": lambda x: x, "select": lambda c, a, b: _jax(where)(c, a, b), "map": lambda f, xs: vmap(f)(xs),
    "rsqrt": lambda x: in_jax(1 / apply(np.sqrt, "__call__", (lift(x),))), "max": _find_jnp("maximum"),
    "min": _find_jnp("minimum"), "integer_pow": lambda x, n: x**n, "neg": lambda x: -x, "dot": _find_jnp("dot"),
    "logistic": _jax(_sigmoid), "erf": _jax(SPECIAL["erf"]), "div": lambda a, b: a / b, "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b, "clamp": lambda low, x, high: _find_jnp("clip")(x, low, high),
    "transpose": lambda x, axes: in_jax(np.transpose(x, axes)),
}  # fmt: skip
LAX |= {n: _find_jnp(n) for n in "exp log tanh sin cos sqrt abs add pow sign square expm1 log1p".split()}


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


def _not_here(name: str) -> Any:
    """What raises NotJudged once it is called."""

    def use(*args: Any, **options: Any) -> Any:
        raise NotJudged(name)

    return use


def _module(name: str, known: dict, find: Callable | None = None) -> Module:
    """A module of JAX; other names are not judged once they are called."""
    return Module(name, find or (lambda attribute: _not_here(f"{name}.{attribute}")), **known)


_TREE = {
    "tree_map": control.tree_map,
    "map": control.tree_map,
    "leaves": control.tree_leaves,
    "tree_leaves": control.tree_leaves,
}
_LINALG = _module("jax.numpy.linalg", {}, lambda name: _jax(getattr(NUMPY.linalg, name)))
JNP = _module("jax.numpy", {"ndarray": JaxArray, "linalg": _LINALG}, _find_jnp)
_SPECIAL = _module("jax.scipy.special", {n: _jax(f) for n, f in SPECIAL.items()})
_INITIALIZERS = {"initializers": Nothing("jax.nn.initializers", False)}
_ROOT = {
    "numpy": JNP, "nn": _module("jax.nn", {n: _jax(f) for n, f in NN.items()} | _INITIALIZERS),
    "lax": _module("jax.lax", LAX), "random": _Random(),
    "tree_util": _module("jax.tree_util", _TREE), "tree": _module("jax.tree", _TREE),
    "scipy": types.SimpleNamespace(special=_SPECIAL), "jit": control.passed_through,
    "checkpoint": control.passed_through,
    "remat": control.passed_through, "named_call": control.passed_through, "vmap": vmap, "Array": JaxArray,
    "config": Nothing("jax.config", True), "debug": Nothing("jax.debug", True), "device_get": lambda x: x,
    "device_put": lambda x, *a, **k: x, "block_until_ready": lambda x: x, "devices": lambda *a: [],
    "ad_checkpoint": types.SimpleNamespace(checkpoint_name=lambda x, name: x), 
    "named_scope": lambda name: Nothing("jax", True),
    "tree_map": control.tree_map, "default_backend": lambda: "cpu", "typing": Nothing("jax.typing", True),
}  # fmt: skip
JAX = {"jax": _module("jax", _ROOT), "jax.numpy.linalg": _LINALG, "jax.scipy.special": _SPECIAL}
JAX |= {f"jax.{name}": module for name, module in _ROOT.items() if not isinstance(module, types.FunctionType)}

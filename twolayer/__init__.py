"""A two-layer ReLU network, its two losses and its back-propagation, by hand and by jax.grad.

What is named here is imported when it is first used, so that `import twolayer` loads no JAX.
"""

import importlib
from typing import Any

_OF_MODULES = {
    "estimators": ("TwoLayerClassifier", "TwoLayerRegressor"),
    "fitting": ("fit", "sweep"),
    "result": ("Result",),
    "gradients": ("autodiff", "closed_form"),
    "loading": ("load",),
    "losses": ("binary_cross_entropy", "cross_entropy", "quadratic"),
    "network": ("Params", "Trace", "forward", "init"),
    "settings": ("Settings",),
    "verification": ("verify",),
}
_PLACES = {name: module for module, names in _OF_MODULES.items() for name in names}
__all__ = [*_PLACES, "datasets"]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("twolayer.datasets")
    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("twolayer")
    if name not in _PLACES:
        raise AttributeError(f"module 'twolayer' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"twolayer.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})

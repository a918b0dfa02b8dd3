"""A two-layer ReLU network, its two losses and its back-propagation, by hand and by jax.grad.

What is named here is imported when it is first used, so that `import twolayer` loads no JAX.
"""

import importlib

_PLACES = {
    "Params": "network",
    "Trace": "network",
    "TwoLayerClassifier": "estimators",
    "TwoLayerRegressor": "estimators",
    "binary_cross_entropy": "losses",
    "autodiff": "gradients",
    "closed_form": "gradients",
    "Result": "fitting",
    "Settings": "settings",
    "cross_entropy": "losses",
    "fit": "fitting",
    "load": "loading",
    "sweep": "fitting",
    "forward": "network",
    "init": "network",
    "quadratic": "losses",
}
__all__ = list(_PLACES)


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'twolayer' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"twolayer.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

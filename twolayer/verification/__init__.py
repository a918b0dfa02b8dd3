"""The derivation debugger: exact arithmetic, rounding bounds, location and causes of errors.

`verify` judges a back-propagation of the two-layer network; `equal`, `verify_gradient`, `verify_vjp`, `verify_rule` and
`verify_hvp` judge any function; `assert_right` is for tests. Nothing is loaded before it is used.
"""

import importlib
from typing import Any

_PLACES = {"verify": "judge", "Verdict": "verdict", "Judgement": "verdict", "assert_right": "verdict"}
_PLACES |= dict.fromkeys(("equal", "verify_gradient", "verify_vjp", "verify_hvp"), "derivatives")
_PLACES["verify_rule"] = "custom_rules"
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)

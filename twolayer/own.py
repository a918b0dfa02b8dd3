"""Mathematics of one's own from a file, FILE.py:NAME, in the form of the entries of the built-in tables.

loss        a Formula (formulas.py), or a function (O2 (m, C), y) -> (value (m,), residual (m, C)), where y is
            (m, C), one-hot for classes; with `labels = True` on the function y is (m,) whole numbers
output, activation   an Activation (activations.py)
init        a Scheme (starts.py)
optimizer   a Direction (updates.py), or an optax transformation that leaves the gradient's sign
"""

import functools
import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from twolayer.activations import Activation
from twolayer.formulas import Formula
from twolayer.starts import Scheme
from twolayer.updates import Direction

REFERENCE = re.compile(r"(.+\.py):([A-Za-z_]\w*)")
RATE = 0.004  # of an optimiser that does not say its own: that of the Adam family
FORMS = {
    "loss": "a twolayer.formulas.Formula, or a function (O2, y) -> (value, residual)",
    "output": "a twolayer.activations.Activation",
    "activation": "a twolayer.activations.Activation",
    "init": "a twolayer.starts.Scheme",
    "optimizer": "a twolayer.updates.Direction, or an optax transformation like optax.scale_by_adam()",
}


class Own(NamedTuple):
    """An entry from a file, with the text that it came from.

    Attributes:
      entry: what stands in the place of a name.
      reference: FILE.py:NAME.
      text: the whole file.
      sha256: of the text.
    """

    entry: Any
    reference: str
    text: str
    sha256: str


def is_own(given: object) -> bool:
    """Whether this is written FILE.py:NAME."""
    return isinstance(given, str) and REFERENCE.fullmatch(given) is not None


def entry_of(kind: str, given: Any) -> Any:
    """What stands for a setting: a name as it is; of anything else the entry in the form of the built-in tables.

    Args:
      kind: as in `load`.
      given: a name, FILE.py:NAME, or what such a NAME may be.

    Raises:
      ValueError: it is not of the form in FORMS, or as `load`.
    """
    if isinstance(given, str):
        return load(kind, given).entry if is_own(given) else given
    entry = _entry(kind, given, getattr(given, "__name__", kind))
    if entry is None:
        raise ValueError(f"{kind} is {type(given).__name__}; wanted is a name, or {FORMS[kind]}")
    return entry


def load(kind: str, reference: str) -> Own:
    """The entry that `reference` names.

    Args:
      kind: "loss", "output", "activation", "init" or "optimizer".

    Raises:
      ValueError: there is no such file or name, the file cannot be run, or it is not of the form in FORMS.
    """
    path = Path(_parts(reference)[0]).expanduser()
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{kind}={reference}: {path} cannot be read ({error})") from error
    return from_text(kind, reference, text)


def _parts(reference: str) -> tuple[str, str]:
    """File and name of FILE.py:NAME."""
    found = REFERENCE.fullmatch(reference)
    if not found:
        raise ValueError(f"{reference} is not FILE.py:NAME")
    return found[1], found[2]


@functools.lru_cache  # equal texts have one entry, which programs are compiled for
def from_text(kind: str, reference: str, text: str) -> Own:
    """Load an entry from a text that is at hand, such as that in a run's manifest.

    Args:
      kind, reference: as in `load`.
      text: of the file that `reference` names.

    Raises:
      ValueError: as `load`.
    """
    file, name = _parts(reference)
    names = {"__name__": Path(file).stem, "__file__": file}
    try:
        exec(compile(text, file, "exec"), names)
    except (Exception, SystemExit) as error:  # anybody's code may exit
        line = next((f":{error.lineno}" for _ in [0] if isinstance(error, SyntaxError)), "")
        raise ValueError(f"{kind}={reference}: {file}{line} cannot be run ({type(error).__name__}: {error})") from error
    if name not in names:
        raise ValueError(f"{kind}={reference}: {file} defines no {name}")
    entry = _entry(kind, names[name], name)
    if entry is None:
        raise ValueError(f"{kind}={reference} is {type(names[name]).__name__}; wanted is {FORMS[kind]}")
    return Own(entry, reference, text, hashlib.sha256(text.encode()).hexdigest())


def _entry(kind: str, value: Any, name: str) -> Any:
    """What stands in the place of a name; None where the value is not of the form."""
    if kind in ("output", "activation"):
        return value if isinstance(value, Activation) else None
    if kind == "init":
        return value if isinstance(value, Scheme) else None
    if kind == "optimizer":
        if isinstance(value, Direction):
            return value
        return _direction(value) if hasattr(value, "init") and hasattr(value, "update") else None
    from twolayer.losses import Function

    if isinstance(value, Formula | Function):
        return value
    if not callable(value) or isinstance(value, type):
        return None
    compute: Any = value
    return Function(name, compute, bool(getattr(value, "labels", False)))


@functools.lru_cache
def _direction(transformation: Any) -> Direction:
    """The entry of an optax transformation, one for each: programs are compiled for it."""
    return Direction(lambda momentum: transformation, RATE, momentum=False)

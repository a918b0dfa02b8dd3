"""What stands in for a module that is not run here, such as pandas or a library of plots."""

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from twolayer.verification.programs import NotJudged


def _caller() -> types.FrameType:
    """The frame of the user's code that led here."""
    frame = sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__", "jaxtyping")).startswith(
        ("twolayer.", "jaxtyping", "bear")
    ):
        frame = frame.f_back
    return frame


def refused(name: str) -> Callable:
    """What raises NotJudged once it is called."""

    def use(*arguments: Any, **options: Any) -> NoReturn:
        raise NotJudged(name)

    return use


class Nothing:
    """What a module gives that is not run here, such as pandas: it swallows whatever is done with it.

    If `ignorable` (plots), nothing comes of that; of others, using a value raises NotJudged with its name.
    """

    __array_ufunc__ = None
    _name: str
    _ignorable: bool
    _line: int | None

    def __init__(self, name: str, ignorable: bool, line: int | None = None):
        self.__dict__.update(_name=name, _ignorable=ignorable, _line=line)

    def _more(self, *args: Any, **kwargs: Any) -> Any:
        return Nothing(self._name, self._ignorable, self._line)

    def __getattr__(self, name: str) -> "Nothing":
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Nothing(f"{self._name}.{name}", self._ignorable, _caller().f_lineno)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain_function = len(args) == 1 and isinstance(args[0], types.FunctionType) and not kwargs
        return args[0] if plain_function and self._ignorable else self._more()  # it may be a decorator

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __iter__(self) -> Iterator:
        if not self._ignorable:
            self._used()
        caller = _caller()
        operation, count = caller.f_code.co_code[caller.f_lasti : caller.f_lasti + 2]
        unpacked = operation == _UNPACK_SEQUENCE  # fig, ax = plt.subplots()
        return iter([self._more() for _ in range(count if unpacked else 0)])

    def _used(self, *args: Any) -> NoReturn:
        raise NotJudged(self._name, line=self._line)

    def __bool__(self) -> bool:
        return not self._ignorable and self._used()

    __len__ = __int__ = __index__ = __float__ = __array__ = _used
    __enter__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _more
    __rtruediv__ = __pow__ = __neg__ = __matmul__ = __rmatmul__ = __eq__ = __lt__ = __gt__ = __le__ = __ge__ = _more
    __hash__ = object.__hash__

    def __exit__(self, *args: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    __delitem__ = __exit__


_UNPACK_SEQUENCE = importlib.import_module("opcode").opmap["UNPACK_SEQUENCE"]

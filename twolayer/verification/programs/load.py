"""From a file or a function to a program that runs on balls: JAX through its jaxpr, all else as it stands."""

import inspect
import linecache
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twolayer.verification.programs import Program, Refused, Run
from twolayer.verification.programs.copies import global_names
from twolayer.verification.programs.numpy_code import File, NumpyProgram, from_function

if TYPE_CHECKING:
    from twolayer.verification.programs.jax_code import JaxProgram


def program_of(function: Any) -> Program:
    """A function object, the path of a file that defines `gradients`, or a program that is one already."""
    if isinstance(function, str):
        return Loaded(function).program("gradients")
    if hasattr(function, "run") and hasattr(function, "literals"):
        return function
    if _names_jax(function):
        from twolayer.verification.programs.jax_code import JaxProgram

        return JaxProgram(function)
    return from_function(function)


def _names_jax(function: Callable) -> bool:
    """Whether a function, or one of its module that it calls, uses JAX."""
    seen: set[int] = set()
    todo: list = [inspect.unwrap(getattr(function, "func", function))]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        module = one.__name__ if isinstance(one, types.ModuleType) else getattr(one, "__module__", None) or ""
        if str(module).split(".")[0] in ("jax", "jaxlib") or type(one).__module__.startswith(("jax", "jaxlib")):
            return True
        if isinstance(one, dict | list | tuple):
            todo += one.values() if isinstance(one, dict) else one
        elif isinstance(one, types.FunctionType) and str(module).split(".")[0] not in ("numpy", "scipy", "twolayer"):
            todo += [one.__globals__[name] for name in global_names(one.__code__) if name in one.__globals__]
            todo += [cell.cell_contents for cell in one.__closure__ or () if filled(cell)]
    return False


def filled(cell: types.CellType) -> bool:
    """Whether a variable of an enclosing function has a value."""
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


class Loaded:
    """A file of people's code and its functions as programs; JAX is loaded only for a file that imports it."""

    def __init__(self, path: str):
        self.file = File(path)
        self._jax: dict[str, Any] | None = None

    def defines(self, name: str) -> bool:
        """Whether the top level defines a name."""
        return name in self.file.names()

    def plain(self, name: str) -> Any:
        """The value of a name as the file stands, with the real modules."""
        return self.file.get(name, exact=False)

    def program(self, name: str) -> Program:
        """A function of the file; JAX code that JAX cannot trace, since it mixes in NumPy, runs as NumPy does.

        Raises:
          Refused: the file does not define it, or cannot be loaded.
        """
        if not self.file.source.uses("jax"):
            return self.file.program(name)
        from twolayer.verification.programs.jax_code import JaxProgram

        function = self.file.get(name, exact=False)
        if not callable(function):
            raise Refused(f"{self.file.path.name}: {name} is no function")
        text = self.file.source.text
        linecache.cache[self.file.source.filename] = (len(text), None, text.splitlines(True), self.file.source.filename)
        return MixedProgram(JaxProgram(function, self.file.source.filename, text), self.file, name)


class MixedProgram:
    """A JAX program, or its NumPy twin from when JAX could not trace it."""

    def __init__(self, program: "JaxProgram", file: File, name: str):
        self._program: JaxProgram | NumpyProgram = program
        self._file, self._name, self.function = file, name, program.function
        self.filename, self.source = program.filename, program.source

    def with_source(self, text: str) -> "MixedProgram | NumpyProgram":
        """The same function of another text of the file."""
        if isinstance(self._program, NumpyProgram):
            return self._program.with_source(text)
        file = File(self._file.path, text)
        program = type(self._program)(file.get(self._name, exact=False), file.source.filename, text)
        return MixedProgram(program, file, self._name)

    def literals(self) -> tuple[float, ...]:
        return self._program.literals()

    def thresholds(self) -> tuple[str, ...]:
        return self._program.thresholds()

    def run(self, *arguments: Any, watch: bool = False) -> Run:
        from twolayer.verification.programs.jax_code import NotTraceable

        try:
            return self._program.run(*arguments, watch=watch)
        except NotTraceable:
            self._program = self._file.program(self._name)
            return self._program.run(*arguments, watch=watch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

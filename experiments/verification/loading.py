"""The derivation under test: the user's file, run as a module, or the package's own closed form."""

import contextlib
import dataclasses
import importlib.machinery
import importlib.util
import inspect
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType

from experiments.runtime.cli import BadInput
from experiments.verification import lines

MODULE = "derivation_under_test"  # no library has this name, so none is replaced


@dataclasses.dataclass(frozen=True)
class File:
    """A user's file that Python can read: its absolute path, its text, and its code, which has not run."""

    path: pathlib.Path
    source: str
    code: CodeType


@dataclasses.dataclass(frozen=True)
class Derivation:
    """What is judged: gradients(params, x, y), and loss(params, x, y) if there is one. `notes` go on the screen."""

    name: str
    gradients: Callable
    loss: Callable | None
    source: str
    notes: tuple[str, ...] = ()


def read(name: str) -> File:
    """Read and compile a derivation file without running it; raises BadInput if it cannot be."""
    if not name or os.path.isdir(name):
        raise BadInput(f"--derivation={name} is a directory; name the file in it")
    if os.path.exists(name) and not os.path.isfile(name):
        raise BadInput(f"--derivation={name} is not a regular file")
    path = pathlib.Path(os.path.realpath(name))
    try:
        content = path.read_bytes()
        code = importlib.machinery.SourceFileLoader(MODULE, str(path)).source_to_code(content, str(path))
        return File(path, importlib.util.decode_source(content), code)
    except FileNotFoundError as error:
        raise BadInput(f"--derivation={name}: no such file") from error
    except OSError as error:
        raise BadInput(f"--derivation={name}: {error.strerror or error}") from error
    except SyntaxError as error:
        raise BadInput(f"not Python: {lines.blame(error, path)}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, an unknown encoding, nesting too deep
        raise BadInput(f"not Python: {path.name}: {error}") from error


@contextlib.contextmanager
def loaded(file: File) -> Iterator[Derivation]:
    """Run the file, its folder first on sys.path as if it were a script, and hand out what it defines.

    Raises:
      BadInput: it fails, or stops the program, or has no gradients(params, x, y).
    """
    loader = importlib.machinery.SourceFileLoader(MODULE, str(file.path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(MODULE, loader))
    path = list(sys.path)
    sys.path.insert(0, str(file.path.parent))
    sys.modules[MODULE] = module  # a dataclass in the file looks itself up there
    try:
        _execute(file, module)
        yield _derivation(file, module)
    finally:
        sys.path[:] = path
        sys.modules.pop(MODULE, None)


def closed_form(loss: str, output: str, reduction: str, activation: str = "relu") -> Derivation:
    """The package's own derivation, in the form of a user's: targets are one-hot, the gradients are a dict."""
    from twolayer import gradients
    from twolayer.losses import OF_LABELS
    from twolayer.network import Params

    engine = gradients.closed_form(loss, output, reduction, hidden_activation=activation)

    def closed_form_gradients(params, x, y):
        target = y.argmax(axis=1) if loss in OF_LABELS else y
        _, grads = engine(Params(params.W1, params.b1, params.W2, params.b2), x, target)
        return {f"d{name}": grad for name, grad in grads._asdict().items()}

    return Derivation(
        "twolayer.gradients.closed_form", closed_form_gradients, None, inspect.getsource(gradients.closed_form)
    )


def _execute(file: File, module: ModuleType) -> None:
    # Not loader.exec_module: that leaves a __pycache__ beside the user's file.
    try:
        exec(file.code, module.__dict__)
    except SystemExit as error:
        raise BadInput(f"the file ends the program while it loads: {lines.blame(error, file.path)}") from error
    except BaseException as error:
        raise BadInput(lines.blame(error, file.path)) from error


def _derivation(file: File, module: ModuleType) -> Derivation:
    name, gradients, loss = file.path.name, *(vars(module).get(field) for field in ("gradients", "loss"))
    if gradients is None:
        raise BadInput(f"{name} defines no gradients(params, x, y); python -m experiments.verify --help shows a file")
    if not callable(gradients):
        raise BadInput(f"gradients in {name} is not a function but of type {type(gradients).__name__}")
    if not _takes_three(gradients):
        raise BadInput(f"gradients in {name} takes {inspect.signature(gradients)}, it must take (params, x, y)")
    notes = ()
    if loss is not None and not (callable(loss) and _takes_three(loss)):
        # A helper or a number of that name is no mistake: the statement of the loss is optional.
        notes = (f"`loss` in {name} was not checked: a statement of the loss is a function of (params, x, y).",)
        loss = None
    return Derivation(name, gradients, loss, file.source, notes)


def _takes_three(function: Callable) -> bool:
    try:
        inspect.signature(function).bind("params", "x", "y")
    except TypeError:
        return False
    except ValueError:  # a function that does not tell
        return True
    return True

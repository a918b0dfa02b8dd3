"""The derivation under test: the user's file, or the package's own closed form."""

import ast
import dataclasses
import inspect
import os
import pathlib
from collections.abc import Callable

from experiments.runtime.cli import BadInput
from experiments.verification import lines
from twolayer.verifier.programs import source


@dataclasses.dataclass(frozen=True)
class File:
    """A user's file that Python can read: its absolute path and its text, which has not run."""

    path: pathlib.Path
    source: str


@dataclasses.dataclass(frozen=True)
class Derivation:
    """What is judged: the path of a file, or a function gradients(params, x, y); its name and text."""

    name: str
    gradients: str | Callable
    source: str


def read(name: str) -> File:
    """Read and compile a derivation file without running it; raises BadInput if it cannot be."""
    if not name or os.path.isdir(name):
        raise BadInput(f"--derivation={name} is a directory; name the file in it")
    if os.path.exists(name) and not os.path.isfile(name):
        raise BadInput(f"--derivation={name} is not a regular file")
    path = pathlib.Path(os.path.realpath(name))
    try:
        text = source.read(path)
        ast.parse(text, str(path))
        return File(path, text)
    except FileNotFoundError as error:
        raise BadInput(f"--derivation={name}: no such file") from error
    except OSError as error:
        raise BadInput(f"--derivation={name}: {error.strerror or error}") from error
    except SyntaxError as error:
        raise BadInput(f"not Python: {lines.blame(error, path)}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, an unknown encoding, nesting too deep
        raise BadInput(f"not Python: {path.name}: {error}") from error


def derivation(file: File) -> Derivation:
    """What a file defines.

    Raises:
      BadInput: it has no gradients(params, x, y).
    """
    names = source.Source(str(file.path), file.source).names()
    if "gradients" not in names and "*" not in names:
        raise BadInput(
            f"{file.path.name} defines no gradients(params, x, y); python -m experiments.verify --help shows a file"
        )
    return Derivation(file.path.name, str(file.path), file.source)


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

    return Derivation("twolayer.gradients.closed_form", closed_form_gradients, inspect.getsource(gradients.closed_form))

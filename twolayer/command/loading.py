"""The derivation under test: the user's file, or the package's own closed form."""

import ast
import dataclasses
import inspect
import linecache
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from twolayer.command import lines
from twolayer.command.cli import BadInput

if TYPE_CHECKING:
    from twolayer.verification.programs import Program


@dataclasses.dataclass(frozen=True)
class File:
    """A user's file that Python can read: its absolute path and its text, which has not run."""

    path: pathlib.Path
    source: str


@dataclasses.dataclass(frozen=True)
class Derivation:
    """What is judged: the path of a file, or a program gradients(params, x, y); its name and text.

    place: a line of the text as people count it: "line 12", in a notebook "cell 3, line 4".
    """

    name: str
    gradients: "str | Program"
    source: str
    place: Callable[[int], str] = "line {}".format


def read(name: str) -> File:
    """Read and compile a derivation file without running it; raises BadInput if it cannot be."""
    if not name or os.path.isdir(name):
        raise BadInput(f"--derivation={name} is a directory; name the file in it")
    path = pathlib.Path(os.path.realpath(name))
    try:
        os.stat(name)
        if not os.path.isfile(name):
            raise BadInput(f"--derivation={name} is not a regular file")
        open(path, "rb").close()
    except FileNotFoundError as error:
        raise BadInput(f"--derivation={name}: no such file") from error
    except OSError as error:
        raise BadInput(f"--derivation={name}: {error.strerror or error}") from error
    from twolayer.verification.programs import Refused, source

    try:
        text = source.read(path)
        linecache.cache[str(path)] = (len(text), None, text.splitlines(True), str(path))  # a notebook's code
        ast.parse(text, str(path))
        return File(path, text)
    except Refused as error:
        raise BadInput(str(error).replace(str(path), path.name)) from error
    except SyntaxError as error:
        raise BadInput(f"not Python: {lines.blame(error, path)}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, an unknown encoding, nesting too deep
        raise BadInput(f"not Python: {path.name}: {error}") from error


def derivation(file: File) -> Derivation:
    """What a file defines.

    Raises:
      BadInput: it has no gradients(params, x, y).
    """
    from twolayer.verification.programs import source

    text = source.Source(str(file.path), file.source)
    names = text.names()
    if "gradients" not in names and "*" not in names:
        raise BadInput(
            f"{file.path.name} defines no gradients(params, x, y); python -m experiments.verify --help shows a file"
        )
    return Derivation(file.path.name, str(file.path), file.source, text.line)


def closed_form(loss: str, output: str, reduction: str, activation: str = "relu") -> Derivation:
    """The package's own derivation, in the form of a user's: targets are one-hot, the gradients are a dict."""
    from twolayer import gradients
    from twolayer.losses import OF_LABELS
    from twolayer.network import Params
    from twolayer.verification.programs.jax_code import JaxProgram

    engine = gradients.closed_form(loss, output, reduction, hidden_activation=activation)

    def closed_form_gradients(params, x, y):
        target = y.argmax(axis=1) if loss in OF_LABELS else y
        _, grads = engine(Params(params.W1, params.b1, params.W2, params.b2), x, target)
        return {f"d{name}": grad for name, grad in grads._asdict().items()}

    program = JaxProgram(closed_form_gradients)
    return Derivation("twolayer.gradients.closed_form", program, inspect.getsource(gradients.closed_form))

"""The derivative of any function: a file with SHAPES, or --rule=FILE.py:NAME."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twolayer.command import cli, loading

if TYPE_CHECKING:
    from twolayer.verification.programs.load import Loaded
    from twolayer.verification.verdict import Judgement


def has_shapes(name: str | None) -> bool:
    """Whether a file says the shapes of its arguments: then it is a derivative of any function."""
    return name is not None and os.path.isfile(name) and "SHAPES" in Path(name).read_text(errors="replace")


def of_file(file: loading.File, **how: bool) -> "Judgement":
    """The verdict on a file with SHAPES, loss and gradients; DOMAINS and EXPECTS if it likes.

    Args:
      how: strict and allow_guards, as of `verify_gradient`.

    Raises:
      BadInput: one of them is missing.
    """
    from twolayer.verification import verify_gradient
    from twolayer.verification.programs.load import Loaded

    loaded = Loaded(str(file.path))
    for needed in ("loss", "gradients"):
        if not loaded.defines(needed):
            raise cli.BadInput(f"{file.path.name} has SHAPES and defines no {needed}")
    shapes = loaded.plain("SHAPES")
    return verify_gradient(loaded.program("loss"), loaded.program("gradients"), shapes, **how, **_of_arguments(loaded))


def of_rule(rule: str, reference: str | None, shapes: str | None, **how: bool) -> "Judgement":
    """The verdict on a custom rule FILE.py:NAME against its plain program, or against a reference FILE.py:NAME.

    Args:
      how: as of `of_file`.

    Raises:
      BadInput: a file or a name is not there, or nothing says the shapes.
    """
    from twolayer.verification import verify_rule

    loaded, function = _function("rule", rule)
    plain = _function("reference", reference)[1] if reference else None
    if not shapes and not loaded.defines("SHAPES"):
        raise cli.BadInput("--rule needs the shapes of the arguments: --shapes='q: m d, k: n d', or SHAPES in the file")
    wanted = _shapes(shapes) if shapes else loaded.plain("SHAPES")
    return verify_rule(function, wanted, reference=plain, **how, **_of_arguments(loaded))


def _of_arguments(loaded: "Loaded") -> dict[str, Any]:
    """What a file says of the arguments beside their shapes."""
    return {key.lower(): loaded.plain(key) for key in ("DOMAINS", "EXPECTS") if loaded.defines(key)}


def _function(flag: str, name: str) -> "tuple[Loaded, Any]":
    from twolayer.verification.programs.load import Loaded

    path, _, function = name.rpartition(":")
    if not path or not function.isidentifier():
        raise cli.BadInput(f"--{flag}={name} must be FILE.py:NAME")
    file = loading.read(path)
    loaded = Loaded(str(file.path))
    if not loaded.defines(function):
        raise cli.BadInput(f"--{flag}={name}: {Path(path).name} defines no {function}")
    return loaded, loaded.plain(function)


def _shapes(text: str) -> dict[str, str]:
    """The mapping that "q: m d, k: n d" says."""
    found = {}
    for part in text.split(","):
        name, colon, axes = part.partition(":")
        if not colon or not name.strip().isidentifier():
            raise cli.BadInput(f"--shapes: {part.strip()!r} is not `name: sizes`, as in 'q: m d, k: n d'")
        found[name.strip()] = axes.strip()
    return found

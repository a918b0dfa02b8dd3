"""`python -m experiments.verify` for any function: a file with SHAPES, or --rule=FILE.py:NAME."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.runtime import cli, files, provenance
from experiments.verification import loading, outputs
from experiments.verification.time_limit import time_limit
from twolayer.verification.programs.load import Loaded

if TYPE_CHECKING:
    from experiments.verification.command import Options
    from twolayer.verification.verdict import Judgement


def run(options: "Options") -> int:
    """Judge the derivative, show and write the verdict, return the exit status.

    Raises:
      BadInput: the file, its SHAPES or a name cannot be used, in one line.
    """
    from experiments.verification.command import BAD_INPUT, STATUS

    name = options.rule.rpartition(":")[0] if options.rule else options.derivation
    file = loading.read(name)
    json = outputs.check("json", options.json, [file.path])
    with contextlib.redirect_stdout(sys.stderr), time_limit(options.time_limit, file.path, BAD_INPUT, ""):
        with cli.bad_input(ValueError):
            verdict = _rule(options) if options.rule else _derivation(file, options)
    if json:
        with cli.bad_input(OSError):
            files.write_json(json, verdict.json() | {"provenance": provenance.provenance()})
    print(verdict.text.split("\n")[0] if options.quiet else verdict.text)
    return STATUS[verdict.verdict]


def _derivation(file: loading.File, options: "Options") -> "Judgement":
    """A file with SHAPES, loss and gradients; DOMAINS and EXPECTS if it likes."""
    from twolayer.verification import verify_gradient

    loaded = Loaded(str(file.path))
    for needed in ("loss", "gradients"):
        if not loaded.defines(needed):
            raise cli.BadInput(f"{file.path.name} has SHAPES and defines no {needed}")
    more = {key.lower(): loaded.plain(key) for key in ("DOMAINS", "EXPECTS") if loaded.defines(key)}
    shapes = loaded.plain("SHAPES")
    return verify_gradient(loaded.program("loss"), loaded.program("gradients"), shapes, strict=options.strict, **more)


def _rule(options: "Options") -> "Judgement":
    """--rule=FILE.py:NAME, its --reference and its --shapes, or the SHAPES of the file."""
    from twolayer.verification import verify_rule

    loaded, function = _function("rule", options.rule)
    reference = _function("reference", options.reference)[1] if options.reference else None
    if options.shapes:
        shapes: Any = _shapes(options.shapes)
    elif loaded.defines("SHAPES"):
        shapes = loaded.plain("SHAPES")
    else:
        raise cli.BadInput("--rule needs the shapes of the arguments: --shapes='q: m d, k: n d', or SHAPES in the file")
    more = {key.lower(): loaded.plain(key) for key in ("DOMAINS", "EXPECTS") if loaded.defines(key)}
    return verify_rule(function, shapes, reference=reference, strict=options.strict, **more)


def _function(flag: str, name: str) -> tuple[Loaded, Any]:
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

"""What the command does, as a function of its options; importing this imports no JAX."""

import contextlib
import dataclasses
import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from twolayer.atomic import atomic
from twolayer.command import any_function, cli, files, lines, loading, provenance
from twolayer.command.loading import Derivation
from twolayer.command.time_limit import time_limit
from twolayer.names import is_own_data

if TYPE_CHECKING:  # these load JAX, and a missing file is told without it
    from twolayer.command.batches import Batch
    from twolayer.verification.verdict import Verdict

RIGHT, WRONG, OPEN, BAD_INPUT, FAULT, INTERRUPTED = 0, 1, 2, 3, 70, 130
STATUS = {"right": RIGHT, "wrong": WRONG, "undecided": OPEN, "not_derived": OPEN}


ERASE = "\r\x1b[K"


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags of the script, by name."""

    derivation: str | None = None
    loss: str | None = None
    output: str = "relu"
    reduction: str = "mean"
    activation: str = "relu"
    biases: str = "yes"
    allow_guards: bool = False
    rule: str | None = None
    reference: str | None = None
    shapes: str | None = None
    strict: bool = False
    json: str | None = None
    report: str | None = None
    time_limit: float = 60.0
    relu_at_zero: str = "any"
    precisions: tuple[str, ...] = ("float64", "float32", "bfloat16")
    quiet: bool = False
    batch: str | None = None
    dataset: str | None = None
    target: str | None = None
    standardize: bool = False
    source_dir: str | None = None
    data_dir: str | None = None
    params: str | None = None
    batch_size: int | None = None
    hidden: int | None = None


def run(options: Options) -> int:
    """Judge one derivation, show and write the verdict, return the exit status.

    Raises:
      BadInput: the file, a path or the batch cannot be used, in one line.
    """
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except cli.BadInput:
        raise
    except Exception:  # Python's own status for a crash is 1, which says "wrong" here
        traceback.print_exc()
        print("error: a fault of this program, not of the derivation; please report the lines above", file=sys.stderr)
        return FAULT


def _run(options: Options) -> int:
    _check_combination(options)
    if options.rule or any_function.has_shapes(options.derivation):
        return _any_function(options)
    file = loading.read(options.derivation) if options.derivation is not None else None
    inputs = [Path(name) for name in (options.derivation, options.batch, options.params) if name]
    json = _output("json", options.json, inputs)
    report = _output("report", options.report, inputs + ([json] if json else []))
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")  # sharding can be judged on two devices and not on one
    from twolayer.verification.judge import verify

    batch = _batch(options)
    verdict, derivation = _judge(verify, file, options, batch)
    _write(verdict, derivation, options, json, report)
    _show(verdict, derivation, options)
    return STATUS[verdict.verdict]


def _any_function(options: Options) -> int:
    """Judge a derivative that is not of the network."""
    file = loading.read(options.rule.rpartition(":")[0] if options.rule else str(options.derivation))
    json = _output("json", options.json, [file.path])
    how = {"strict": options.strict, "allow_guards": options.allow_guards}
    with contextlib.redirect_stdout(sys.stderr), time_limit(options.time_limit, file.path, BAD_INPUT):
        with cli.bad_input(ValueError):
            if options.rule:
                verdict = any_function.of_rule(options.rule, options.reference, options.shapes, **how)
            else:
                verdict = any_function.of_file(file, **how)
    if json:
        _write_json(json, verdict.json())
    print(verdict.text.split("\n")[0] if options.quiet else verdict.text)
    return STATUS[verdict.verdict]


def _judge(
    verify: Callable, file: loading.File | None, options: Options, batch: "Batch | None"
) -> "tuple[Verdict, Derivation]":
    """Run the derivation and the verification under the time limit; what the user's code prints goes to stderr."""
    path = file.path if file else None
    with Progress(sys.stderr, options.quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        erase = ERASE if progress.shown else ""
        with time_limit(options.time_limit, path, BAD_INPUT, erase):
            derivation = loading.derivation(file) if file else _closed_form(options)
            try:
                with cli.bad_input(ValueError):
                    verdict = verify(
                        derivation.gradients,
                        loss=options.loss,
                        output=options.output,
                        reduction=options.reduction,
                        activation=options.activation,
                        biases=options.biases == "yes",
                        allow_guards=options.allow_guards,
                        batch=batch,
                        relu_at_zero=options.relu_at_zero,
                        precisions=options.precisions,
                        progress=progress if progress.shown else None,
                    )
            except SystemExit as error:
                raise cli.BadInput(f"the derivation ends the program: {lines.blame(error, path)}") from error
    return verdict, derivation


def _closed_form(options: Options) -> Derivation:
    return loading.closed_form(options.loss or "cross_entropy", options.output, options.reduction, options.activation)


def _batch(options: Options) -> "Batch | None":
    if not options.batch and not options.dataset:
        return None
    from twolayer.command import batches

    if options.dataset is None:
        return batches.from_file(str(options.batch), options.loss or "cross_entropy")
    return batches.from_dataset(
        options.dataset,
        options.loss or "cross_entropy",
        target=options.target,
        standardize=options.standardize,
        params=options.params,
        batch_size=options.batch_size or 32,
        hidden=options.hidden or 128,
        source_dir=options.source_dir,
        data_dir=options.data_dir,
    )


def _check_combination(options: Options) -> None:
    if options.batch and options.dataset:
        raise cli.BadInput("--batch and --dataset both give the batch; choose one")
    for flag in ("hidden", "batch_size"):
        if getattr(options, flag) is not None and not options.dataset:
            raise cli.BadInput(f"--{flag} goes with --dataset; a derivation is judged at sizes of its own choice")
    for flag in ("target", "standardize"):
        if getattr(options, flag) and not (options.dataset and is_own_data(options.dataset)):
            raise cli.BadInput(f"--{flag} goes with --dataset=FILE, one's own data")
    for flag in ("reference", "shapes"):
        if getattr(options, flag) and not options.rule:
            raise cli.BadInput(f"--{flag} goes with --rule=FILE.py:NAME")
    if options.params and not options.dataset:
        raise cli.BadInput("--params goes with --dataset; a file for --batch holds its own parameters")


def _write(
    verdict: "Verdict", derivation: Derivation, options: Options, json: Path | None, report: Path | None
) -> None:
    question = {name: getattr(options, name) for name in ("loss", "output", "reduction", "activation")}
    question["loss"] = question["loss"] or ("own" if verdict.standard else "cross_entropy")
    if json:
        checked = {"derivation": derivation.name, **question, "relu_at_zero": options.relu_at_zero}
        _write_json(json, verdict.to_json() | {"checked": checked})
    if report:
        from twolayer.command.report import Source, markdown

        versions = provenance.versions()
        source = Source(derivation.name, derivation.source, **question, versions=versions, place=derivation.place)
        with cli.bad_input(OSError), atomic(report, "wb") as file:
            file.write(markdown(verdict, source).encode())


def _output(flag: str, name: str | None, taken: list[Path]) -> Path | None:
    """Where an output goes, if it is asked for; no folder is made for it."""
    return None if name is None else files.writable(name, flag, taken=taken, make_folder=False)


def _write_json(path: Path, verdict: dict) -> None:
    """Write a verdict, and where it comes from."""
    with cli.bad_input(OSError):
        files.write_json(path, verdict | {"provenance": provenance.provenance()})


def _show(verdict: "Verdict", derivation: Derivation, options: Options) -> None:
    from twolayer.command import screen

    hidden = f", hidden {options.activation}" if options.activation != "relu" else ""
    name = f"{derivation.name}: {options.loss or 'cross_entropy'}, output {options.output}{hidden}, {options.reduction}"
    if verdict.standard:
        name = f"{derivation.name}: its own loss" + (f", {verdict.standard}" if verdict.verdict != "right" else "")
    colour = screen.wants_colour(sys.stdout)
    text = screen.render(verdict, name, source=derivation.source, place=derivation.place, colour=colour)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a cause may quote letters that the terminal lacks
    try:
        print(text.split("\n\n")[0] if options.quiet else text, flush=True)
    except BrokenPipeError:  # a reader such as `head` has seen enough; the status is still to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Progress:
    """One line on the terminal that says what is being done, and erases itself.

    Call it with a text to show; use it as a context, so that it is gone when something else is printed.
    """

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._stream = stream
        self.shown = not quiet and stream.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str) -> None:
        if self.shown:
            self._stream.write(f"{ERASE}{text[:78]}")
            self._stream.flush()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self("")

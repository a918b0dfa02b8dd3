"""A verdict as Markdown with LaTeX: what a homework, a paper's appendix or a pull request can quote."""

import dataclasses
from collections.abc import Iterable

from twolayer.command import equations, wording
from twolayer.verification.problem import STEPS
from twolayer.verification.verdict import Cause, StepVerdict, Verdict

NOT_SHOWN = StepVerdict("not_shown")


@dataclasses.dataclass(frozen=True)
class Source:
    """What was judged: its name and text, the loss it was declared to be the gradient of, the versions used."""

    name: str
    text: str
    loss: str
    output: str
    reduction: str
    activation: str = "relu"
    versions: dict[str, str | None] = dataclasses.field(default_factory=dict)
    place: wording.Place = wording.LINE


def markdown(verdict: Verdict, source: Source) -> str:
    """The report; equations are in the form that GitHub, Jupyter and Pandoc render."""
    word, sentence = wording.headline(verdict, source.place)
    parts = [
        f"# {_escaped(source.name)}: {word}",
        _escaped(sentence),
        *_question(verdict, source),
        *_steps(verdict, source),
        *_causes(verdict, source),
        *_counterexample(verdict),
        *_proved(verdict),
        *_rounding(verdict),
        *_rest(verdict),
        "## The derivation",
        _fenced(source.text),
        _versions(verdict, source),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _question(verdict: Verdict, source: Source) -> list[str]:
    loss = f"the {source.loss.replace('_', '-')} loss ({source.reduction} over the examples)"
    if verdict.standard:
        loss = f"the file's own loss, {_escaped(verdict.standard)},"
    equation = [] if verdict.standard else [f"$$\n{equations.loss(source.loss, source.reduction)}\n$$"]
    return [
        "## The question",
        f"Is this derivation the gradient of {loss} of a two-layer network with output {source.output}? "
        "Examples are rows: $x$ is $(m, d)$, with $d$ inputs, $K$ hidden units and $C$ outputs; $\\mathrm{d}A$ is "
        "$\\partial L / \\partial A$.",
        *(f"$$\n{equation}\n$$" for equation in equations.network(source.output, source.activation)),
        *equation,
    ]


def _steps(verdict: Verdict, source: Source) -> list[str]:
    right = equations.steps(source.loss, source.output, source.reduction, source.activation)
    rows = []
    for name in STEPS:
        step, leaf = verdict.steps.get(name, NOT_SHOWN), verdict.leaves.get(name)
        judged = [_verdict(step.verdict), _verdict(leaf.verdict) if leaf else ""]
        yours = f"`{step.variable}`, {source.place(step.line)}" if step.variable and step.line else ""
        rows.append(
            [name, f"${right[name]}$", equations.SHAPES[name], *judged, step.scale or "", step.where or "", yours]
        )
    header = ["step", "the right equation", "shape", "itself", "gradient", "carries", "seen as", "yours"]
    told = [f"- {name}: {_escaped(why)}" for name, why in wording.reasons(verdict)]
    return ["## The eight steps", _table(header, rows), "\n".join(told)]


def _causes(verdict: Verdict, source: Source) -> list[str]:
    found = wording.explanations(verdict)
    if not found:
        return []
    parts = ["## Cause" if len(verdict.causes) == 1 else "## Causes"]
    if len(found) > 1:
        parts.append(f"{len(found)} explanations fit equally well; each of them alone is enough.")
    for i, explanation in enumerate(found, 1):
        if len(found) > 1:
            parts.append(f"### Explanation {i}")
        if len(explanation) > 1:
            parts.append(f"{len(explanation)} errors at once:")
        numbers = [f"{j}. " if len(explanation) > 1 else "" for j in range(1, len(explanation) + 1)]
        parts += [_cause(cause, source, number) for cause, number in zip(explanation, numbers, strict=True)]
    return parts


def _cause(cause: Cause, source: Source, label: str) -> str:
    yours = source.text.splitlines()[cause.line - 1].strip() if cause.line else None
    after = f", or after {source.place(cause.since)}, which is right" if cause.since else ""
    code = [f"{yours}    # {source.place(cause.line)}, as it is{after}"] if yours else []
    code += [f"{cause.correction}    # as it should be"] if cause.correction else []
    said = f"{label}**At {cause.leaf}:** {_escaped(cause.text)} (`{cause.id}`)"
    return f"{said}\n\n{_fenced(chr(10).join(code))}" if code else said


def _counterexample(verdict: Verdict) -> list[str]:
    example = verdict.counterexample
    if example is None:
        return []
    entry, yours, right = wording.disagreement(example)
    sizes = ", ".join(f"{name} = {size}" for name, size in example.sizes.items())
    return [
        "## The smallest counterexample",
        f"To be checked by hand, with {sizes}; entries are counted from 0.",
        *(f"$$\n{equations.matrix(name, values)}\n$$" for name, values in example.inputs.items()),
        "The forward pass gives",
        *(f"$$\n{equations.matrix(name, values)}\n$$" for name, values in example.forward.items()),
        _table(["entry", "yours", "right"], [[entry, yours, right]]),
    ]


def _proved(verdict: Verdict) -> list[str]:
    part = verdict.formula
    if part is None:
        return []
    return [
        f"## Formula: {_verdict(part.verdict)}",
        "The code is run as it stands on real numbers, each an interval of hundreds of bits that certainly holds it, "
        "at random points of many scales, activation patterns and sizes, beside the right gradient. A difference is "
        "proved: its interval excludes 0. Equality is agreement to 2^-200, 60 digits, at every point: there both are "
        "analytic, and two different functions agree on a set of measure zero only.",
        "\n".join(f"- {_escaped(line)}" for line in (*wording.formula(part), *part.guards)),
    ]


def _rounding(verdict: Verdict) -> list[str]:
    if not verdict.program:
        return []
    rows = [
        [part.precision, step.step, f"{step.eta:.3g}", f"{step.error_over_bound:.3g}", f"{step.bound_over_entry:.3g}"]
        for part in verdict.program
        for step in part.steps
    ]
    header = ["precision", "step", "eta", "error / bound", "bound / entry"]
    said = [
        f"- {part.precision}: {_verdict(part.verdict)}; {_escaped(wording.program(part))}" for part in verdict.program
    ]
    return [
        "## Program: rounding",
        "Each step is compared with its exact value given the program's own arrays before it, entry by entry, against "
        "the bound that follows from the operation. $\\eta$ is the largest error in units of $u\\,|A|\\,|B|$, with $u$ "
        "the unit roundoff.",
        "\n".join(said),
        _table(header, rows) if rows else "",
    ]


def _rest(verdict: Verdict) -> list[str]:
    said = [f"- {name}: {found}" for name, found in wording.conventions(verdict)]
    said += [f"- {_escaped(verdict.loss)}"] if verdict.loss else []
    said += [f"- {_escaped(note)}" for note in verdict.notes]
    return ["## Conventions and notes", "\n".join(said)] if said else []


def _versions(verdict: Verdict, source: Source) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in source.versions.items() if version)
    return f"{verdict.seconds:.1f} s" + (f"; {versions}" if versions else "") + "."


def _verdict(word: str) -> str:
    plain = word.replace("_", " ")
    return f"**{plain}**" if word in ("wrong", "not_derived") else plain


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lined = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in lined)


def _escaped(text: str) -> str:
    """Text of the verdict, in which `*` and `_` are code and not emphasis."""
    return "".join(f"\\{letter}" if letter in "\\`*_<>[]$#|" else letter for letter in text)


def _fenced(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}python\n{code.rstrip()}\n{fence}"

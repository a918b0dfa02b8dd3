"""A derivation without its guards: whether they are all that makes it differ, and by how much they do."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twolayer.verification.evidence.cases import Case, Subject, gather, usable, verdict_of
from twolayer.verification.explain.guards import Guard, without_guards
from twolayer.verification.numbers.balls import Undecided, floats
from twolayer.verification.problem import LEAVES
from twolayer.verification.programs import NotJudged, Refused


class Guarded(NamedTuple):
    """A derivation that is right but for its guards: what it is without them, and a sentence for each."""

    subject: Subject
    cases: Sequence[Case]
    said: tuple[str, ...]


def without(subject: Subject, cases: Sequence[Case]) -> Guarded | None:
    """The derivation without its guards, if it is right then; None if it has none, or something else is wrong."""
    try:
        source, guards = without_guards(subject.program.source or "")
    except SyntaxError:
        return None
    if not guards or not hasattr(subject.program, "with_source"):
        return None
    try:
        bare = subject._replace(program=subject.program.with_source(source))
        found = gather(bare)
    except (Refused, NotJudged, Undecided):
        return None
    known = usable(found)
    if not known or any(verdict_of(leaf, known) != "right" for leaf in LEAVES if leaf in known[0].mine):
        return None
    return Guarded(bare, found, _said(guards, cases))


def _said(guards: Sequence[Guard], cases: Sequence[Case]) -> tuple[str, ...]:
    """Each guard with its line, and the largest relative change of a gradient on ordinary inputs."""
    change = 0.0
    for case in usable(cases):
        if case.point.kind == "ordinary":
            for leaf in LEAVES:
                if leaf in case.mine:
                    mine, right = floats(case.mine[leaf]), floats(case.right[leaf])
                    change = max(change, float(np.abs(mine - right).max() / max(np.abs(right).max(), 1e-300)))
    unique = dict.fromkeys((guard.text, guard.line) for guard in guards)
    listed = " and ".join(f"{text} at line {line}" for text, line in unique)
    word = "guard" if len(unique) == 1 else "guards"
    return (
        f"differs from the declared loss by the {word} {listed}, by at most {change:.1g} relative on ordinary inputs",
    )

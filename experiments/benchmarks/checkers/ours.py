"""twolayer.verification.verify with its defaults. It takes no point: it draws the numbers it needs."""

from experiments.benchmarks.checkers import ACCEPTED, REJECTED, UNDECIDED, Answer
from twolayer.verification import verify


def check(derivation, point: None = None) -> Answer:
    """Its verdict, the first wrong step and the causes."""
    found = verify(
        derivation.function(), loss=derivation.loss, output=derivation.output, reduction=derivation.reduction
    )
    verdict = {"right": ACCEPTED, "wrong": REJECTED}.get(found.verdict, UNDECIDED)
    causes = tuple((cause.explanation, cause.id) for cause in found.causes)
    return Answer(verdict, found.first_wrong_step, causes)

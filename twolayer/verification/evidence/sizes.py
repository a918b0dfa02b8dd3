"""Other sizes: code may treat one input, hidden unit, output or example by itself, and large arrays in blocks.

With one output, Z2.squeeze() - y is (m,) minus (m, 1), which is (m, m) and raises nothing.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from twolayer.verification.evidence import points as where
from twolayer.verification.evidence.cases import Subject, finite
from twolayer.verification.numbers.agreement import DIFFERENT, UNKNOWN, compare
from twolayer.verification.numbers.balls import Undecided
from twolayer.verification.problem import Sizes, targets
from twolayer.verification.programs import NotJudged, Refused


class AtSizes(NamedTuple):
    """What was found at other sizes.

    at: "C = 1", the first such sizes with an error; wrong: the leaves that are wrong there.
    undecided: leaf -> why it could not be judged. notes: where the code does not run.
    """

    at: str
    wrong: frozenset[str]
    undecided: dict[str, str]
    notes: tuple[str, ...]


def at_other_sizes(subject: Subject, leaves: Collection[str], seed: int = 0) -> AtSizes:
    """Judge these leaves, which are right elsewhere, where one of the sizes is large, and where one is one."""
    undecided: dict[str, str] = {}
    notes: list[str] = []
    for at, sizes in _sizes(subject):
        point = where.points(subject.setting, sizes, "ordinary", 1, seed)[0]
        try:
            mine = subject.at(point).mine
        except (Undecided, NotJudged) as error:
            undecided |= {leaf: f"at {at} it cannot be followed: {error}" for leaf in leaves}
            continue
        except Refused as error:
            notes.append(f"not judged at {at}, where it does not run: {error}")
            continue
        compared = {leaf: compare(mine[leaf], point.right[leaf]) for leaf in leaves if leaf in mine}
        wrong = {leaf for leaf, one in compared.items() if (one == DIFFERENT).any() or not finite(mine[leaf])}
        if wrong:
            return AtSizes(at, frozenset(wrong), {}, ())
        undecided |= {
            leaf: f"at {at} it is not known well enough" for leaf, one in compared.items() if (one == UNKNOWN).any()
        }
    return AtSizes("", frozenset(), undecided, tuple(notes))


def _sizes(subject: Subject) -> Iterator[tuple[str, Sizes]]:
    for sizes in where.LARGE:
        yield ", ".join(f"{letter} = {size}" for letter, size in sizes._asdict().items()), sizes
    for letter, sizes in where.OF_SIZE_ONE.items():
        if letter != "C" or targets(subject.setting) != "onehot":  # a softmax of one number
            yield f"{letter} = 1", sizes

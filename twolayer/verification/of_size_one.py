"""Shapes with one input, hidden unit, output or example: code may treat them by themselves, and broadcasting does.

With one output, Z2.squeeze() - y is (m,) minus (m, 1), which is (m, m) and raises nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

from twolayer.losses import OF_LABELS
from twolayer.verification.draws import Sizes
from twolayer.verification.evidence import at_sizes, opaque_reason
from twolayer.verification.reference import Setting
from twolayer.verification.tracing import NotTraceable, Refused, trace
from twolayer.verification.unexplained import differs

SIZES = {"d": Sizes(1, 4, 3, 5), "K": Sizes(4, 1, 3, 2), "C": Sizes(4, 5, 1, 3), "m": Sizes(3, 4, 5, 1)}
DRAWS = 2


class OfSizeOne(NamedTuple):
    """What was found where one of the sizes is one.

    at: "C = 1", the first such shape with an error; wrong: the leaves that are wrong there.
    undecided: leaf -> why it could not be judged.
    notes: where the code does not run.
    """

    at: str
    wrong: frozenset[str]
    undecided: dict[str, str]
    notes: tuple[str, ...]


def judge(gradients: Callable, setting: Setting, leaves: frozenset[str], seed: int = 0) -> OfSizeOne:
    """Judge these leaves, which are right at other sizes, exactly where one of the sizes is one."""
    undecided: dict[str, str] = {}
    notes: list[str] = []
    for letter, sizes in SIZES.items():
        if letter == "C" and setting.loss in OF_LABELS:
            continue  # a softmax of one number
        at = f"{letter} = 1"
        try:
            traced = trace(gradients, sizes)
        except NotTraceable as error:
            undecided |= {leaf: f"at {at} its code cannot be followed: {error}" for leaf in leaves}
            continue
        except Refused as error:
            notes.append(f"not judged at {at}, where it does not run: {error}")
            continue
        try:
            group = at_sizes(traced, setting, DRAWS, seed)
        except Refused:  # NaN comes out
            return OfSizeOne(at, leaves, {}, ())
        pairs = {leaf: group.pair(leaf) for leaf in sorted(leaves) if leaf in group.mine}
        wrong = frozenset(leaf for leaf, pair in pairs.items() if differs(*pair).any())
        if wrong:
            return OfSizeOne(at, wrong, {}, ())
        unknown = {leaf: opaque_reason(mine) for leaf, (mine, _) in pairs.items()}
        undecided |= {leaf: f"at {at} {why} has no algebraic meaning" for leaf, why in unknown.items() if why}
    return OfSizeOne("", frozenset(), undecided, tuple(notes))

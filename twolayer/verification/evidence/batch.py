"""A given batch, judged exactly: its floats are the numbers that they are."""

from collections.abc import Sequence

import numpy as np

from twolayer.verification.evidence.cases import Subject, finite
from twolayer.verification.evidence.points import INPUTS, point
from twolayer.verification.numbers.agreement import DIFFERENT, UNKNOWN, compare
from twolayer.verification.numbers.balls import Undecided
from twolayer.verification.problem import LEAVES, Sizes
from twolayer.verification.programs import NotJudged

MOST = 20_000_000  # products; a second takes about a million


def on_batch(subject: Subject, batch: tuple) -> tuple[list[str], dict[str, str], str]:
    """The wrong leaves, the leaves that stay undecided with the reason, and a sentence.

    Args:
      subject: the derivation.
      batch: (params, x (m, d), y (m, C)).
    """
    params, x, y = batch
    arrays = [np.asarray(array, np.float64) for array in (*params, x, y)]
    (K, d), C = arrays[0].shape, arrays[2].shape[0]
    kept = max(1, min(len(x), MOST // (6 * K * (d + C))))
    floats = dict(zip(INPUTS, [*arrays[:4], arrays[4][:kept], arrays[5][:kept]], strict=True))
    at = point("batch", Sizes(d, K, C, kept), floats, subject.setting)
    said = f"exact on the {kept} examples" + (f", the first of {len(x)}" if kept < len(x) else "")
    try:
        mine = subject.at(at).mine
    except (Undecided, NotJudged) as error:
        return [], {leaf: f"on the given batch: {error}" for leaf in LEAVES}, "the batch could not be followed"
    states = {leaf: compare(mine[leaf], at.right[leaf]) for leaf in LEAVES if leaf in mine}
    wrong = [leaf for leaf, state in states.items() if (state == DIFFERENT).any() or not finite(mine[leaf])]
    unknown = {leaf: "it is not known well enough on the given batch" for leaf in _open(states, wrong)}
    return wrong, unknown, said if not wrong else f"{', '.join(wrong)} differ"


def _open(states: dict[str, np.ndarray], wrong: Sequence[str]) -> list[str]:
    return [leaf for leaf, state in states.items() if leaf not in wrong and (state == UNKNOWN).any()]

"""The edits of a user's code that are tried: one expression, and a text in his own names that takes its place.

Stages, the fewer changes first: a constant, an index, a name, a transposition, a part of itself, another function of
its kind; then a factor or a derivative that is missing; then a term. What is put in comes from the expressions of the
same function, so that it can be said in the user's words.
"""

import ast
from collections.abc import Callable, Iterator, Sequence

from twolayer.verification.explain.repairs.additions import factors, pairs, removed, terms
from twolayer.verification.explain.repairs.exchanges import accumulated, exchanged, parts, scaled
from twolayer.verification.explain.repairs.numbers import constants
from twolayer.verification.explain.repairs.pool import Edit, Pool
from twolayer.verification.explain.repairs.sites import HANDED, RIGHT, VALUE, Site

FACTORS = 5  # the stage at which a factor is added; before it something is put in another place


def edits(sites: Sequence[Site], pool: Pool, acting: Callable[[int], bool]) -> Iterator[Edit]:
    """All edits of the expressions that ran, stage by stage; after the first stage only of those that act."""
    kinds = {i: own.kind for i in pool.runs[0] if i >= 0 and (own := pool.at(i)) is not None}
    ran = list(kinds)
    yield from (edit for i, site in enumerate(sites) for edit in _backwards(i, site))
    yield from _stage(accumulated, 1, sites, pool, [i for i in ran if sites[i].whole])
    yield from _stage(constants, 2, sites, pool, sorted(ran, key=lambda i: kinds[i] != "f"))
    ran = sorted(filter(acting, ran), key=pool.is_right)  # the lines that are wrong already first
    whole = [i for i in ran if sites[i].whole]
    rest = [i for i in ran if not sites[i].whole]
    first = [i for i in pool.suspects(whole) if i in ran]
    near, far = [[i for i in some if i in first] for some in (whole, rest)]
    others, rest_of_others = [[i for i in some if i not in first] for some in (whole, rest)]
    handed = [i for i in ran if hasattr(sites[i].statement, HANDED)]  # a statement is missing before them
    ran = [i for i in ran if i not in handed]
    stages = ((scaled, 2, ran), (exchanged, 3, ran), (parts, 4, ran), (scaled, 4, handed),
              (exchanged, 4, handed), (factors, FACTORS, near), (terms, 6, near),
              (factors, 7, far), (factors, FACTORS, others), (terms, 6, others), (factors, 7, rest_of_others),
              (pairs, 8, whole), (pairs, 9, rest), (terms, 10, rest), (removed, 10, rest))  # fmt: skip
    for stage, number, own in stages:
        yield from _stage(stage, number, sites, pool, own)
    for number, text in ((11, "__v__ + __c__ * {}"), (12, "__c__ * {}")):
        for i in whole:
            yield from (edit._replace(stage=number) for edit in _from_reference(i, pool, text))


def _backwards(i: int, site: Site) -> Iterator[Edit]:
    """A loop the other way round."""
    if isinstance(site.parent, (ast.For, ast.comprehension)) and site.node is site.parent.iter:
        if isinstance(site.node, ast.Call) and getattr(site.node.func, "id", "") in ("range", "reversed"):
            yield Edit(i, "list(__v__)[::-1]", "other_factor", "the loop over `{old}` should run the other way")


def _from_reference(i: int, pool: Pool, text: str) -> Iterator[Edit]:
    """What the right reverse pass has: as a term that is missing, or in the place of what is there."""
    own = pool.at(i)
    if own is None or own.kind != "f" or len(pool.runs[0][i]) > 1:
        return
    for k, (line, array) in enumerate(pool.reference()):
        said = f"to `{{old}}` a path is missing, that through `{line}`"
        id = "path_missing" if VALUE in text else ""
        if array.shape == own.shape:
            yield Edit(i, text.format(f"{RIGHT}[{k}]"), id, said, solves=True)
        elif array.shape == own.shape[::-1]:
            yield Edit(i, text.format(f"{RIGHT}[{k}].T"), id, said, solves=True)


def _stage(stage: Callable, number: int, sites: Sequence[Site], pool: Pool, acting: Sequence[int]) -> Iterator[Edit]:
    for i in acting:
        yield from (edit._replace(stage=number) for edit in stage(i, sites[i], pool.at(i), pool))

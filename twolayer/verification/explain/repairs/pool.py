"""What an edit of a user's code may put in: the expressions that are at hand where it stands, and what they were."""

import ast
import contextlib
import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from twolayer.verification.explain.blame import Numbers
from twolayer.verification.explain.repairs.sites import Site, compiled, root

LONGEST = 48  # characters of an expression that is put in elsewhere
BARE = ("range", "len", "reversed", "float", "int", "list", "tuple", "enumerate", "print")


class Edit(NamedTuple):
    """An expression by its number, and the text in its place; `__v__` is its value, `__c__` a constant.

    id: of the cause. said: the cause in words, of {old} and {new}. solves: whether `__c__` is solved for, a factor on
    what is there or the size of a term; the outputs are linear in it.
    """

    site: int
    text: str
    id: str = ""
    said: str = "`{old}` should be `{new}`"
    stage: int = 1
    solves: bool = False


class Known(NamedTuple):
    """An expression that can be put in somewhere, and its value when it was last met."""

    text: str
    value: Any

    @property
    def is_plain(self) -> bool:
        """Whether it is a variable or an entry of one."""
        return isinstance(ast.parse(self.text, mode="eval").body, (ast.Name, ast.Subscript, ast.Attribute))

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    @property
    def kind(self) -> str:
        return np.asarray(self.value).dtype.kind

    @property
    def key(self) -> tuple:
        return self.shape, self.kind, np.asarray(self.value).tobytes()


class Pool:
    """What every expression was at each point, and what is at hand where it stands.

    Args:
      sites: all expressions.
      runs: what was seen, for each point: the values by site, and the variables at hand.
      numbers: what a constant may be.
      right: all numbers of the right computation at the first point.
      module: the name under which the code knows NumPy, or JAX's.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        runs: Sequence[Mapping[int, Any]],
        numbers: Sequence[float],
        right: Numbers,
        module: str,
    ):
        self.sites, self.runs, self.numbers, self.right, self.module = sites, runs, numbers, right, module
        self.reference: Callable[[], list[tuple[str, np.ndarray]]] = list
        self.expressions: dict[int, list[Known]] = {}
        for i, values in runs[0].items():
            if i >= 0 and len(sites[i].text) <= LONGEST and not is_number(sites[i].node) and _is_finite(values[-1]):
                self.expressions.setdefault(id(sites[i].function), []).append(Known(sites[i].text, values[-1]))
        self.whole = {i: self._around(i) for i in range(len(sites))}
        self._known: dict[int, list[Known]] = {}
        self._entries: dict[int, list[Known]] = {}

    def _around(self, site: int) -> int | None:
        """The whole expression of a statement, or of a part of its tuple, that a site stands in."""
        numbered = (getattr(node, "site", -1) for node in (self.sites[site].node, *reversed(self.sites[site].around)))
        return next((i for i in numbered if i >= 0 and self.sites[i].whole and -1 - i in self.runs[0]), None)

    def known(self, site: int) -> list[Known]:
        """The variables at hand where a site stands, and the expressions of its function that are none of them."""
        whole = self.whole[site]
        if whole is None:  # of the statement after it that sets something, or the last one
            others = [i for i, one in enumerate(self.sites) if one.function is self.sites[site].function
                      and -1 - i in self.runs[0]]  # fmt: skip
            whole = next((i for i in others if i > site), others[-1] if others else None)
        key = -1 - site if whole is None else whole
        if key not in self._known:
            at_hand = {} if whole is None else self.runs[0][-1 - whole]
            found = [Known(name, value) for name, value in at_hand.items() if name and value is not None]
            values = {one.key for one in found}
            rest = self.expressions.get(id(self.sites[site].function), [])
            for one in sorted(rest, key=lambda one: len(one.text)):
                if one.key not in values and (not one.text.isidentifier() or not at_hand):
                    values.add(one.key)
                    found.append(one)
            self._known[key] = found
        return self._known[key]

    def entries(self, site: int) -> list[Known]:
        """Parts of the arrays at hand by the indices that the function has elsewhere, as y[t] where x[t] stands."""
        if site not in self._entries:
            arrays = {one.text: one.value for one in self.known(site)}
            inside = [node for node in ast.walk(self.sites[site].function) if isinstance(node, ast.Subscript)]
            indices = dict.fromkeys(ast.unparse(n.slice) for n in inside if not isinstance(n.slice, ast.Constant))
            texts = [
                f"{name}[{i}]" for name in arrays for i in indices if name.isidentifier() and np.ndim(arrays[name])
            ]
            found = self._entries[site] = []
            for text in texts:
                with contextlib.suppress(Exception):  # an index of another array
                    found.append(Known(text, eval(compiled(text), {"np": np}, arrays)))
        return [one for one in self._entries[site] if np.size(one.value)]

    def wider(self, site: int, own: Known) -> list[str]:
        """Factors besides arrays of the shape of a value: of an axis less, of more entries, parts of arrays."""
        around = self.whole[site]
        whole = None if around is None else self.at(around)
        shape = own.shape if whole is None else whole.shape
        arrays = [one for one in self.known(site) if one.kind == "f" and one.is_plain and one.shape]
        found = [one.text for one in self.entries(site) if one.kind == "f" and one.shape in (own.shape, ())]
        found += [one.text for one in arrays if own.shape and one.shape == shape != own.shape]
        less = [one.text for one in arrays if len(one.shape) + 1 == len(own.shape)]
        found += [f"{text}{index}" for text in less for index in ("[..., None]", "[:, None]")]
        ndim = len(own.shape)
        columns = [(one, axis) for one in arrays if len(one.shape) == 1 for axis in range(ndim - 1)]
        return found + [
            f"{one.text}[:{', None' * (ndim - 1 - axis)}]" for one, axis in columns
            if ndim > 2 and own.shape[axis] == one.shape[0]
        ]  # fmt: skip

    def called(self, site: int) -> list[str]:
        """The functions of one argument that the function around a site calls."""
        inside = (node for node in ast.walk(self.sites[site].function) if isinstance(node, ast.Call))
        texts = (ast.unparse(node.func) for node in inside if len(node.args) == 1 and not node.keywords)
        return [text for text in dict.fromkeys(texts) if re.fullmatch(r"[A-Za-z_][\w.]*", text) and text not in BARE]

    def is_right(self, site: int, run: Mapping[int, Any] | None = None, right: Numbers | None = None) -> bool:
        """Whether what the statement around a site makes is a right array of the computation, or of those given."""
        values = self.made(site, self.runs[0] if run is None else run)
        return bool(values) and all(v is not None and (right or self.right).all(v) for v in values)

    def made(self, site: int, run: Mapping[int, Any]) -> tuple[Any, ...]:
        """What the statement around a site makes, run by run, or at the end of all where it adds up."""
        whole = self.whole[site]
        if whole is None or -1 - whole not in run or run[-1 - whole][""] is None:
            return ()
        augmented = isinstance(self.sites[whole].statement, ast.AugAssign)
        return (run[-1 - whole][""],) if augmented else tuple(run[whole])

    def suspects(self, whole: Sequence[int]) -> list[int]:
        """The expressions of statements that make something else than a right array of right ones; what made those."""
        found, names, runs = [], set(), self.runs[0]
        parts = {i: [j for j in runs if j >= 0 and self.sites[i].node in (self.sites[j].node, *self.sites[j].around)]
                 for i in whole}  # fmt: skip
        for i in whole:
            used = [j for j in parts[i] if isinstance(self.sites[j].node, (ast.Name, ast.Attribute, ast.Subscript))]
            used = [j for j in used if np.ndim(v := runs[j][0]) and np.asarray(v).dtype.kind == "f"]
            rows = zip(runs[i], *(runs[j] for j in used), strict=False)
            rows = (row for row in rows if all(v is not None for v in row))
            wrong = next((row for row in rows if not self.right.all(row[0])), None)
            if used and wrong and all(map(self.right.all, wrong[1:])):
                found.append(i)
                names |= {(self.sites[i].function, root(self.sites[j].node)) for j in used}
        for i in (i for i in whole if i not in found):
            targets = getattr(self.sites[i].statement, "targets", [])
            found += [i] if names & {(self.sites[i].function, root(one)) for one in targets} else []
        return [j for i in found for j in parts[i]]

    def scalars(self, site: int) -> Iterator[tuple[str, tuple[float, ...]]]:
        """The numbers among them at every point."""
        whole = self.whole[site]
        hand = [{} if whole is None else run.get(-1 - whole, {}) for run in self.runs]
        for name in filter(None, hand[0]):
            values = _numbers([one.get(name) for one in hand])
            if values:
                yield name, values
        for i, other in enumerate(self.sites):
            values = _numbers([run.get(i, [None])[-1] for run in self.runs])
            beside = other.function is self.sites[site].function and not is_number(other.node)
            if values and beside and len(other.text) <= LONGEST:
                if re.fullmatch(r"[\w.]+(\[-?\w+\])?|len\(\w+\)", other.text):
                    yield other.text, values

    def at(self, site: int) -> Known | None:
        """A site's own value at the first point; None if they are no numbers."""
        values = self.runs[0].get(site) if site >= 0 else None
        return Known(self.sites[site].text, values[-1]) if values and values[-1] is not None else None

    def disturbed(self, site: int) -> str | None:
        """A text that makes another value of an expression; None where it has no numbers."""
        own = self.at(site)
        if own is None:
            return None
        return {"f": "__v__ * -1.3 + 0.01", "b": "__v__ == False"}.get(own.kind, "__v__ + 1")


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    """The values as numbers; none if one of them is an array, or not known."""
    return tuple(map(float, values)) if all(v is not None and np.ndim(v) == 0 for v in values) else ()


def _is_finite(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value).all())


def is_number(node: ast.AST) -> bool:
    """Whether an expression is a number as it is written, with its sign."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant))


def with_parts(node: ast.AST, texts: Mapping[ast.AST, str]) -> str:
    """An expression with other texts in the place of some of its parts."""
    return ast.unparse(copy.deepcopy(node, {id(part): ast.Name(text) for part, text in texts.items()}))


def bracketed(text: str) -> str:
    """An expression that can stand as a factor."""
    node = ast.parse(text, mode="eval").body
    return text if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)) else f"({text})"

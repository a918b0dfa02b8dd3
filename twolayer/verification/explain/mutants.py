"""Which one change of the right reverse pass gives what a derivation returned? All changes in one pass, side by side.

The reference has been run on recorded numbers (numbers/recorded.py): every number knows its operands and the slopes by
them, and every operation on arrays is a node. The reverse pass goes through the numbers, latest first, and carries a
row of cotangents for each number: one for every mutant. A mutant is one change:

    cut      no cotangent flows from a node to one of its operands; the factor that fits is then solved for, so that a
             sign, a 2, a mean for a sum and whatever constant are this one change
    part     what flows is cut to the first or last index along an axis, or of a loop, or without it
    factor   in a product, something else stands for the other factor: another array of its shape, its own transposed or
             turned around, what it is one step of the loop before or after, or nothing
    bridge   between two arrays of one shape, one made from the other, the cotangent is multiplied with something else
             than the derivative: with nothing, with a mask, with the derivative of another activation

A change acts on one node, or on all that one operation in the text gave, run after run: a wrong line in a loop is wrong
each time. In float64 for all mutants at two points; the few that fit are confirmed in balls at both.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from twolayer.verification.numbers.balls import Ball, arb, floats
from twolayer.verification.numbers.factors import CLOSE, ratio
from twolayer.verification.numbers.recorded import Node, Recorded, reached

CHAIN = 5  # operations between two arrays that a derivative may stand for
MOST, AT_ONCE = 8000, 1000  # mutants, and those in one pass
SECONDS = 8.0  # for all of them
LOOPS = 200  # runs of one operation that are told apart


class Mutant(NamedTuple):
    """One change: its kind, the group where it acts (-1: at a bridge), and what else is to say."""

    kind: str
    group: int
    detail: tuple = ()


class Group(NamedTuple):
    """One operand of a node, or of the nodes that one operation in the text gave, in the order of running."""

    nodes: tuple[int, ...]
    operand: int


class Edge(NamedTuple):
    """One number's slope by one of its operands: places in the list of numbers, and where in the node's arrays."""

    child: int
    parent: int
    slope: Any
    node: int
    operand: int
    own: int
    other: int
    out: int


class Graph:
    """A recorded computation of one number from some inputs, ready for reverse passes of many mutants.

    Args:
      output: the number, such as a loss, or the sum of cotangents times outputs.
      nodes: the operations on arrays, in their order.
      inputs: the arrays by which the derivative is taken.
      exact: in FLINT's balls; else in float64.
    """

    def __init__(self, output: Ball, nodes: Sequence[Node], inputs: Sequence[np.ndarray], exact: bool = False):
        self.exact, self.inputs = exact, inputs
        self.numbers = reached(output)
        self.place = {number.order: i for i, number in enumerate(self.numbers)}
        self.nodes = [*nodes, *_alone(self.numbers, nodes)]
        self.groups = _groups(self.nodes)
        self.edges, self.first = self._edges()
        self.arrays = self._arrays()
        self.series = self._series()

    def _number(self, value: Any) -> Any:
        return value if self.exact else float(value)

    def _edges(self) -> tuple[list[Edge], list[int]]:
        """All edges by their child, latest child first, and where each child's begin."""
        owner, spots = self._owners()
        edges, first = [], []
        for i, number in enumerate(self.numbers):
            first.append(len(edges))
            if not number.operands:
                continue
            node = owner.get(number.order, -1)
            for position, (operand, slope) in enumerate(zip(number.operands, number.slopes(), strict=True)):
                if not isinstance(operand, Recorded):
                    continue
                where, own, other = -1, -1, -1
                if node >= 0:
                    where, own = _spot(spots[node], operand.order, position)
                    rest = [v for j, v in enumerate(number.operands) if j != position]
                    if rest and where >= 0 and len(self.nodes[node].operands) == 2:
                        other = spots[node][1 - where].get(_order(rest[0]), -1)
                out = spots[node][-1].get(number.order, -1) if node >= 0 else -1
                edges.append(Edge(i, self.place[operand.order], self._number(slope), node, where, own, other, out))
        return edges, [*first, len(edges)]

    def _owners(self) -> tuple[dict[int, int], list[list[dict[int, int]]]]:
        """The innermost node of each number, and for each node the places of numbers in its operands and its output."""
        owner: dict[int, int] = {}
        spots = []
        orders = sorted(self.place)
        for k, node in enumerate(self.nodes):
            for order in orders[np.searchsorted(orders, node.start) : np.searchsorted(orders, node.stop)]:
                owner.setdefault(order, k)  # an inner operation ends, and is noted, first
            spots.append([_places(array) for array in (*node.operands, node.output)])
        return owner, spots

    def _arrays(self) -> list[np.ndarray]:
        """Every array that the computation meets: inputs, operands and outputs, each once."""
        found: dict[tuple, np.ndarray] = {}
        for array in (*self.inputs, *(a for node in self.nodes for a in (*node.operands, node.output))):
            array = np.asarray(array, object)
            if array.size:
                found.setdefault(_identity(array), array)
        self.index = {identity: i for i, identity in enumerate(found)}
        return list(found.values())

    def _series(self) -> list[tuple[int, ...]]:
        """Every array, and the arrays that one operation in a loop met or gave, run after run."""
        found = dict.fromkeys((i,) for i in range(len(self.arrays)))
        for group in self.groups:
            if 1 < len(group.nodes) <= LOOPS:
                for pick in (lambda node, o=group.operand: node.operands[o], lambda node: node.output):
                    arrays = [pick(self.nodes[k]) for k in group.nodes]
                    if len({array.shape for array in arrays}) == 1 and arrays[0].size:
                        found[tuple(self.index[_identity(array)] for array in arrays)] = None
        return [one for one in found if len(one) == 1 or len(set(one)) > 1]

    def values(self, array: np.ndarray) -> np.ndarray:
        """An array in the numbers of the pass."""
        if not self.exact:
            return floats(array)
        out = np.empty(array.shape, object)
        out.ravel()[:] = [arb(v) for v in array.ravel().tolist()]
        return out

    def run(self, mutants: Sequence[Mutant]) -> np.ndarray:
        """The cotangents of all numbers, (numbers, 1 + mutants); the first column is right."""
        width = len(mutants) + 1
        zero = flint.arb(0) if self.exact else 0.0
        adjoint = np.full((len(self.numbers), width), zero, object if self.exact else np.float64)
        adjoint[0] = flint.arb(1) if self.exact else 1.0
        changes, bridges = self._changes(mutants)
        for i in range(len(self.numbers)):
            for columns, source, factor in bridges.get(i, ()):
                adjoint[i, columns] = adjoint[source, columns] * factor
            for e in range(self.first[i], self.first[i + 1]):
                edge = self.edges[e]
                flow = adjoint[i] * edge.slope
                if e in changes:
                    columns, slopes = changes[e]
                    flow[columns] = adjoint[i, columns] * slopes
                adjoint[edge.parent] = adjoint[edge.parent] + flow
        return adjoint

    def of(self, arrays: Sequence[np.ndarray], adjoint: np.ndarray) -> np.ndarray:
        """The cotangents of the numbers of some arrays, one after the other, (numbers, mutants)."""
        rows = [self.place.get(_order(v), -1) for a in arrays for v in np.asarray(a, object).ravel().tolist()]
        found = np.full((len(rows), adjoint.shape[1]), flint.arb(0) if self.exact else 0.0, adjoint.dtype)
        for i, row in enumerate(rows):
            if row >= 0:
                found[i] = adjoint[row]
        return found

    def _changes(self, mutants: Sequence[Mutant]) -> tuple[dict[int, tuple], dict[int, list]]:
        """Edges with another slope or another cotangent, and numbers whose cotangent is set, each with its columns."""
        changes: dict[int, list] = {}
        bridges: dict[int, list] = {}
        by_place: dict[tuple[int, int], list[int]] = defaultdict(list)
        for e, edge in enumerate(self.edges):
            if edge.operand >= 0:
                by_place[edge.node, edge.operand].append(e)
        for column, mutant in enumerate(mutants, 1):
            if mutant.kind == "bridge":
                for number, source, factor in self._bridge(mutant):
                    bridges.setdefault(number, []).append(([column], source, factor))
                continue
            group = self.groups[mutant.group]
            for turn, node in enumerate(group.nodes):
                slope = self._slopes(mutant, group, turn, node)
                for e in by_place.get((node, group.operand), ()):
                    changed = slope(self.edges[e])
                    if changed is not None:
                        changes.setdefault(e, []).append((column, changed))
        return {e: _packed(parts, self.exact) for e, parts in changes.items()}, bridges

    def _slopes(self, mutant: Mutant, group: Group, turn: int, node: int) -> Callable[[Edge], Any]:
        """The slope in place of an edge's own, for the edges of one run of an operation; None: no change."""
        if mutant.kind == "cut":
            return lambda edge: 0 * edge.slope
        if mutant.kind == "factor":
            return self._with_other_factor(mutant, group, turn, node)
        which, axis, part = mutant.detail
        if which == "loop":
            kept = _kept(part, turn, len(group.nodes))
            return lambda edge: None if kept else 0 * edge.slope
        array = {"own": self.nodes[node].operands[group.operand], "other": _other(self.nodes[node], group.operand),
                 "out": self.nodes[node].output}[which]  # fmt: skip

        def slope(edge: Edge) -> Any:
            place = getattr(edge, which)
            if place < 0 or array is None or axis >= array.ndim:
                return None
            index = int(np.unravel_index(place, array.shape)[axis])
            return None if _kept(part, index, array.shape[axis]) else 0 * edge.slope

        return slope

    def _with_other_factor(self, mutant: Mutant, group: Group, turn: int, node: int) -> Callable[[Edge], Any]:
        which, shift, turned = mutant.detail
        own = _other(self.nodes[node], group.operand)
        flat: list | None = None
        if which is not None:
            series = self.series[which] if which >= 0 else [self.index[_identity(own)]]
            at = 0 if len(series) == 1 else turn + shift
            if 0 <= at < len(series):
                flat = self.values(TURNS[turned](self.arrays[series[at]])).ravel().tolist()
            else:
                return lambda edge: 0 * edge.slope  # before the first there is nothing
        divides = self.nodes[node].op in ("divide", "true_divide")

        def slope(edge: Edge) -> Any:
            if flat is not None:
                if not 0 <= edge.other < len(flat):
                    return None
                return 1 / flat[edge.other] if divides and flat[edge.other] else flat[edge.other]
            one = 1 + 0 * edge.slope
            return -one if divides and group.operand == 1 else one

        return slope

    def _bridge(self, mutant: Mutant) -> Iterator[tuple[int, int, Any]]:
        below, above, index, name = mutant.detail
        for t, (i, k) in enumerate(zip(self.series[below], self.series[above], strict=True)):
            made_of = self.series[index]
            factor = BRIDGES[name](self.values(self.arrays[made_of[t if len(made_of) > 1 else 0]])).ravel().tolist()
            pairs = zip(self.arrays[i].ravel().tolist(), self.arrays[k].ravel().tolist(), factor, strict=True)
            for v, w, f in pairs:
                number, source = self.place.get(_order(v)), self.place.get(_order(w))
                if number is not None and source is not None:
                    yield number, source, f

    def mutants(self) -> Iterator[Mutant]:
        """All changes that are tried, the simplest kinds first, and of each those of a whole loop first."""
        alive = {(edge.node, edge.operand) for edge in self.edges if edge.operand >= 0}
        groups = [g for g, one in enumerate(self.groups) if any((node, one.operand) in alive for node in one.nodes)]
        yield from (Mutant("cut", g) for g in groups)
        for g in groups:
            yield from self._part_mutants(g, self.groups[g])
        for g in groups:
            yield from self._factor_mutants(g, self.groups[g])
        yield from self._bridge_mutants()

    def _part_mutants(self, g: int, group: Group) -> Iterator[Mutant]:
        node = self.nodes[group.nodes[0]]
        if len(group.nodes) > 1:
            yield from (Mutant("part", g, ("loop", 0, part)) for part in PARTS)
        own, other = node.operands[group.operand], _other(node, group.operand)
        for which, array in (("own", own), ("other", other), ("out", node.output)):
            for axis in range(array.ndim if array is not None else 0):
                if array.shape[axis] > 1:
                    yield from (Mutant("part", g, (which, axis, part)) for part in PARTS)

    def _factor_mutants(self, g: int, group: Group) -> Iterator[Mutant]:
        node, runs = self.nodes[group.nodes[0]], len(group.nodes)
        own = _other(node, group.operand)
        if node.op not in ("multiply", "matmul", "dot", "divide", "true_divide") or own is None:
            return
        if node.op in ("multiply", "divide", "true_divide"):
            yield Mutant("factor", g, (None, 0, ""))
        if own.size < 2:
            return
        yield from (Mutant("factor", g, (-1, 0, turned)) for turned in TURNS if _turns(own, turned))
        mine = tuple(self.index[_identity(_other(self.nodes[k], group.operand))] for k in group.nodes)
        for i, series in enumerate(self.series):
            if len(series) not in (1, runs):
                continue
            array = self.arrays[series[0]]
            shifts = (-1, 0, 1) if len(series) > 1 else (0,)
            if array.shape == own.shape:
                yield from (Mutant("factor", g, (i, s, "")) for s in shifts if s or series != mine)
            if array.ndim == 2 and array.shape[::-1] == own.shape and len(series) == 1 and series != mine:
                yield Mutant("factor", g, (i, 0, "T"))

    def _bridge_mutants(self) -> Iterator[Mutant]:
        """From an array to one made of it, of the same shape; the factor is made of any array of that shape."""
        by_shape: dict[tuple, list[int]] = {}  # by shape and length
        for i, series in enumerate(self.series):
            array = self.arrays[series[0]]
            if array.size > 1 and any(_order(v) in self.place for v in array.ravel().tolist()):
                by_shape.setdefault((array.shape, len(series)), []).append(i)
        for (_, runs), same in sorted(by_shape.items(), key=lambda one: -one[0][1]):
            born = {i: max(map(_order, self.arrays[self.series[i][0]].ravel().tolist())) for i in same}
            for below, above in itertools.permutations(same, 2):
                if born[below] < born[above] and self._near(self.series[below][0], self.series[above][0]):
                    yield Mutant("bridge", -1, (below, above, below, "1"))
                    for index in same if runs == 1 else (below, above):
                        for name in BRIDGES:
                            if name != "1":
                                yield Mutant("bridge", -1, (below, above, index, name))

    def _near(self, below: int, above: int) -> bool:
        """Whether an array is made of another in a few operations on single numbers, as a sigmoid is."""
        target = {_order(v) for v in self.arrays[below].ravel().tolist()}
        level = {v.order: v for v in self.arrays[above].ravel().tolist()[:1] if isinstance(v, Recorded)}
        for _ in range(CHAIN):
            level = {o.order: o for v in level.values() for o in v.operands if isinstance(o, Recorded)}
            if target & set(level):
                return True
        return False


def _mask(a: np.ndarray, keep: Callable) -> np.ndarray:
    return np.array([1 if keep(v) else 0 for v in a.ravel().tolist()], a.dtype).reshape(a.shape)


# What stands for the derivative between two arrays: a function of some array of their shape.
BRIDGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1": lambda a: _mask(a, lambda v: True),
    "{} > 0": lambda a: _mask(a, lambda v: v > 0),
    "{} <= 0": lambda a: _mask(a, lambda v: not v > 0),
    "{}": lambda a: a,
    "1 - {}": lambda a: 1 - a,
    "{} * (1 - {})": lambda a: a * (1 - a),
    "1 - {}**2": lambda a: 1 - a * a,
    "{}**2": lambda a: a * a,
    "2 * {}": lambda a: 2 * a,
}


PARTS = ("last", "first", "without last", "without first")
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda a: a,
    "T": lambda a: a.T,
    "reversed": lambda a: a[tuple(slice(None, None, -1) for _ in a.shape)],
}


def _turns(array: np.ndarray, turned: str) -> bool:
    """Whether an array is another, of the same shape, when it is turned so."""
    if turned == "T":
        return array.ndim == 2 and array.shape[0] == array.shape[1] > 1
    return turned == "reversed"


def _kept(part: str, index: int, size: int) -> bool:
    return {"first": index == 0, "last": index == size - 1, "without first": index > 0,
            "without last": index < size - 1}[part]  # fmt: skip


def _alone(numbers: Sequence[Recorded], nodes: Sequence[Node]) -> list[Node]:
    """Operations on single numbers outside of all arrays, as nodes."""
    found, last = [], 0
    spans = sorted((node.start, node.stop) for node in nodes)
    covered = []
    for start, stop in spans:
        if start > last or not covered:
            covered.append([start, stop])
        covered[-1][1] = last = max(covered[-1][1], stop)
    starts = [start for start, _ in covered]
    for number in reversed(numbers):
        if number.operands:
            k = int(np.searchsorted(starts, number.order, side="right")) - 1
            if k < 0 or number.order >= covered[k][1]:
                arrays = tuple(_scalar(operand) for operand in number.operands)
                op = f"number/{len(arrays)}"
                found.append(Node(op, arrays, _scalar(number), number.line, number.order, number.order + 1))
    return found if len(found) <= 5 * LOOPS else []


def _scalar(value: Any) -> np.ndarray:
    array = np.empty((), object)
    array[()] = value
    return array


def _groups(nodes: Sequence[Node]) -> list[Group]:
    """The operands of all operations, those of a loop together first."""
    by_line: dict[Any, list[int]] = defaultdict(list)
    for k, node in enumerate(nodes):
        by_line[node.stack or node.line].append(k)
    found = []
    for line, own in by_line.items():
        ops = [nodes[k].op for k in own]
        period = next(
            (p for p in range(1, len(own) // 2 + 1) if len(own) % p == 0 and ops == ops[:p] * (len(own) // p)), len(own)
        )
        if line is not None and 1 < len(own) // period:
            found += [tuple(own[i::period]) for i in range(period)]
    runs = [Group(one, operand) for one in found for operand in range(len(nodes[one[0]].operands))]
    return runs + [Group((k,), operand) for k, node in enumerate(nodes) for operand in range(len(node.operands))]


def fitting(graphs: Sequence[Graph], mine: Sequence[np.ndarray]) -> list[tuple[Mutant, Fraction]]:
    """The mutants that give these gradients at every point, each with the factor that was solved for (1: none).

    Args:
      graphs: the reference at points of one size, alike in their operations.
      mine: for each point all gradients as one row of numbers.
    """
    found: list[tuple[Mutant, Fraction]] = []
    mutants, started = itertools.islice(graphs[0].mutants(), MOST), time.monotonic()
    while some := list(itertools.islice(mutants, AT_ONCE)):
        with np.errstate(all="ignore"):
            columns = [graph.of(graph.inputs, graph.run(some)) for graph in graphs]
            found += [
                (mutant, c) for j, mutant in enumerate(some, 1) if (c := _fits(mutant, j, columns, mine)) is not None
            ]
        if time.monotonic() - started > SECONDS:
            break
    return found


def _fits(mutant: Mutant, j: int, columns: Sequence[np.ndarray], mine: Sequence[np.ndarray]) -> Fraction | None:
    """The factor with which a mutant gives what was returned; None if it does not."""
    if mutant.kind != "cut":
        if all(_alike(c[:, 0], c[:, j]) for c in columns):
            return None  # it changes nothing here
        return Fraction(1) if all(_alike(m, c[:, j]) for m, c in zip(mine, columns, strict=True)) else None
    whole = [c[:, 0] - c[:, j] for c in columns]
    if not any(_some(w) for w in whole):
        return None
    if all(_alike(m, c[:, j]) for m, c in zip(mine, columns, strict=True)):
        return Fraction(0)
    c = ratio([m - c[:, j] for m, c in zip(mine, columns, strict=True)], whole)
    return None if c == 1 else c


def _some(row: np.ndarray) -> bool:
    return bool((np.abs(row.astype(np.float64)) > 0).any())


def _alike(mine: np.ndarray, other: np.ndarray) -> bool:
    a, b = mine.astype(np.float64), other.astype(np.float64)
    return bool(np.isfinite(b).all() and np.abs(a - b).max(initial=0) <= CLOSE * max(np.abs(b).max(initial=0), 1e-300))


def _order(v: Any) -> int:
    return v.order if isinstance(v, Recorded) else -1


def _identity(array: np.ndarray) -> tuple:
    """What tells an array from all others: its numbers, one by one."""
    return (array.shape, *(v.order if isinstance(v, Recorded) else -id(v) for v in array.ravel().tolist()))


def _places(array: np.ndarray) -> dict[int, int]:
    return {_order(v): i for i, v in reversed(list(enumerate(array.ravel().tolist()))) if _order(v) >= 0}


def _spot(spots: Sequence[dict[int, int]], order: int, position: int) -> tuple[int, int]:
    """In which operand of a node a number stands, and where: that of its position first."""
    operands = spots[:-1]
    preferred = [position] if position < len(operands) else []
    for i in (*preferred, *range(len(operands))):
        if order in operands[i]:
            return i, operands[i][order]
    return -1, -1


def _other(node: Node, operand: int) -> np.ndarray | None:
    return node.operands[1 - operand] if len(node.operands) == 2 else None


def _packed(parts: list[tuple[int, Any]], exact: bool) -> tuple[list[int], np.ndarray]:
    return [column for column, _ in parts], _vector([slope for _, slope in parts], exact)


def _vector(values: list, exact: bool) -> np.ndarray:
    out = np.empty(len(values), object if exact else np.float64)
    out[:] = values
    return out

"""Which one change of the right reverse pass gives what a derivation returned? All changes in one pass, side by side.

The reference has been run on recorded numbers (numbers/recorded.py): every number knows its operands and the slopes by
them, and every operation on arrays is a node. The reverse pass goes through the numbers, latest first, and carries a
row of cotangents for each number: one for every mutant. A mutant is one change:

    cut      no cotangent flows from a node to one of its operands; the factor that fits is then solved for, so that a
             sign, a 2, a mean for a sum and whatever constant are this one change
    part     what flows is cut to the first or last index along an axis, or without it, or moved along it by one
    factor   in a product, another array of the same shape stands for the other factor, or its transpose
    bridge   between two arrays of one shape, one made from the other, the cotangent is multiplied with something else
             than the derivative: with nothing, with a mask, with the derivative of another activation

In float64 for all mutants at two points; the few that fit are confirmed in balls.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from twolayer.verifier.numbers.balls import Ball, arb, floats
from twolayer.verifier.numbers.factors import CLOSE, ratio
from twolayer.verifier.numbers.recorded import Node, Recorded, reached

CHAIN = 5  # operations between two arrays that a derivative may stand for
MOST = 6000  # mutants in one pass


class Mutant(NamedTuple):
    """One change. node, operand: where it acts. kind: "cut", "part", "factor", "bridge"; detail says the rest."""

    kind: str
    node: int
    operand: int
    detail: tuple = ()


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
        self.nodes = [node for node in nodes if any(_order(v) in self.place for v in node.output.ravel().tolist())]
        self.edges, self.first = self._edges()
        self.arrays = self._arrays()

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
                found.setdefault((array.shape, *map(_order, array.ravel().tolist())), array)
        return list(found.values())

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
                for columns, slopes, source in changes.get(e, ()):
                    flow[columns] = adjoint[i if source < 0 else source, columns] * slopes
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

    def _changes(self, mutants: Sequence[Mutant]) -> tuple[dict[int, list], dict[int, list]]:
        """Edges with another slope or another cotangent, and numbers whose cotangent is set, each with its columns."""
        changes: dict[int, dict[tuple, list]] = {}
        bridges: dict[int, list] = {}
        groups: dict[tuple[int, int], list[int]] = {}
        for e, edge in enumerate(self.edges):
            if edge.operand >= 0:
                groups.setdefault((edge.node, edge.operand), []).append(e)
        for column, mutant in enumerate(mutants, 1):
            if mutant.kind == "bridge":
                for number, source, factor in self._bridge(mutant):
                    bridges.setdefault(number, []).append(([column], source, factor))
                continue
            for e in groups.get((mutant.node, mutant.operand), ()):
                changed = self._changed(mutant, self.edges[e])
                if changed is not None:
                    changes.setdefault(e, {}).setdefault(changed[1], []).append((column, changed[0]))
        packed = {
            e: [
                (list(map(_first, parts)), _vector([p[1] for p in parts], self.exact), source)
                for source, parts in by.items()
            ]
            for e, by in changes.items()
        }
        return packed, bridges

    def _changed(self, mutant: Mutant, edge: Edge) -> tuple[Any, int] | None:
        """The slope in place of an edge's own, and whose cotangent it takes (-1: its own); None: no change."""
        zero = 0 * edge.slope
        if mutant.kind == "cut":
            return zero, -1
        if mutant.kind == "factor":
            array, turned = self.arrays[mutant.detail[0]], mutant.detail[1]
            if edge.other < 0:
                return None
            values = array.T if turned else array
            other = self._number(arb(values.ravel()[edge.other]))
            own = self.nodes[mutant.node].operands[1 - mutant.operand].ravel()[edge.other]
            return self._with_other_factor(mutant, edge, other, self._number(arb(own)))
        which, axis, part = mutant.detail
        place, array = {"own": (edge.own, self.nodes[mutant.node].operands[mutant.operand]),
                        "other": (edge.other, _other(self.nodes[mutant.node], mutant.operand)),
                        "out": (edge.out, self.nodes[mutant.node].output)}[which]  # fmt: skip
        if place < 0:
            return None
        index, size = np.unravel_index(place, array.shape)[axis], array.shape[axis]
        kept = {"first": index == 0, "last": index == size - 1, "without first": index > 0,
                "without last": index < size - 1}[part]  # fmt: skip
        return None if kept else (zero, -1)

    def _with_other_factor(self, mutant: Mutant, edge: Edge, other: Any, own: Any) -> tuple[Any, int]:
        op = self.nodes[mutant.node].op
        if op in ("divide", "true_divide") and mutant.operand == 0:
            return 1 / other, -1
        return other, -1

    def _bridge(self, mutant: Mutant) -> Iterator[tuple[int, int, Any]]:
        below, above, index, name = mutant.detail
        factor = BRIDGES[name](self.values(self.arrays[index])).ravel().tolist()
        for v, w, f in zip(
            self.arrays[below].ravel().tolist(), self.arrays[above].ravel().tolist(), factor, strict=True
        ):
            number, source = self.place.get(_order(v)), self.place.get(_order(w))
            if number is not None and source is not None:
                yield number, source, f

    def mutants(self) -> Iterator[Mutant]:
        """All changes that are tried, the simplest kinds first."""
        groups = sorted({(edge.node, edge.operand) for edge in self.edges if edge.operand >= 0})
        yield from (Mutant("cut", *group) for group in groups)
        for node, operand in groups:
            own, other = self.nodes[node].operands[operand], _other(self.nodes[node], operand)
            for which, array in (("own", own), ("other", other), ("out", self.nodes[node].output)):
                for axis in range(array.ndim if array is not None else 0):
                    if array.shape[axis] > 1:
                        for part in ("last", "first", "without last", "without first"):
                            yield Mutant("part", node, operand, (which, axis, part))
        yield from self._factor_mutants(groups)
        yield from self._bridge_mutants()

    def _factor_mutants(self, groups: Sequence[tuple[int, int]]) -> Iterator[Mutant]:
        for node, operand in groups:
            if self.nodes[node].op not in ("multiply", "matmul", "dot", "divide", "true_divide"):
                continue
            own = _other(self.nodes[node], operand)
            for i, array in enumerate(self.arrays):
                if own is None or array is own or own.size < 2:
                    continue
                if array.shape == own.shape:
                    yield Mutant("factor", node, operand, (i, False))
                if array.ndim == 2 and array.shape[::-1] == own.shape:
                    yield Mutant("factor", node, operand, (i, True))

    def _bridge_mutants(self) -> Iterator[Mutant]:
        """From an array to one made of it, of the same shape; the factor is made of any array of that shape."""
        by_shape: dict[tuple, list[int]] = {}
        for i, array in enumerate(self.arrays):
            if array.size > 1 and any(_order(v) in self.place for v in array.ravel().tolist()):
                by_shape.setdefault(array.shape, []).append(i)
        for same in by_shape.values():
            born = {i: max(map(_order, self.arrays[i].ravel().tolist())) for i in same}
            for below, above in itertools.permutations(same, 2):
                if born[below] < born[above] and self._near(below, above):
                    yield Mutant("bridge", -1, -1, (below, above, below, "1"))
                    for index in same:
                        for name in BRIDGES:
                            if name != "1":
                                yield Mutant("bridge", -1, -1, (below, above, index, name))

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


def fitting(graphs: Sequence[Graph], mine: Sequence[np.ndarray]) -> list[tuple[Mutant, Fraction]]:
    """The mutants that give these gradients at every point, each with the factor that was solved for (1: none).

    Args:
      graphs: the reference at points of one size.
      mine: for each point all gradients as one row of numbers.
    """
    mutants = list(itertools.islice(graphs[0].mutants(), MOST))
    columns = [graph.of(graph.inputs, graph.run(mutants)) for graph in graphs]
    found = []
    for j, mutant in enumerate(mutants, 1):
        if mutant.kind == "cut":
            rest = [m - c[:, j] for m, c in zip(mine, columns, strict=True)]
            whole = [c[:, 0] - c[:, j] for c in columns]
            c = ratio(rest, whole) if any(_some(w) for w in whole) else None
            if (
                c is None
                and any(_some(w) for w in whole)
                and all(_alike(m, col[:, j]) for m, col in zip(mine, columns, strict=True))
            ):
                c = Fraction(0)
            if c is not None and c != 1:
                found.append((mutant, c))
        elif all(_alike(m, c[:, j]) for m, c in zip(mine, columns, strict=True)):
            found.append((mutant, Fraction(1)))
    return found


def _some(row: np.ndarray) -> bool:
    return bool((np.abs(row.astype(np.float64)) > 0).any())


def _alike(mine: np.ndarray, other: np.ndarray) -> bool:
    a, b = mine.astype(np.float64), other.astype(np.float64)
    return bool(np.isfinite(b).all() and np.abs(a - b).max(initial=0) <= CLOSE * max(np.abs(b).max(initial=0), 1e-300))


def _order(v: Any) -> int:
    return v.order if isinstance(v, Recorded) else -1


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


def _vector(values: list, exact: bool) -> np.ndarray:
    out = np.empty(len(values), object if exact else np.float64)
    out[:] = values
    return out


def _first(pair: tuple) -> Any:
    return pair[0]

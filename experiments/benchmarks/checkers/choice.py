"""Which derivations of a large catalogue are tried."""

from collections.abc import Iterable, Sequence

# jax.jacfwd carries an identity matrix of K d rows, which is 80 GB for 784-128-10.
TOO_LARGE = {"real": ("jacfwd",)}


def one_of_each(derivations: Iterable) -> list:
    """Each mistake, or right style, in one loss, output and reduction, in which they take turns."""
    groups: dict[str, list] = {}
    for derivation in derivations:
        groups.setdefault(_name(derivation), []).append(derivation)
    return [group[number % len(group)] for number, group in enumerate(groups.values())]


def spread(derivations: Sequence, limit: int | None) -> list:
    """At most `limit` of them, evenly spread, in their order."""
    count = min(limit or len(derivations), len(derivations))
    return [derivations[index * len(derivations) // count] for index in range(count)]


def fitting(derivations: Iterable, setting: str) -> list:
    """Without those that need more memory than a machine has."""
    return [derivation for derivation in derivations if _name(derivation) not in TOO_LARGE.get(setting, ())]


def _name(derivation) -> str:
    return derivation.id.partition(f" {derivation.loss} ")[0]

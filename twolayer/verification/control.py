"""Loops and branches. The shadows decide how often and which way, if need be for each draw by itself."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification import arrays
from twolayer.verification.interpreter import is_float
from twolayer.verification.numbers.system import Numbers


def _scan(call: Any, *inputs: Any) -> list:
    p = call.params
    consts, carry = list(inputs[: p["num_consts"]]), list(inputs[p["num_consts"] :][: p["num_carry"]])
    stacked = inputs[p["num_consts"] + p["num_carry"] :]
    ranks = call.ranks[p["num_consts"] + p["num_carry"] :]
    slots: list = [None] * p["length"]
    for i in reversed(range(p["length"])) if p["reverse"] else range(p["length"]):
        xs = [
            arrays.apply(call.system, lambda a, i=i, rank=rank: np.take(a, i, axis=-rank), a)
            for a, rank in zip(stacked, ranks, strict=True)
        ]
        outputs = call.run(p["jaxpr"], [*consts, *carry, *xs], loop=True)
        carry, slots[i] = outputs[: p["num_carry"]], outputs[p["num_carry"] :]
    if not p["length"]:
        return carry + [_nothing(call, var.aval) for var in call.eqn.outvars[p["num_carry"] :]]
    inner = [var.aval.ndim for var in p["jaxpr"].jaxpr.outvars[p["num_carry"] :]]
    return carry + [
        arrays.stack(call, list(ys), rank) for ys, rank in zip(zip(*slots, strict=True), inner, strict=True)
    ]


def _nothing(call: Any, aval: Any) -> Any:
    """What a scan of length 0 stacks: an array without entries."""
    empty = np.zeros(aval.shape, np.float64 if is_float(aval) else aval.dtype)
    return call.system.constant(empty) if is_float(aval) else empty


def _while(call: Any, *inputs: Any) -> list:
    p = call.params
    test_consts, rest = inputs[: p["cond_nconsts"]], inputs[p["cond_nconsts"] :]
    body_consts, carry = rest[: p["body_nconsts"]], list(rest[p["body_nconsts"] :])

    def goes_on(carry: list) -> Numbers:
        return np.asarray(call.run(p["cond_jaxpr"], [*test_consts, *carry], loop=True)[0])

    more = goes_on(carry)
    while more.size and more.all():
        carry = call.run(p["body_jaxpr"], [*body_consts, *carry], loop=True)
        more = goes_on(carry)
    return arrays.each_draw(call, lambda *one: _while(call, *one), inputs) if more.any() else carry


def _cond(call: Any, which: Numbers, *inputs: Any) -> list:
    branches = call.params["branches"]
    chosen = np.unique(np.clip(np.asarray(which).astype(int), 0, len(branches) - 1))
    if len(chosen) == 1:
        return call.run(branches[int(chosen[0])], inputs, loop=True)
    return arrays.each_draw(call, lambda *one: _cond(call, *one), (which, *inputs))


RULES: dict[str, Callable] = {"scan": _scan, "while": _while, "cond": _cond}

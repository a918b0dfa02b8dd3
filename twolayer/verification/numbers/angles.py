"""Balls that know square roots and angles too, for closed forms that have them."""

from collections.abc import Callable
from typing import Any

from twolayer.verification.numbers.balls import Ball, Balls
from twolayer.verification.numbers.integers import objects
from twolayer.verification.numbers.opaque import absorbing


class Angles(Balls):
    """Real numbers in balls, with sqrt and atan2. Where a ball leaves no choice but "not a number", it says nan."""

    def rule(self, eqn: Any) -> Callable | None:
        return {"sqrt": self._sqrt, "atan2": self._atan2}.get(eqn.primitive.name)

    def _sqrt(self, call: Any, a: Ball) -> Ball:
        with self.flint.ctx.workprec(self.bits):
            return Ball(objects(_root(a.balls)))

    def _atan2(self, call: Any, y: Ball, x: Ball) -> Ball:
        with self.flint.ctx.workprec(self.bits):
            return Ball(objects(_angle(y.balls, x.balls)))


_root = absorbing(lambda a: a.sqrt())
_angle = absorbing(lambda y, x: type(y).atan2(y, x), 2)

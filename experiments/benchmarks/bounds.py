"""Problems for the rounding bounds, and a tally of how the bounds did on them."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from twolayer import network
from twolayer.gradients import closed_form
from twolayer.network import Params
from twolayer.verification.problem import INPUTS, Setting, Sizes
from twolayer.verification.rounding.program import instrument, report, resized
from twolayer.verification.rounding.runs import Compared, Floats, Instrumented, running
from twolayer.verification.rounding.units import unit
from twolayer.verification.verdict import Rounding


class Subject(NamedTuple):
    """The package's closed form in one setting, precision and size, compiled to hand out its steps."""

    setting: Setting
    program: Instrumented


def subject(setting: Setting, precision: str, sizes: Sizes) -> Subject:
    """Compile the closed form at these sizes."""
    closed = closed_form(setting.loss, setting.output, setting.reduction, hidden=setting.hidden)

    def gradients(params: Any, x: Any, y: Any) -> dict[str, Any]:
        labels = jnp.argmax(y, axis=1) if setting.loss == "cross_entropy" else y
        return {f"d{name}": leaf for name, leaf in closed(Params(*params), x, labels)[1]._asdict().items()}

    return Subject(setting, resized(instrument(gradients, setting, precision), gradients, sizes))


def problem(rng: np.random.Generator, of: Subject, scheme: str | None) -> Floats:
    """W1, b1, W2, b2, x, y in the precision of the program: normal numbers, y one-hot for cross-entropy.

    With a scheme the parameters are those that training starts from. Without, they and x are at scales from 1e-3 to
    1e3, but for outputs that are at most 80 under cross-entropy.
    """
    d, K, C, m = of.program.traced.sizes
    x, noise = rng.normal(size=(m, d)), rng.normal(size=(m, C))
    if scheme:
        params = [np.asarray(a) for a in network.init(jax.random.key(rng.integers(2**31)), d, K, C, scheme)]
    else:
        scales = 10 ** rng.uniform(-3, 3, 5)
        shapes = [(K, d), (K,), (C, K), (C,)]
        params = [scale * rng.normal(size=shape) for scale, shape in zip(scales, shapes, strict=False)]
        x, noise = scales[4] * x, scales[3] * noise
        if of.setting.loss == "cross_entropy":
            Z2 = np.maximum(x @ params[0].T + params[1], 0) @ params[2].T + params[3]
            params[2:] = [array * min(1, 80 / abs(Z2).max()) for array in params[2:]]
    y = np.eye(C)[rng.integers(C, size=m)] if of.setting.loss == "cross_entropy" else noise
    with running(of.program.precision) as dtype:
        return {name: array.astype(dtype) for name, array in zip(INPUTS, (*params, x, y), strict=True)}


@dataclasses.dataclass
class Count:
    """Of one step in one precision: entries, those beyond their bound, those without one, and the worst ratios.

    bound_over_entry: for each problem the median over the entries that are not zero.
    """

    entries: int = 0
    violations: int = 0
    unbounded: int = 0
    eta: float = 0.0
    error_over_bound: float = 0.0
    bound_over_entry: list[float] = dataclasses.field(default_factory=list)

    def add(self, compared: list[Compared], rounding: Rounding) -> None:
        self.entries += sum(one.mine.size for one in compared)
        self.violations += sum(int(one.beyond.sum()) for one in compared)
        self.unbounded += sum(int(np.isinf(one.right.bound).sum()) for one in compared)
        self.eta, self.error_over_bound = (
            max(self.eta, rounding.eta),
            max(self.error_over_bound, rounding.error_over_bound),
        )
        self.bound_over_entry.append(rounding.bound_over_entry)


class Tally:
    """Counts by (kind of problem, precision, step), and of masks in all."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, str], Count] = {}
        self.masks = {"entries": 0, "ambiguous": 0, "other_sign": 0, "other_sign_not_ambiguous": 0}

    def add(self, kind: str, of: Subject, arguments: Floats) -> None:
        """Run one problem and count."""
        compared = of.program.compare(arguments).compared
        for rounding in report(compared, unit(arguments["x"].dtype).u):
            parts = [one for one in compared if one.step == rounding.step]
            self.counts.setdefault((kind, of.program.precision, rounding.step), Count()).add(parts, rounding)
        for one in compared:
            if one.step in ("Z1", "Z2"):
                near = abs(one.right.numbers) <= one.right.bound
                other = (one.mine > 0) != (one.right.numbers > 0)
                for name, mask in (
                    ("ambiguous", near),
                    ("other_sign", other),
                    ("other_sign_not_ambiguous", other & ~near),
                ):
                    self.masks[name] += int(mask.sum())
                self.masks["entries"] += near.size

    @property
    def entries(self) -> int:
        return sum(count.entries for count in self.counts.values())

    @property
    def violations(self) -> int:
        return sum(count.violations for count in self.counts.values())

    def rows(self) -> list[dict[str, object]]:
        """One row for each kind, precision and step."""
        return [
            {"problems": kind, "precision": precision, "step": step}
            | dataclasses.asdict(count)
            | {"bound_over_entry": float(np.median(count.bound_over_entry))}
            for (kind, precision, step), count in self.counts.items()
        ]

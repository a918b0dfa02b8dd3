"""np.fft over balls: its four transforms along an axis; the rest of it is NumPy's own Python on top of these."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.verification.programs import fourier
from twolayer.verification.programs.stand_ins.arrays import Array, lift
from twolayer.verification.programs.stand_ins.one_number import ball

INVERSE = {"fft": False, "ifft": True, "rfft": False, "irfft": True}


def _transform(name: str) -> Callable:
    """A transform of np.fft by its name."""

    def of_arrays(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
        a = np.asarray(lift(a))
        count = int(n) if n is not None else 2 * (a.shape[axis] - 1) if name == "irfft" else a.shape[axis]
        if name == "irfft":
            found = fourier.from_half(a, count, axis)
        else:
            found = fourier.transform(a, count, axis, INVERSE[name], count // 2 + 1 if name == "rfft" else None)
        if norm in ("ortho", "forward"):
            scale = ball(count).sqrt() if norm == "ortho" else count
            found = found * scale if INVERSE[name] else found / scale
        return found.view(Array)

    return of_arrays


FUNCTIONS = {name: _transform(name) for name in INVERSE}

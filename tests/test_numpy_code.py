"""People's NumPy over balls: each function agrees with NumPy's own, and code in any style runs as it stands."""

import numpy as np
import pytest

from tests.numpy_expressions import EXPRESSIONS, NOT_JUDGED
from twolayer.verifier.numbers.balls import Ball, balls, precision
from twolayer.verifier.programs import NotJudged
from twolayer.verifier.programs.numpy_code import File, NumpyProgram

HEAD = """import copy
import functools
import math
import numpy as np
from scipy.special import entr, erf, expit, log_softmax, logit, logsumexp, softmax, xlogy
"""


def numbers():
    """A, B (3, 4) of both signs, P positive, Q (4, 4) positive definite, u and v (4,), a number s, labels n."""
    rng = np.random.default_rng(5)
    A, B, M = (rng.integers(-400, 400, shape) / 256 for shape in ((3, 4), (3, 4), (4, 4)))
    P = np.abs(rng.integers(-400, 400, (3, 4)) / 256) + 0.125
    u, v = rng.integers(-400, 400, (2, 4)) / 256
    return A, B, P, M @ M.T + np.eye(4), u, v, np.float64(0.8125), np.array([2, 0, 1])


def as_balls(value):
    if isinstance(value, np.ndarray):
        return balls(value) if value.dtype.kind == "f" else value
    return Ball(value)


def leaves(value):
    """The numbers and shapes in a structure, in order."""
    if isinstance(value, np.ndarray):
        return [value.shape, *(leaf for v in value.ravel().tolist() for leaf in leaves(v))]
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in (k, *leaves(v))]
    if isinstance(value, (list, tuple)) or hasattr(value, "__next__"):
        return [leaf for v in value for leaf in leaves(v)]
    if isinstance(value, Ball):
        return [float(value.v)]
    return [value.item() if isinstance(value, np.generic) else value]


def agree(mine, real):
    """Whether the numbers are the same to 1e-9, and all else exactly."""
    if len(mine) != len(real):
        return False
    for a, b in zip(mine, real, strict=True):
        numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (a, b))
        close = numeric and abs(a - b) <= 1e-9 * max(1, abs(b))
        if not close and not (a == b and isinstance(a, bool) == isinstance(b, bool)):
            return False
    return True


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "expressions.py"
    functions = (f"def f{i}(A, B, P, Q, u, v, s, n):\n    return {text}\n" for i, text in enumerate(EXPRESSIONS))
    names = ", ".join(f"f{i}" for i in range(len(EXPRESSIONS)))
    path.write_text(HEAD + "\n\n" + "\n\n".join(functions) + f"\n\nFUNCTIONS = [{names}]\n")
    return File(path)


@pytest.mark.parametrize("i", range(len(EXPRESSIONS)), ids=lambda i: EXPRESSIONS[i])
@pytest.mark.filterwarnings("ignore")
def test_a_function_over_balls_agrees_with_numpy(file, i):
    """Or it is known not to be judged; it never gives another number."""
    real = leaves(file.get("FUNCTIONS", exact=False)[i](*numbers()))
    program = NumpyProgram(file.get("FUNCTIONS")[i], file.source, f"f{i}")
    with precision(256):
        if EXPRESSIONS[i] in NOT_JUDGED:
            with pytest.raises(NotJudged, match=r" at .*expressions.py:\d+"):
                program.run(*map(as_balls, numbers()))
            return
        mine = leaves(program.run(*map(as_balls, numbers())).result)
    assert agree(mine, real), f"{mine} is not {real}"


def test_the_comparison_of_numbers_tells_them_apart():
    assert not agree([1.0], [1.0 + 1e-8])
    assert not agree([(2,), 1.0], [(1,), 1.0])
    assert not agree([True], [1])

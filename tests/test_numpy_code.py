"""People's NumPy over balls: each function agrees with NumPy's own, and code in any style runs as it stands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.numpy_expressions import EXPRESSIONS, JAX_EXPRESSIONS, JAX_NOT_JUDGED, NOT_JUDGED, STATEMENTS
from tests.numpy_styles import STYLES
from twolayer.verification.evidence.points import exactly
from twolayer.verification.numbers.balls import Ball, balls, precision
from twolayer.verification.programs import NotJudged
from twolayer.verification.programs.numpy_code import File, NumpyProgram

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
        return exactly(value) if value.dtype.kind == "f" else value
    return Ball(value)


def leaves(value):
    """The numbers and shapes in a structure, in order."""
    if isinstance(value, np.ndarray):
        return [value.shape, *(leaf for v in value.ravel().tolist() for leaf in leaves(v))]
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in (k, *leaves(v))]
    if isinstance(value, (list, tuple)) or hasattr(value, "__next__"):
        return [leaf for v in value for leaf in leaves(v)]
    if isinstance(value, jax.Array):
        return leaves(np.asarray(value)) if value.ndim else leaves(value.item())
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


AT_ONCE = 40  # lines in one test, so that a thousand of them do not take minutes


def disagreements(path, head, bodies, arguments=numbers):
    """The lines whose numbers over balls are others than as the file stands, with both."""
    functions = "\n\n".join(f"def f{i}(A, B, P, Q, u, v, s, n):\n    {body}" for i, body in enumerate(bodies))
    names = ", ".join(f"f{i}" for i in range(len(bodies)))
    path.write_text(f"{head}\n\n{functions}\n\nFUNCTIONS = [{names}]\n")
    file, found = File(path), []
    for body, over_balls, as_it_stands in zip(
        bodies, file.get("FUNCTIONS"), file.get("FUNCTIONS", exact=False), strict=True
    ):
        real = leaves(as_it_stands(*arguments()))
        try:
            with precision(256):
                mine = leaves(NumpyProgram(over_balls, file.source, "FUNCTIONS").run(*map(as_balls, numbers())).result)
        except NotJudged as e:
            mine = e
        if isinstance(mine, NotJudged) or not agree(mine, real):
            found.append((body, mine, real))
    return found


def parts(lines):
    return pytest.mark.parametrize(
        "lines", [lines[i : i + AT_ONCE] for i in range(0, len(lines), AT_ONCE)], ids=lambda v: v[0]
    )


@parts(EXPRESSIONS)
@pytest.mark.filterwarnings("ignore")
def test_a_function_over_balls_agrees_with_numpy(tmp_path, lines):
    assert not disagreements(tmp_path / "people.py", HEAD, [f"return {line}" for line in lines])


@parts(NOT_JUDGED)
@pytest.mark.filterwarnings("ignore")
def test_a_function_that_is_not_judged_is_named_with_its_line(tmp_path, lines):
    found = disagreements(tmp_path / "people.py", HEAD, [f"return {line}" for line in lines])
    assert [body for body, _, _ in found] == [f"return {line}" for line in lines]
    for i, (_, error, _) in enumerate(found):
        line = HEAD.count("\n") + 4 + 3 * i
        assert isinstance(error, NotJudged) and f" at people.py:{line}" in str(error)


@parts(STATEMENTS)
@pytest.mark.filterwarnings("ignore")
def test_a_statement_changes_balls_as_it_changes_numpys_arrays(tmp_path, lines):
    bodies = [f"{line}\n    return A, B, P, Q, u, v, s" for line in lines]
    assert not disagreements(tmp_path / "people.py", HEAD + "import random", bodies)


@parts(JAX_EXPRESSIONS)
def test_a_function_of_jax_over_balls_agrees_with_jax(tmp_path, lines):
    """An array without axes is a ball here."""
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        bodies = [f"return jax.tree.map(lambda a: a if jnp.ndim(a) else a * 1.0, {line})" for line in lines]
        head = "import jax\nimport jax.numpy as jnp\nimport jax.scipy.special"
        assert not disagreements(tmp_path / "people.py", head, bodies, lambda: map(jnp.asarray, numbers()))


@pytest.mark.parametrize("line", JAX_NOT_JUDGED)
def test_what_is_not_known_of_jax_is_named(tmp_path, line):
    path = tmp_path / "people.py"
    path.write_text(f"import jax\nimport jax.numpy as jnp\ndef f(A):\n    return {line}\n")
    with pytest.raises(NotJudged, match=r" at .*people.py:4$"):
        File(path).program("f").run(balls(numbers()[0]))


def test_the_comparison_of_numbers_tells_them_apart():
    assert not agree([1.0], [1.0 + 1e-8])
    assert not agree([(2,), 1.0], [(1,), 1.0])
    assert not agree([True], [1])


def network(d=3, K=5, C=4, m=6):
    rng = np.random.default_rng(0)
    W1, b1, W2, b2, x = (rng.integers(-400, 400, s) / 256 for s in ((K, d), K, (C, K), C, (m, d)))
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2}, x, np.eye(C)[rng.integers(0, C, m)]


class Params:
    """The parameters as attributes and in order."""

    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def __iter__(self):
        return iter((self.W1, self.b1, self.W2, self.b2))


def network_of(leaf=lambda value: value.copy()):
    params, x, y = network()
    return Params(**{k: leaf(v) for k, v in params.items()}), leaf(x), leaf(y)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.filterwarnings("ignore")
def test_code_in_any_style_gives_what_it_gives_in_numpy(tmp_path, name):
    path = tmp_path / f"{name}.py"
    path.write_text(STYLES[name])
    file = File(path)
    real = file.get("gradients", exact=False)(*network_of())
    with precision(256):
        arguments = network_of(balls)
        mine = file.program("gradients").run(*arguments).result
    assert all((a == b).all() for a, b in zip(arguments[0], network()[0].values(), strict=True))  # it got copies
    as_dict = lambda r: r if isinstance(r, (dict, tuple)) else vars(r)  # noqa: E731
    assert agree(leaves(as_dict(mine)), leaves(as_dict(real)))

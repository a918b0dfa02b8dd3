"""What `experiments.benchmarks.verify_benchmark` compares: one function for each way of calling a library.

    check(derivation, point) -> Answer       really calls the library; what it raises, `trials` counts

A derivation is an entry of experiments.benchmarks.catalogue. A point holds the arrays. All checkers get the same
points, but for those with `own_points`.
"""

from collections.abc import Iterable
from typing import NamedTuple

ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"


class Answer(NamedTuple):
    """What a checker says. `where` is the step it blames; `causes` holds (explanation's number, cause id)."""

    verdict: str
    where: str | None = None
    causes: tuple[tuple[int, str], ...] = ()


def explanations(causes: Iterable[tuple[int, str]]) -> list[set[str]]:
    """The cause ids of each explanation in the order offered, from (explanation's number, cause id)."""
    found: dict[int, set[str]] = {}
    for number, cause in causes:
        found.setdefault(number, set()).add(cause)
    return list(found.values())


class Checker(NamedTuple):
    """One row of the table, and where its function is."""

    target: str  # module:function
    label: str
    rule: str  # when it accepts, and everything that was set other than by default
    packages: tuple[str, ...] = ()  # besides JAX and NumPy
    where: str | None = None  # what it can say about the place of an error; None: it does not report one
    why: str | None = None  # what it can say about the cause
    own_points: bool = False


OURS = "ours"
_HERE = f"{__name__}.differences"
_GRADS = "order=1, modes=['rev'] (forward mode does not go through a custom_vjp), all else by default"
_TORCH = (
    "default eps, atol and rtol; a torch.autograd.Function's backward calls the derivation; small points: one thread"
)
_SCIPY = (
    "accepted if numpy.testing.assert_almost_equal(error, 0, decimal=5), as scikit-learn's tests ask; flat parameters"
)
_INPUT = "the first leaf that differs, not the step"

CHECKERS: dict[str, Checker] = {
    OURS: Checker(
        f"{_HERE}:ours",
        "twolayer.verification",
        "defaults; it chooses its own points, so it runs once for each derivation",
        where="the first wrong step",
        why="a named cause and the corrected line",
        own_points=True,
    ),
    "jax_float32": Checker(f"{_HERE}:float32", "JAX check_grads, float32", _GRADS),
    "jax_float64": Checker(f"{_HERE}:float64", "JAX check_grads, float64", _GRADS),
    "chex": Checker(
        f"{_HERE}:chex",
        "chex assert_numerical_grads, float32",
        f"{_GRADS}; its atol is 0.01 times the size of the first argument, here W1",
        ("chex",),
    ),
    "torch_slow": Checker(
        f"{_HERE}:torch_slow",
        "PyTorch gradcheck, float64",
        _TORCH,
        ("torch",),
        where=_INPUT,
    ),
    "torch_fast": Checker(
        f"{_HERE}:torch_fast",
        "PyTorch gradcheck, fast mode, float64",
        f"{_TORCH}; in the real setting without the slow Jacobian that a failing check adds to its message",
        ("torch",),
        where=_INPUT,
    ),
    "scipy": Checker(f"{_HERE}:every", "SciPy check_grad, float64", _SCIPY, ("scipy",)),
    "scipy_random": Checker(
        f"{_HERE}:along_one",
        "SciPy check_grad, random direction, float64",
        f"direction='random'; {_SCIPY}",
        ("scipy",),
    ),
}

"""The catalogue in NumPy returns the numbers of its JAX twins, in float64, at a generic point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_catalogue import AT, IN_NUMPY

from experiments.benchmarks.catalogue import EQUIVALENT, RIGHT, SETTINGS, WRONG, load, right_autodiff
from experiments.benchmarks.catalogue.entry import Entry
from experiments.benchmarks.catalogue.in_numpy import in_numpy, right_text, wrong_text
from twolayer.network import Params

AGREE = 1e-12
LEAVES = ("dW1", "db1", "dW2", "db2")


@pytest.fixture(autouse=True)
def as_a_student_writes():
    """`x @ W1.T + b1` adds a vector to the rows of a matrix, and an exp may be too large."""
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"), np.errstate(all="ignore"):
        yield


def problem(loss, square, at=1.0):
    m, d, K, C = (4, 4, 4, 4) if square else (6, 3, 5, 4)
    draw = np.random.default_rng(21).normal
    params = Params(*(at / 2 * draw(size=shape) for shape in ((K, d), (K,), (C, K), (C,))))
    y = np.eye(C)[np.arange(m) % C] if loss == "cross_entropy" else draw(size=(m, C))
    return params, draw(size=(m, d)), y


def difference(got, wanted):
    """The largest difference of an array, relative to its largest number, or to 1e-3 of the largest of all arrays."""
    assert set(got) == set(wanted)
    arrays = [(np.asarray(got[name], float), np.asarray(wanted[name], float)) for name in wanted]
    if any(a.shape != b.shape or not np.isfinite(a).all() or not np.isfinite(b).all() for a, b in arrays):
        return np.inf
    least = 1e-3 * max(abs(b).max() for _, b in arrays)
    return max(abs(a - b).max() / max(abs(b).max(), least) for a, b in arrays)


def in_jax(text, case):
    return load(text)(*jax.tree.map(jnp.asarray, case))


def as_if_jax(text, case):
    """The JAX text with NumPy under the name of jax.numpy, for there is nothing to compile in NumPy."""
    text = AT.sub(r"updated(\1, '\3', jnp.s_[\2], \4)", text.replace("import jax.numpy as jnp", IN_NUMPY))
    return load(text)(*copied(case))


def copied(case):
    params, x, y = case
    return Params(*map(np.copy, params)), x.copy(), y.copy()


@pytest.mark.parametrize("setting", SETTINGS, ids=" ".join)
def test_wrong_and_equivalent_ones_give_the_same_numbers(setting):
    """Every twelfth against JAX itself."""
    here = [e for e in [*WRONG, *EQUIVALENT] if (e.loss, e.output, e.reduction, e.layout) == setting]
    assert len(here) > 100
    apart = {}
    for place, entry in enumerate(here):
        text, case = entry.source(steps=True), problem(entry.loss, entry.square, entry.at)
        translated = wrong_text(entry, steps=True)
        assert "jnp" not in translated and "jax" not in translated and ".at[" not in translated
        wanted = (in_jax if place % 12 == 0 else as_if_jax)(text, case)
        apart[entry.id] = difference(load(translated)(*copied(case)), wanted)
    assert {id: distance for id, distance in apart.items() if not distance < AGREE} == {}


def test_all_right_ones_but_automatic_differentiation_run_in_numpy():
    texts = {right: right_text(right) for right in RIGHT}
    assert {right for right, text in texts.items() if text is None} == set(right_autodiff.RIGHT)
    got, wanted = {}, {}
    for right, text in texts.items():
        if text is not None:
            assert "jax.numpy" not in text and "jnp" not in text
            case = problem(right.loss, False)
            got[right] = load(text)(*copied(case))
            wanted.setdefault((right.loss, right.output, right.reduction), got[right])  # all of a setting agree
    assert {right.id for right in got if not difference(got[right], wanted[setting_of(right)]) < AGREE} == set()
    for right in (right for right in got if right.name in ("rows", "jacobian", "examples-scan")):
        assert difference(got[right], right.function()(*problem(right.loss, False))) < AGREE


def setting_of(right):
    return right.loss, right.output, right.reduction


def test_people_change_arrays_in_place():
    text = wrong_text(Entry((), "cross_entropy", "relu"), steps=True)
    assert "    dZ1 = dO1.copy()\n    dZ1[Z1 <= 0] = 0\n" in text
    assert "    dO2 = P.copy()\n    dO2[range(m), y.argmax(axis=1)] -= 1\n    dO2 /= m\n" in text
    looped = "def gradients(params, x, y):\n    for i in range(3):\n        db2 += (dZ2).at[0].multiply(2)\n"
    assert in_numpy(looped).endswith("        one = np.array(dZ2)\n        one[0] *= 2\n        db2 += one\n")


def test_a_different_number_would_be_seen():
    text = Entry((), "quadratic", "identity").source()
    case = problem("quadratic", False)
    changed = in_numpy(text).replace("(O2 - y)", "(O2 - y) * (1 + 1e-9)")
    assert difference(load(changed)(*copied(case)), in_jax(text, case)) > AGREE

"""Every public function of NumPy, on arguments of many kinds: over balls it gives the same numbers, or it raises."""

import numpy as np
import pytest

from tests.test_numpy_code import agree, as_balls, leaves, numbers
from twolayer.verification.numbers.balls import balls, precision
from twolayer.verification.programs.stand_ins.arrays import wrap
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY

# They print, or tell of memory and dtypes, or say what they do not promise (partition's order within its parts).
OTHERS = "array2string array_repr array_str printoptions result_type may_share_memory shares_memory partition"
OTHERS = {*OTHERS.split(), "argpartition", "require", "empty", "empty_like"}
# They write, or set what holds for the whole process.
LEFT_OUT = "save savez savez_compressed savetxt fromfile memmap show_config show_runtime info get_include test seterr"
LEFT_OUT = {*LEFT_OUT.split(), "seterrcall", "set_printoptions", "setbufsize", "set_string_function"}


def argument_lists():
    A, B, P, Q, u, v, s, n = numbers()
    return [
        (A,), (A, B), (u,), (u, v), (A, 1), (A, 0), (Q,), (P,), (P, B), (Q, v), (n,), (n, 2), (n, A[:, 0]), (s,),
        (s, 0.5), (A > 0,), (A, 0.5), ([0.5, 1.5],), (A, [0, 1]), (A, n), (A, 0, 1), (A, 1, 0), (3,), (3, 4),
        (A, (2, 6)),
        ([A, B],), ((u, v),), (A, 0.1, 0.9), (2, A), (n, n), (A, n, 1),
    ]  # fmt: skip


def over_balls(value):
    if isinstance(value, (list, tuple)):
        return type(value)(map(over_balls, value))
    return wrap(as_balls(value)) if isinstance(value, (np.ndarray, np.floating)) else value


def copied(value):
    if isinstance(value, (list, tuple)):
        return type(value)(map(copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def as_given_back(value):
    """As a program gives it back: whatever was put into an array of floats is a number."""
    if isinstance(value, (list, tuple)):
        return [as_given_back(v) for v in value]
    whole = isinstance(value, np.ndarray) and np.asarray(value).dtype == object
    return balls(np.asarray(value)) if whole else value


def finite(parts):
    return all(np.isfinite(part) for part in parts if isinstance(part, (float, complex)))


def disagreements(real, mine):
    """The arguments at which two functions give different numbers, and how many they agree on."""
    found, same = [], 0
    for arguments in argument_lists():
        try:
            result = real(*copied(arguments))
            expected = [part for part in leaves(result) if part != ()]
            given = [part for part in leaves(as_given_back(mine(*over_balls(arguments)))) if part != ()]
        except Exception:  # either may refuse; what must not be is another number
            continue
        if not finite(expected) or getattr(result, "dtype", None) == np.float16:  # as NumPy computes with booleans
            continue
        same += agree(given, expected)
        if not agree(given, expected):
            found.append((arguments, given, expected))
    return found, same


def functions(module, stand_in):
    names = [n for n in sorted(dir(module)) if not n.startswith("_") and n not in LEFT_OUT | OTHERS]
    names = [n for n in names if callable(getattr(module, n)) and not isinstance(getattr(module, n), type)]
    return [(n, getattr(module, n), getattr(stand_in, n)) for n in names]


@pytest.mark.parametrize("part", range(12))
@pytest.mark.filterwarnings("ignore")
def test_no_function_of_numpy_gives_another_number(part):
    with precision(256), np.errstate(all="ignore"):
        all_of_them = functions(np, NUMPY) + functions(np.linalg, NUMPY.linalg)
        found = {name: disagreements(real, mine) for name, real, mine in all_of_them[part::12]}
    assert {name: wrong for name, (wrong, _) in found.items() if wrong} == {}
    assert sum(same for _, same in found.values()) > 100


def test_another_number_is_found():
    with precision(256):
        found, _ = disagreements(np.exp, NUMPY.expm1)
    assert found

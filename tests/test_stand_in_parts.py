"""What people's code gets for its imports: control flow, modules, nothing where nothing is needed, and randomness."""

import collections
import io
import math
import pathlib
import random

import numpy as np
import pytest
import scipy.special
from flint import arb

from twolayer.verification.numbers.balls import Ball, balls, floats, precision
from twolayer.verification.programs import NotJudged, Refused
from twolayer.verification.programs.stand_ins import control, jax_functions, modules
from twolayer.verification.programs.stand_ins.arrays import wrap
from twolayer.verification.programs.stand_ins.jax_balls import JAX
from twolayer.verification.programs.stand_ins.nothing import Nothing, refused
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY
from twolayer.verification.programs.stand_ins.own_python import written_in_python
from twolayer.verification.programs.stand_ins.randomness import NumpyRandom, PythonRandom

A = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]])


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


# Control flow, on floats.

Pair = collections.namedtuple("Pair", "first second")


def test_a_tree_is_mapped_in_the_order_of_its_keys():
    tree = {"b": [1, None], "a": Pair(2, (3,))}
    assert control.tree_leaves(tree) == [2, 3, 1]
    doubled = control.tree_map(lambda v, w: v + w, tree, tree)
    assert doubled == {"a": Pair(4, (6,)), "b": [2, None]} and type(doubled["a"]) is Pair
    assert control.tree_map(len, [(1, 2), (3,)], is_leaf=lambda node: isinstance(node, tuple)) == [2, 1]
    with pytest.raises(ValueError):
        control.tree_map(lambda v, w: v, [1, 2], [1])


def test_vmap_is_a_loop_over_an_axis_of_each_argument():
    def of_example(row, column, both):
        return {"product": row @ column, "sum": both.sum()}

    found = control.vmap(np.stack, of_example, in_axes=(0, 1, None))(A, np.vstack([A, A[:1]])[:, :2], A)
    np.testing.assert_array_equal(found["product"], [A[0] @ [0.5, 1.5, 0.5], A[1] @ [-1.25, 0.25, -1.25]])
    np.testing.assert_array_equal(found["sum"], [2.25, 2.25])
    np.testing.assert_array_equal(control.vmap(np.stack, np.sum, in_axes=-1)(A), A.sum(axis=0))
    np.testing.assert_array_equal(control.vmap(np.stack, np.dot, in_axes=(None, 0))(A, A), A @ A.T)
    for options in ({"in_axes": ((0, 1),)}, {"out_axes": 1}):
        with pytest.raises(NotJudged, match=r"^jax\.vmap with nested axes$"):
            control.vmap(np.stack, np.sum, **options)(A)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_hands_its_carry_on(reverse):
    last, sums = control.scan(np.stack, lambda c, x: (2 * c + x, c), 1.0, np.array([1.0, 2.0, 4.0]), reverse=reverse)
    assert last == (20 if not reverse else 29)  # ((1 2 + 1) 2 + 2) 2 + 4, and from 4 to 1
    np.testing.assert_array_equal(sums, [1, 3, 8] if not reverse else [14, 6, 1])


def test_a_scan_of_a_length_alone_and_of_nothing():
    assert control.scan(np.stack, lambda c, x: (c + 1, x), 0, length=3) == (3, None)
    assert control.scan(np.stack, lambda c, x: (c + 1, x), 7, np.zeros(0)) == (7, None)
    with pytest.raises(ValueError, match="`length` not provided"):
        control.scan(np.stack, lambda c, x: (c, x), 0)


def test_loops_and_branches():
    assert control.fori_loop(2, 5, lambda i, v: v * 10 + i, 0) == 234 and control.fori_loop(3, 3, None, 7) == 7
    assert control.while_loop(lambda v: v < 100, lambda v: v * 3, 2) == 162
    assert control.cond(True, min, max, 1, 2) == 1 and control.cond(0.0, min, max, 1, 2) == 2
    assert [control.switch(i, [str, float, abs], -1) for i in (-5, 0, 1, 2, 9)] == ["-1", "-1", -1.0, 1, 1]
    assert control.passed_through(min) is min and control.passed_through(static_argnums=0)(min) is min


# JAX's functions by NumPy's, on floats.

SPECIAL = {name: getattr(scipy.special, name) for name in ("expit", "erf", "logsumexp", "softmax")}


class Kept(jax_functions.Unchanging):
    """Arrays of floats that are never changed."""


def kept(value):
    return np.asarray(value).view(Kept) if isinstance(value, np.ndarray) else value


ROOT = jax_functions.names(np, SPECIAL, kept, lambda rows: kept(np.stack(rows)), Kept, refused)
NN, LAX = ROOT["nn"], ROOT["lax"]


def test_arrays_of_jax_are_never_changed():
    x = kept(A.copy())
    with pytest.raises(TypeError, match=r"^JAX arrays are immutable; write x = x\.at\[index\]\.set\(value\)$"):
        x[0, 0] = 1.0
    before = x
    x += 1
    x *= 2
    np.testing.assert_array_equal(before, A)
    np.testing.assert_array_equal(x, 2 * (A + 1))


@pytest.mark.parametrize(
    ("method", "right"),
    [("set", [2, 1, 5]), ("add", [6, 1, 8]), ("multiply", [24, 1, 15]), ("max", [4, 1, 5]), ("min", [2, 1, 3]),
     ("subtract", [-6, 1, -2]), ("divide", [0.25, 1, 0.6]), ("power", [0, 1, 243])],
)  # fmt: skip
def test_a_changed_copy_meets_an_index_as_often_as_it_comes(method, right):
    x = kept(np.array([{"multiply": 3.0, "max": 2, "min": 4, "power": 0, "divide": 2}.get(method, 0), 1, 3.0]))
    index, value = np.array([0, 2, 0]), {"divide": [2.0, 5, 4]}.get(method, [4.0, 5, 2])
    before = x.copy()
    np.testing.assert_allclose(getattr(x.at[index], method)(np.array(value)), right, rtol=1e-15)
    np.testing.assert_array_equal(x, before)


def test_entries_are_got_and_what_is_not_known_of_them_is_not_judged():
    x = kept(A)
    np.testing.assert_array_equal(x.at[1, 1:].get(), [0.25, -0.75])
    with pytest.raises(NotJudged, match=r"^x\.at\[\.\.\.\]\.apply$"):
        x.at[0].apply(np.sin)


Z = np.array([-7.0, -0.5, 0.0, 0.5, 7.0])
ACTIVATIONS = {
    "relu": lambda z: max(z, 0), "relu6": lambda z: min(max(z, 0), 6), "leaky_relu": lambda z: max(z, z / 100),
    "elu": lambda z: z if z > 0 else math.expm1(z), "softplus": lambda z: math.log(1 + math.exp(z)),
    "log_sigmoid": lambda z: -math.log(1 + math.exp(-z)), "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "silu": lambda z: z / (1 + math.exp(-z)), "swish": lambda z: z / (1 + math.exp(-z)), "tanh": math.tanh,
    "gelu": lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "soft_sign": lambda z: z / (1 + abs(z)), "identity": lambda z: z,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_has_its_formula(name):
    np.testing.assert_allclose(getattr(NN, name)(Z), [ACTIVATIONS[name](z) for z in Z.tolist()], rtol=1e-13)


def test_activations_with_options_and_the_softmax():
    np.testing.assert_allclose(NN.leaky_relu(Z, negative_slope=0.5), np.where(Z > 0, Z, Z / 2))
    np.testing.assert_allclose(NN.elu(Z, alpha=2), np.where(Z > 0, Z, 2 * np.expm1(Z)))
    right = [z * math.erfc(-z / math.sqrt(2)) / 2 for z in Z.tolist()]
    np.testing.assert_allclose(NN.gelu(Z, approximate=False), right, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(NN.one_hot([2, 0, 5], 3), [[0, 0, 1], [1, 0, 0], [0, 0, 0]])
    p = np.exp(A) / np.exp(A).sum(axis=0)
    np.testing.assert_allclose(NN.softmax(A, axis=0), p, rtol=1e-14)
    np.testing.assert_allclose(NN.log_softmax(A, axis=0), np.log(p), rtol=1e-14)
    with pytest.raises(NotJudged, match=r"^jax\.nn\.hard_tanh$"):
        NN.hard_tanh(Z)


def test_functions_of_lax():
    x = kept(np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(LAX.dynamic_slice(x, (1, 9), (2, 2)), [[6, 7], [10, 11]])  # moved inside
    np.testing.assert_array_equal(LAX.dynamic_slice_in_dim(x, -5, 2, axis=1), [[0, 1], [4, 5], [8, 9]])
    updated = LAX.dynamic_update_slice(x, np.full((1, 2), -1.0), (2, 3))
    np.testing.assert_array_equal(updated[2], [8, 9, -1, -1])
    assert x[2, 3] == 11 and isinstance(updated, Kept)
    np.testing.assert_array_equal(LAX.cumsum(x, axis=1, reverse=True)[0], [6, 6, 5, 3])
    np.testing.assert_array_equal(LAX.cumsum(x)[2], [12, 15, 18, 21])
    np.testing.assert_array_equal(LAX.clamp(-1.0, Z, 0.25), np.clip(Z, -1, 0.25))
    assert (LAX.rsqrt(np.array(16.0)), LAX.integer_pow(np.array(2.0), 5), LAX.div(3.0, 4.0)) == (0.25, 32, 0.75)
    np.testing.assert_array_equal(LAX.select(Z > 0, Z, -Z), abs(Z))
    np.testing.assert_array_equal(LAX.map(lambda row: row.sum(), x), [6, 22, 38])


def test_options_for_devices_are_dropped_and_results_are_copies():
    x = kept(A.copy())
    np.testing.assert_allclose(ROOT["numpy"].dot(x, x.T, precision="highest"), A @ A.T)
    same = ROOT["numpy"].asarray(x)
    assert not np.shares_memory(same, x) and isinstance(same, Kept)
    assert ROOT["jit"](min) is min and ROOT["default_backend"]() == "cpu"


# JAX over balls.


def test_jax_over_balls_gives_balls_that_are_not_changed():
    jnp = JAX["jax.numpy"]
    x = jnp.array([0.1, 0.2])
    assert abs((x.sum() * 10 - 3).v).upper() < 1e-60
    y = x.at[0].add(0.9)
    assert abs((y[0] - 1).v).upper() < 1e-60 and abs((x[0] * 10 - 1).v).upper() < 1e-60
    for array in (jnp.exp(x), x + 1, np.maximum(x, 0)):
        with pytest.raises(TypeError, match="immutable"):
            array[0] = 1
    with pytest.raises(NotJudged, match=r"^jax\.grad$"):
        JAX["jax"].grad(min)
    inverse = JAX["jax.numpy.linalg"].inv(jnp.array([[0.5, 0.0], [0.0, 0.25]]))
    np.testing.assert_array_equal(floats(inverse), [[2, 0], [0, 4]])


def test_what_a_key_gives_is_a_function_of_the_key():
    draw = JAX["jax.random"]
    one, other = draw.split(draw.PRNGKey(3))
    first, again, beside = (floats(draw.normal(key, (50,))) for key in (one, one, other))
    assert (first == again).all() and not (first == beside).any() and abs(first.mean()) < 0.5
    inside = floats(draw.uniform(one, (50,), minval=2, maxval=3))
    assert inside.min() >= 2 and inside.max() <= 3 and np.ptp(inside) > 0.5
    assert sorted(draw.permutation(one, 5).tolist()) == [0, 1, 2, 3, 4]
    whole = draw.randint(one, (50,), 2, 5)
    assert set(whole.tolist()) == {2, 3, 4}
    assert 0.6 < draw.bernoulli(one, 0.8, (200,)).mean() < 0.95
    assert draw.fold_in(one, 1).tolist() != draw.fold_in(one, 2).tolist()
    assert draw.PRNGKey(3).tolist() != draw.PRNGKey(4).tolist() == draw.key(4).tolist()
    with pytest.raises(NotJudged, match=r"^jax\.random\.gumbel$"):
        draw.gumbel(one)


# Modules.

MATH = modules.MATH
NUMBERS = (0.25, 0.5, 0.75)


@pytest.mark.parametrize("name", modules._OF_MATH.split())
def test_a_function_of_math_is_maths(name):
    for number in NUMBERS if name != "acosh" else (1.5, 3.0):
        mine, right = getattr(MATH, name)(number), getattr(math, name)(number)
        assert float(mine.v) == pytest.approx(right, rel=1e-15) if isinstance(mine, Ball) else mine == right


@pytest.mark.parametrize(
    "call",
    [
        lambda m: (m.log(8, 2), m.log(5.0), m.pow(2.0, 0.5), m.hypot(3.0, 4.0, 12.0), m.fmod(-7.5, 2), m.fmod(7.5, -2)),
        lambda m: (m.floor(-0.5), m.ceil(-0.5), m.trunc(-1.75), m.floor(2), m.gcd(12, 18), m.prod([2, 3])),
        lambda m: (m.atan2(1.0, -2.0), m.copysign(2.0, -0.5), m.dist([1, 2], [4, 6]), m.fsum([0.5, 0.25]), m.tau, m.e),
        lambda m: (m.isclose(1, 1 + 1e-10), m.isclose(1, 1.1), m.isclose(0, 1e-10), m.isclose(0, 1e-10, abs_tol=1e-9)),
        lambda m: (m.isclose(100.0, 101.0, rel_tol=0.01), m.isclose(-1.0, 1.0, rel_tol=0.5), m.inf, m.degrees(m.pi)),
    ],
)
def test_math_with_two_arguments_and_its_constants(call):
    for mine, right in zip(call(MATH), call(math), strict=True):
        assert (float(mine.v) if isinstance(mine, Ball) else mine) == pytest.approx(right, rel=1e-15)
        assert isinstance(mine, Ball) == (isinstance(right, float) and math.isfinite(right))


def test_math_raises_where_math_does_and_knows_pi_to_all_digits():
    for call in (lambda: MATH.sqrt(-1), lambda: MATH.log(0), lambda: MATH.acos(2)):
        with pytest.raises(ValueError, match=r"^math domain error$"):
            call()
    assert abs(MATH.pi.v - arb.pi()).upper() < 1e-70
    assert MATH.sqrt(wrap(balls([4]))) == 2 and (MATH.floor(Ball(2.5)), MATH.ceil(np.float64(2.5))) == (2, 3)


def imported(name, fromlist=(), folder=None, load=None):
    return modules.importer(folder, load)(name, None, None, fromlist)


def test_an_import_gives_a_stand_in_nothing_or_the_module_itself(tmp_path):
    assert imported("numpy") is NUMPY and imported("numpy.linalg") is NUMPY
    assert floats(imported("numpy.linalg", ("norm",)).norm(np.array([3.0, 4.0]))) == 5
    assert imported("scipy.special", ("expit",)).expit(0) == 0.5
    assert imported("jax.numpy", ("exp",)) is JAX["jax.numpy"]
    assert imported("pathlib", ("Path",)) is pathlib and imported("tqdm").tqdm([1, 2]).set_postfix(a=1) is None
    assert (
        isinstance(imported("matplotlib.pyplot"), Nothing) and not imported("matplotlib.pyplot").pyplot.isinteractive()
    )
    with pytest.raises(NotJudged, match=r"^pandas\.read_csv$"):
        bool(imported("pandas").read_csv("data.csv"))
    (tmp_path / "layers.py").write_text("")
    assert imported("layers", folder=tmp_path, load=lambda file, name: (file, name)) == (
        tmp_path / "layers.py",
        "layers",
    )
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'there_is_none'$"):
        imported("there_is_none", folder=tmp_path)


@pytest.mark.parametrize(("name", "library"), [("torch.nn", "PyTorch"), ("tensorflow", "TensorFlow")])
def test_code_of_a_library_that_learns_is_refused_with_what_to_do(name, library):
    with pytest.raises(Refused, match=f"uses {library} is not judged here: write the derivation with NumPy"):
        imported(name)
    with pytest.raises(ImportError):
        imported(name)


def test_the_builtins_print_nothing_write_nothing_and_make_balls(tmp_path, capsys):
    names = modules.builtins_of(None, None)
    assert names["print"]("loud") is None and names["input"]("name? ") == "" and not capsys.readouterr().out
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with names["open"](path, "w") as file:
        file.write("new")
    with names["open"](path) as file:
        assert file.read() == path.read_text() == "old"
    assert isinstance(names["open"](path, "wb"), io.BytesIO)
    third = names["float"](1) / 3
    assert abs((third * 3 - 1).v).upper() < 1e-70 and isinstance(third, names["float"])
    assert names["complex"](0, 1) ** 2 == -1 and names["float"]("2.5") == 2.5
    assert list(modules.Progress(range(3))) == [0, 1, 2] and len(modules.Progress([1, 2])) == 2
    assert modules.MODULES["time"].sleep(10**6) is None


# Nothing.


def test_plots_swallow_what_is_done_with_them():
    plt = Nothing("matplotlib.pyplot", True)
    _, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2])[0].set_color("red")
    left.title = "loss"
    with plt.style.context("dark"):
        right["a"] = plt.cm.viridis(0.5) * 2 + 1
    assert [*zip(plt.gcf().axes, [1, 2], strict=False)] == []
    assert plt.decorator(imported) is imported and not plt.isinteractive()
    with pytest.raises(AttributeError):
        plt.__version__  # noqa: B018


USES = [bool, len, float, int, list, lambda x: np.ones(2)[x], lambda x: math.sqrt(x), lambda x: "a" if x else "b"]


@pytest.mark.parametrize("use", USES)
def test_a_value_of_a_table_that_is_used_is_not_judged_with_its_name_and_line(use):
    table = Nothing("pandas", False)
    value = (table.read_csv("data.csv")["x"] - 1) / 2
    line = test_a_value_of_a_table_that_is_used_is_not_judged_with_its_name_and_line.__code__.co_firstlineno
    with pytest.raises(NotJudged, match=r"^pandas\.read_csv$") as caught:
        use(value)
    assert caught.value.line == line + 3


def test_what_is_refused_is_refused_once_it_is_called():
    use = refused("np.matrix")
    with pytest.raises(NotJudged, match=r"^np\.matrix$"):
        use([1], dtype=float)


# NumPy's own Python.


def test_a_function_written_in_python_runs_with_other_functions_below_it():
    asked = []

    def public(name, native):
        asked.append(name)
        return 3.0 if name == "pi" else native

    np.testing.assert_array_equal(written_in_python(np.cov, public)(A), np.cov(A))
    assert {"average", "array"} <= set(asked) and written_in_python(np.dot, public) is None
    assert written_in_python(np.cov, public) is written_in_python(np.cov, public)
    np.testing.assert_allclose(written_in_python(np.sinc, public)(0.5), math.sin(1.5) / 1.5)


# Randomness.


def test_random_numbers_are_numpys_and_each_means_itself():
    mine, real = NumpyRandom(), np.random.RandomState(0)
    drawn = mine.randn(2, 3)
    np.testing.assert_array_equal(floats(drawn), real.randn(2, 3))
    assert all(v.v.is_exact() for v in np.asarray(drawn).ravel())  # 0.1 drawn is the float, and not 1/10
    assert mine.normal(Ball(2), 0.5).v == arb(real.normal(2, 0.5))
    np.testing.assert_array_equal(mine.randint(0, 9, 4), real.randint(0, 9, 4))
    mine.restart()
    np.testing.assert_array_equal(floats(mine.randn(2, 3)), floats(drawn))
    generator = mine.default_rng(5)
    assert mine.default_rng(generator) is generator
    np.testing.assert_array_equal(floats(generator.random(3)), np.random.default_rng(5).random(3))
    assert floats(mine.default_rng().random(3)).tolist() != floats(mine.default_rng().random(3)).tolist()
    np.testing.assert_array_equal(floats(mine.RandomState(1).rand(2)), np.random.RandomState(1).rand(2))


def test_what_is_shuffled_or_chosen_stays_the_number_that_it_is():
    values = wrap(balls(np.array([0.1, 0.2, 0.3])))
    before = set(map(id, np.asarray(values).tolist()))
    chosen = NumpyRandom().permutation(values)
    assert set(map(id, np.asarray(chosen).tolist())) == before
    NumpyRandom().shuffle(values)
    assert set(map(id, np.asarray(values).tolist())) == before


def test_pythons_random_is_seeded_too():
    mine, real = PythonRandom(), random.Random(0)
    assert [mine.random().v for _ in range(3)] == [arb(real.random()) for _ in range(3)]
    assert mine.randint(0, 99) == real.randint(0, 99) and mine.sample(range(9), 4) == real.sample(range(9), 4)
    first = mine.uniform(Ball(-1), 1)
    assert first.v == arb(real.uniform(-1, 1))
    mine.restart()
    assert mine.random().v == arb(random.Random(0).random())

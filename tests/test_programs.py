"""Files, notebooks and function objects as programs over balls: what of them runs, what is watched, what is refused."""

import json
import math
import subprocess
import sys
import textwrap
from fractions import Fraction

import numpy as np
import pytest

from tests.numpy_styles import STYLES
from tests.test_numpy_code import Params, agree, leaves, network, network_of
from twolayer.verification.numbers.balls import Ball, Undecided, balls, floats, precision
from twolayer.verification.numbers.rounded import Rounded, rounding
from twolayer.verification.programs import NotJudged, RaisedInside, Refused
from twolayer.verification.programs.numpy_code import File, from_function, run_floats


@pytest.fixture
def write(tmp_path):
    def write(text, name="homework.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return File(path)

    return write


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


def run(file, *arguments, name="f", **options):
    return file.program(name).run(*arguments, **options)


# What runs of a file.


def test_only_what_a_function_needs_of_the_top_level_is_run(write):
    file = write("""
        import numpy as np
        rate = 0.5
        table = {}
        table["k"] = 2
        data = open("train.csv").read()
        for i in range(10**9):
            weights = i * data
        def half(t): return rate * t * table["k"]
        def f(t): return half(t)
        print(1 / 0)
    """)
    assert floats(run(file, Ball(3)).result) == 3


def test_a_file_that_is_needed_and_missing_is_one_line(write):
    file = write("""
        import numpy as np
        data = np.loadtxt("train.csv")
        def f(t):
            return data * t
    """)
    with pytest.raises(
        RaisedInside, match=r"^homework.py:2: `data = np.loadtxt\(.*` raised FileNotFoundError: .*train.csv"
    ):
        run(file, Ball(3))


def test_training_at_the_top_level_that_is_needed_is_stopped(write, monkeypatch):
    monkeypatch.setattr("twolayer.verification.programs.execution.TOP_LEVEL_SECONDS", 0.2)
    file = write("""
        W = 1.0
        while True:
            W = W * 1.0
        def f(t):
            return W * t
    """)
    with pytest.raises(Refused, match=r"homework.py:2: `while True:` takes more than 0 s; put it under if __name__"):
        run(file, Ball(3))


def test_a_notebook_is_its_code_cells_in_order(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# words that are no Python"]},
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "!pip install numpy\n", "import numpy as np\n", "?np.dot"],
        },
        {"cell_type": "code", "source": ["%%time\n", "def relu(z):\n", "    %prun x\n", "    return np.maximum(z, 0)"]},
        {"cell_type": "code", "source": "%%bash\nls -l | wc\n"},
        {"cell_type": "code", "source": ["files = !ls\n", "def f(z): return relu(z) / 2"]},
    ]
    path = tmp_path / "homework.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    assert floats(run(File(path), balls([-1.0, 3.0])).result).tolist() == [0, 1.5]
    with pytest.raises(RaisedInside, match=r"homework.ipynb, code cell 2, line 4: `return np.maximum\(z, 0\)` raised"):
        run(File(path), np.array(["a"]))


def test_pasted_text_is_python_too(tmp_path):
    (tmp_path / "indented.txt").write_bytes(b"  import numpy as np\r\n  def f(t): return t * 2 # \xe9\r\n")
    (tmp_path / "prompts.txt").write_text(">>> import numpy as np\n>>> def f(t):\n...     return t * 2\n")
    for name in ("indented.txt", "prompts.txt"):
        assert floats(run(File(tmp_path / name), Ball(3)).result) == 6


def test_an_except_clause_hides_nothing(write):
    file = write("""
        import numpy as np
        def f(t):
            try:
                return np.spacing(t)
            except Exception:
                return t
        def g(t):
            try:
                return t if t * 3 / 3 > t else 0
            except:
                return t
        try:
            import cupy as xp
        except ImportError:
            import numpy as xp
        def h(t): return xp.exp(t)
    """)
    with pytest.raises(NotJudged, match="hides"):
        run(file, balls([1.0]))
    with pytest.raises(Undecided, match="hides"):
        run(file, Ball(1) / 7, name="g")
    assert abs(floats(run(file, Ball(1), name="h").result) - math.e) < 1e-15


def test_numbers_are_keys_as_floats_are(write):
    file = write("def f(y): return len(set(y)), {0.5: 1, 2: 3}[y[0]], {v: i for i, v in enumerate(y)}[2.0]\n")
    assert run(file, balls([0.5, 2.0, 2.0, 0.5])).result == (2, 1, 2)


def test_a_broken_notebook_or_file_is_refused_in_one_line(tmp_path, write):
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(Refused, match="no notebook of version 4"):
        File(tmp_path / "a.ipynb")
    with pytest.raises(Refused, match=r"homework.py:1: .*parentheses in call to 'print'.*Python 2"):
        run(write("print 'hello'\n"))
    with pytest.raises(Refused, match="No such file"):
        File(tmp_path / "none.py")
    with pytest.raises(Refused, match=r"homework.py: it defines no f$"):
        run(write("g = 3\n"))
    with pytest.raises(Refused, match="f is no function"):
        run(write("f = 3\n"))


def test_a_module_of_the_users_beside_the_file_runs_too(tmp_path, write):
    (tmp_path / "layers.py").write_text(
        "import numpy as np\nEPS = 1 / 3\ndef relu(z):\n    return np.maximum(z, 0) * EPS\n"
    )
    file = write("from layers import *\nimport layers\ndef f(z): return relu(z) - layers.relu(z) + layers.EPS\n")
    assert all(abs(third - Ball(1) / 3).v < 1e-60 for third in run(file, balls([1.0, 2.0])).result)


def test_pytorch_is_told_what_to_do(write):
    file = write("import torch\ndef f(t): return torch.relu(t)\n")
    with pytest.raises(Refused, match="PyTorch is not judged here: write the derivation with NumPy"):
        run(file, Ball(1))


# No number becomes a float in silence.


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("np.spacing(t)", "np.spacing"),
        ("np.matrix(t)", "np.matrix"),
        ("scipy.stats.rankdata(t)", "scipy.stats.rankdata"),
        ("scipy.special.lambertw(t)", "scipy.special.lambertw"),
        ("sklearn.metrics.log_loss(t, t) * t", "sklearn.metrics.log_loss"),
        ("pd.DataFrame(t).values", "pandas.DataFrame.values"),
        ("math.nextafter(t[0], 1)", "math.nextafter"),
        ("statistics.mean(t)", "statistics.mean"),
        ("struct.pack('d', t[0])", "struct.pack"),
    ],
)
def test_what_needs_floats_is_named_with_its_line(write, line, operation):
    file = write(f"""
        import math, statistics, struct
        import numpy as np
        import pandas as pd
        import scipy.special, scipy.stats
        import sklearn.metrics
        def f(t):
            return {line}
    """)
    with pytest.raises(NotJudged) as raised:
        run(file, balls([0.5, 1.5]))
    assert operation.split(".")[-1] in str(raised.value) and "homework.py:7" in str(raised.value)
    assert raised.value.line == 7


def test_numbers_that_python_divides_stay_exact(write):
    file = write("""
        import math
        import numpy as np
        n = 2
        def f(t):
            third = sum(1 / k for k in range(1, 60))
            return t * third, t * math.sqrt(2) ** 2, t * np.sqrt([2, 3]) ** 2, t * np.mean([0.1] * 7), int(np.sqrt(49))
        def g(t): return t * 0.999 ** 1000, t / n ** 0.5 / n ** 0.5 * n, n ** 3, n ** -1
    """)
    total, two, squares, mean, seven = run(file, Ball(1)).result
    decayed, one, eight, half = run(file, Ball(1), name="g").result
    assert (
        abs(decayed / (Ball(999) / 1000) ** 1000 - 1).v < 1e-70
        and abs(one - 1).v < 1e-70
        and eight == 8
        and half * 2 == 1
    )
    assert abs(total - Ball(sum(Fraction(1, k) for k in range(1, 60)))).v < 1e-70
    assert abs(two - 2).v < 1e-70 and all(abs(s - n).v < 1e-70 for s, n in zip(squares, (2, 3), strict=True))
    assert abs(mean - Ball(Fraction(1, 10))).v < 1e-70 and seven == 7


def test_constants_of_the_top_level_serve_1100_bits(write):
    file = write("import numpy as np\nTAU = 2 * np.pi\ndef f(t): return TAU * t\n")
    with precision(1100):
        assert run(file, Ball(1)).result.v.rad() < 2.0**-1000


def test_an_error_that_floats_have_too_is_the_codes(write):
    file = write("""
        import numpy as np
        def f(t):
            return {"a": 1} - t
        def g(t):
            return np.add(t, None)
        def h(t):
            return np.spacing(t, 10**9, 5)
        def k(t):
            return np.fromiter([0, 1], float, like=None)
    """)
    with pytest.raises(NotJudged, match=r"`return np.fromiter.*unexpected keyword.* at .*homework.py:9"):
        run(file, balls([1.0]), name="k")
    with pytest.raises(RaisedInside, match=r"homework.py:3: .* raised TypeError: unsupported operand"):
        run(file, Ball(1))
    with pytest.raises(RaisedInside, match=r"homework.py:5: .* raised TypeError: unsupported operand"):
        run(file, balls([1.0]), name="g")
    with pytest.raises(NotJudged, match=r"np.spacing at .*homework.py:7"):
        run(file, balls([1.0]), name="h")


def test_an_error_of_the_code_is_one_line_with_its_place(write):
    file = write("""
        import numpy as np
        def f(t):
            s = np.dot(
                t, np.ones(5))
            return s
    """)
    with pytest.raises(
        RaisedInside, match=r"homework.py:3: `s = np.dot\( t, np.ones\(5\)\)` raised ValueError: shapes"
    ):
        run(file, balls([1.0, 2.0]))


def test_prints_plots_and_questions_do_not_disturb(write, capfd):
    file = write("""
        import sys, warnings, logging
        import numpy as np
        import matplotlib.pyplot as plt
        import seaborn as sns
        def f(t):
            print("hello"); sys.stdout.write("x"); warnings.warn("careful"); logging.warning("no")
            input("go on?")
            fig, ax = plt.subplots(1, 2)
            ax.plot(t); ax[0].set_title("%.2f" % t[0]); plt.show()
            for a in fig.axes: a.clear()
            with open("log.txt", "w") as out: out.write("half")
            np.savetxt("w.txt", t)
            return t
    """)
    assert run(file, balls([1.0])).result[0] == 1
    assert capfd.readouterr() == ("", "")
    assert not list(__import__("pathlib").Path(file.path.parent).glob("*.txt"))


def test_randomness_differs_from_call_to_call_and_not_from_load_to_load(write):
    text = """
        import random
        import numpy as np
        def f(t): return t * np.random.rand(3), random.random()
        def g(t): np.random.seed(1); return t * np.random.rand(3)
    """
    program = write(text).program("f")
    first, second = program.run(Ball(1)).result, program.run(Ball(1)).result
    again = write(text).program("f").run(Ball(1)).result
    assert (first[0] != second[0]).all() and first[1] != second[1]
    assert (first[0] == again[0]).all() and first[1] == again[1]
    seeded = write(text).program("g")
    assert (seeded.run(Ball(1)).result == seeded.run(Ball(1)).result).all()


def test_an_empty_array_that_is_not_filled_is_no_number(write):
    file = write("import numpy as np\ndef f(t):\n    a = np.empty(2)\n    a[0] = t\n    return a\n")
    result = run(file, Ball(1)).result
    assert result[0] == 1 and not result[1].v.is_finite()


# What is watched.


def test_every_setting_of_a_local_is_seen_with_its_line(write):
    file = write("""
        import numpy as np
        class Net:
            def go(self, z):
                self.cache = {"Z": z * 2}
                self.a = z
                self.a *= 3
                return self.a + 1
        def f(z):
            net = Net()
            h = net.go(z)
            h[h < 0] = 0
            np.exp(h, out=h)
            out = (h
                   + 1)
            for row in out.T:
                row -= 1
            return {
                "a": h * 2,
                "b": out,
            }
    """)
    watched = run(file, balls([[1.0, -2.0]]), watch=True)
    plain = run(file, balls([[1.0, -2.0]]))
    assert plain.locals == () and agree(leaves(plain.result), leaves(watched.result))
    seen = [(local.line, local.name, local.text) for local in watched.locals]
    assert seen == [
        (4, "self.cache['Z']", 'self.cache = {"Z": z * 2}'),
        (6, "self.a", "self.a *= 3"),  # which is z too
        (7, "return", "return self.a + 1"),
        (10, "z", "h = net.go(z)"),
        (10, "h", "h = net.go(z)"),
        (11, "h", "h[h < 0] = 0"),
        (12, "h", "np.exp(h, out=h)"),
        (13, "out", "out = (h + 1)"),
        (15, "row", "for row in out.T:"),
        (16, "out", "row -= 1"),
        (16, "row", "row -= 1"),
        (15, "row", "for row in out.T:"),
        (16, "out", "row -= 1"),
        (16, "row", "row -= 1"),
        (18, "return['a']", "'a': h * 2"),
    ]
    h = [local.value for local in watched.locals if local.name == "h"]
    assert floats(h[0]).tolist() == [[4, -5]] and floats(h[1]).tolist() == [[4, 0]] and floats(h[2])[0, 1] == 1


def test_watching_keeps_the_first_settings_in_a_loop_and_the_last(write):
    file = write("def f(t):\n    for i in range(1000):\n        t = t + 1\n    return t\n")
    seen = run(file, Ball(0), watch=True).locals
    assert len(seen) < 100 and floats(seen[0].value) == 1 and floats(seen[-1].value) == 1000


def test_code_that_mixes_numpy_and_jax_runs(write):
    file = write("""
        import numpy as np
        import jax, jax.numpy as jnp
        @jax.jit
        def forward(W, z): return jax.nn.relu(z @ W.T)
        def f(W, z):
            h = np.asarray(forward(W, z))
            h[h > 2] = 0
            return jnp.zeros_like(W).at[0].add(h.sum(0)[:2]), jax.vmap(jnp.sum)(h)
    """)
    W, z = np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([[3.0, 1.0], [1.0, -1.0]])
    mine = leaves(run(file, balls(W), balls(z)).result)
    assert agree(mine, leaves((np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([2.75, 0.25]))))


def test_watching_a_long_run_ends_before_it(write):
    file = write("def f(t):\n    for i in range(100_000):\n        t = t + 1\n    return t\n")
    watched = run(file, Ball(0), watch=True)
    assert floats(watched.result) == 100_000 and floats(watched.locals[-1].value) < 10_000


def test_a_file_that_only_imports_jax_has_arrays_that_are_not_changed_in_place(write):
    file = write("""
        import jax.numpy as jnp
        def shift(z):
            z += 1
            return z
        def f(z):
            return z - shift(z)
        def g(z):
            z[0] = 1
    """)
    assert floats(run(file, balls([3.0])).result).tolist() == [-1]
    with pytest.raises(RaisedInside, match=r"immutable"):
        run(file, balls([3.0]), name="g")


# Function objects.

SCALE = 1 / 4
WEIGHTS = np.array([0.5, 0.1])


def helper(t):
    return np.maximum(t, 0) * SCALE


def closure(power):
    return lambda t: helper(t) ** power + math.sqrt(2) * WEIGHTS


class Layer:
    slope = 0.1

    def __init__(self, w):
        self.w = w

    def __call__(self, t):
        return self.scaled(t) + np.where(t > 0, t, self.slope * t)

    @staticmethod
    def twice(t):
        return 2 * t

    def scaled(self, t):
        self.last = self.twice(t) * self.w
        return self.last


layer = Layer(np.array([0.3, 0.7]))


def through_layer(t):
    return layer(t)


@pytest.mark.parametrize(
    "function", [helper, closure(3), layer, layer.scaled, through_layer, np.vectorize(math.exp), np.tanh]
)
def test_function_objects_run_as_copies(function):
    x = np.array([0.25, -1.5])
    mine = from_function(function).run(balls(x)).result
    assert agree(leaves(mine), leaves(function(x)))
    assert type(WEIGHTS) is np.ndarray and WEIGHTS.dtype == np.float64
    assert type(layer.w) is np.ndarray and type(getattr(layer, "last", WEIGHTS)) is np.ndarray


def test_what_is_not_written_in_python_is_refused():
    with pytest.raises(Refused, match="no function written in Python"):
        from_function(len)


def test_a_function_object_knows_its_lines():
    program = from_function(closure(2))
    assert program.filename == __file__
    with pytest.raises(RaisedInside, match=r"test_programs.py:\d+: `return lambda t: helper\(t\)"):
        program.run(balls([1.0, 2.0, 3.0]))


# Rounding.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["class_with_self", "columns_with_caches", "lists_of_arrays", "closures_and_partial"])
@pytest.mark.filterwarnings("ignore")
def test_floats_stay_within_the_rounded_balls(tmp_path, name, dtype):
    path = tmp_path / f"{name}.py"
    path.write_text(STYLES[name])
    program = File(path).program("gradients")
    params, x, y = network()
    params, x, y = {k: v / 4 for k, v in params.items()}, x / 4, y
    real = run_floats(program.floats(), (Params(**params), x, y), dtype)
    as_array = lambda v: np.vectorize(Rounded, otypes=[object])(balls(v.astype(dtype).astype(float)))  # noqa: E731
    with rounding(dtype):
        result = program.run(Params(**{k: as_array(v) for k, v in params.items()}), as_array(x), as_array(y)).result
    parts = result.items() if isinstance(result, dict) else enumerate(result)
    for key, enclosure in parts:
        for ball, number in zip(np.ravel(enclosure).tolist(), np.ravel(real[key]).tolist(), strict=True):
            assert isinstance(ball, Rounded) and ball.v.contains(number_of(number)), (key, ball.v, number)
            assert ball.v.rad() < (1e-2 if dtype == "float32" else 1e-10)


def number_of(number):
    import flint

    return flint.arb(number)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_order_of_summation_is_enclosed(dtype):
    rng = np.random.default_rng(0)
    numbers = (rng.normal(size=200) * 10.0 ** rng.integers(-6, 6, 200)).astype(dtype)
    import flint

    with rounding(dtype):
        ball = sum((Rounded(flint.arb(float(n))) for n in numbers[1:]), Rounded(flint.arb(float(numbers[0]))))
    for _ in range(200):
        total = np.dtype(dtype).type(0)
        for n in rng.permutation(numbers):
            total = total + n
        assert ball.v.contains(flint.arb(float(total)))
    assert ball.v.rad() < 1e3 * np.finfo(dtype).eps * np.abs(numbers).sum()


def test_a_comparison_that_rounding_leaves_open_is_undecided():
    with rounding("float32"):
        third = Rounded(1) / 3
        with pytest.raises(Undecided):
            bool(third * 3 > 1)
        assert third > 0.3333 and not Rounded(2) > 3


def test_overflow_is_no_number():
    with rounding("float32"):
        assert not (Rounded(90).exp()).v.is_finite() and Rounded(80).exp().v.is_finite()


def test_a_constant_is_rounded_before_it_is_used():
    import flint

    with rounding("float32"):
        ball = Rounded(flint.arb(1)) * 0.1
        assert ball.v.contains(flint.arb(float(np.float32(0.1)))) and not Ball(1).v.contains(flint.arb(2))


def test_numpy_code_is_judged_without_jax():
    code = (
        "import sys, time; import numpy, flint; start = time.process_time();"
        "sys.modules['twolayer'] = type(sys)('twolayer'); sys.modules['twolayer'].__path__ = ['twolayer'];"
        "import twolayer.verification.programs.numpy_code; print(time.process_time() - start);"
        "print([m for m in ('jax', 'scipy', 'matplotlib', 'pandas', 'torch') if m in sys.modules])"
    )
    seconds, loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split("\n")[
        :2
    ]
    assert loaded == "[]" and float(seconds) < 2


def test_style_arguments_are_those_of_the_network():
    assert [a.shape for a in network_of()[0]] == [(5, 3), (5,), (4, 5), (4,)]

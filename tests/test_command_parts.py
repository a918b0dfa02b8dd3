"""Parts of the commands: a derivative of any function from files, flags that take one's own, and provenance."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
from absl import flags

from twolayer.command import any_function, choices, loading, provenance
from twolayer.command.cli import BadInput

FILE = """import numpy as np

SHAPES = {"x": "n"}
DOMAINS = {"x": "positive"}


def loss(x):
    return np.log(x).sum()


def gradients(x):
    return {"x": 1 / x}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_file_with_shapes_is_a_derivative_of_any_function(write, tmp_path):
    path = write(FILE)
    assert any_function.has_shapes(path) and not any_function.has_shapes(write("x = 1", "other.py"))
    assert not any_function.has_shapes(None) and not any_function.has_shapes(str(tmp_path))
    assert any_function.of_file(loading.read(path), strict=False).verdict == "right"
    wrong = write(FILE.replace("1 / x}", "2 / x}"))
    assert any_function.of_file(loading.read(wrong), strict=True).verdict == "wrong"
    guarded = loading.read(write(FILE.replace("1 / x}", "1 / (x + 1e-9)}"), "guarded.py"))
    assert any_function.of_file(guarded, strict=False).causes[0].id == "guard"
    assert any_function.of_file(guarded, allow_guards=True).verdict == "right"
    without = write(FILE.replace("def loss", "def cost"), "without.py")
    with pytest.raises(BadInput, match=r"^without\.py has SHAPES and defines no loss$"):
        any_function.of_file(loading.read(without), strict=False)


RULE = """import jax
import jax.numpy as jnp


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))


def fourth(x):
    return x**4
"""


def test_a_rule_is_read_with_its_reference_and_its_shapes(write):
    path = write(RULE)
    assert any_function.of_rule(f"{path}:cube", None, "x: n", strict=False).verdict == "right"
    other = any_function.of_rule(f"{path}:cube", f"{path}:fourth", "x: n", strict=False)
    assert {name: one["verdict"] for name, one in other.outputs.items()} == {"value": "wrong", "dx": "wrong"}


@pytest.mark.parametrize(
    ("rule", "shapes", "said"),
    [
        ("cube", "x: n", r"--rule=cube must be FILE\.py:NAME"),
        ("{}:cu-be", "x: n", r"must be FILE\.py:NAME"),
        ("{}:square", "x: n", r"mine\.py defines no square"),
        ("{}:cube", None, "--rule needs the shapes of the arguments"),
        ("{}:cube", "x n", "--shapes: 'x n' is not `name: sizes`"),
        ("{}:cube", "x", "--shapes: 'x' is not `name: sizes`"),
        ("{}:cube", "x: n, : d", "--shapes: ': d' is not `name: sizes`"),
    ],
)
def test_a_rule_that_is_not_there_is_one_line(write, rule, shapes, said):
    with pytest.raises(BadInput, match=said):
        any_function.of_rule(rule.format(write(RULE)), None, shapes, strict=False)


# Flags that take a name, or something of one's own.


@pytest.mark.parametrize(
    ("argument", "own"),
    [("adam", choices.OWN_ENTRY), ("mine.py:swish", choices.OWN_ENTRY), ("leaky_relu(0.2)", choices.OWN_ENTRY),
     ("leaky_relu(0.2)", choices.SLOPE), ("rows.csv", choices.OWN_DATA), ("sklearn:wine", choices.OWN_DATA)],
)  # fmt: skip
def test_a_flag_takes_its_names_and_what_is_written_as_ones_own(argument, own):
    assert choices.NameOrOwn(["adam", "sgd"], *own).parse(argument) == argument


@pytest.mark.parametrize(
    ("argument", "own", "said"),
    [
        ("adan", choices.OWN_ENTRY, r"value should be one of <adam\|sgd> or FILE\.py:NAME"),
        ("leaky_relu", choices.SLOPE, r"or leaky_relu\(SLOPE\)"),
        ("leaky_relu(steep)", choices.SLOPE, "leaky_relu"),
        ("mine.py", choices.OWN_ENTRY, "value should be one of"),
    ],
)
def test_a_flag_says_what_it_takes(argument, own, said):
    with pytest.raises(ValueError, match=said):
        choices.NameOrOwn(["adam", "sgd"], *own).parse(argument)


def test_a_flag_is_defined_with_its_default_and_its_help():
    choices.define("of_a_test", "sgd", ["adam", "sgd"], "how it steps")
    flag = flags.FLAGS["of_a_test"]
    assert (flag.default, flag.help) == ("sgd", "<adam|sgd>, or FILE.py:NAME: how it steps")
    delattr(flags.FLAGS, "of_a_test")


# Where a result comes from.


def test_provenance_has_no_path_and_the_commit_of_the_package(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/home/one/train.py", "--epochs=3"])
    monkeypatch.setenv("XLA_FLAGS", "--xla_one")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    found = provenance.provenance(["pytest", "there-is-none"])
    assert found["argv"] == ["train.py", "--epochs=3"]
    assert found["environment"]["XLA_FLAGS"] == "--xla_one" and "JAX_PLATFORMS" not in found["environment"]
    assert found["versions"]["numpy"] == importlib.metadata.version("numpy")
    assert found["versions"]["pytest"] and found["versions"]["there-is-none"] is None
    assert found["versions"]["python"].split(".")[0] == "3" and found["platform"]["cpus"] >= 1
    if found["git"] is not None:  # a checkout
        assert re.fullmatch("[0-9a-f]{40}", found["git"]["commit"]) and type(found["git"]["dirty"]) is bool


def test_a_package_outside_of_a_repository_has_no_commit(monkeypatch):
    def failing(command, **options):
        raise subprocess.CalledProcessError(128, command)

    monkeypatch.setattr(subprocess, "run", failing)
    assert provenance.provenance()["git"] is None


def test_the_time_and_the_processor_in_words():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", provenance.now())
    assert provenance.processor({"cpus": 1, "cpu": "EPYC"}) == "a core of EPYC"
    assert provenance.processor({"cpus": 2, "cpu": "EPYC"}) == "2 cores of EPYC"

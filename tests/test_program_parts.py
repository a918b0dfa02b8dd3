"""What a program is made of: copies of functions, variables as they are set, a jaxpr as data, custom rules."""

import enum
import functools
import math
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax import lax

from twolayer.verification.numbers.balls import Ball, balls, floats, precision
from twolayer.verification.programs import jaxprs, rules
from twolayer.verification.programs.copies import Copies, global_names
from twolayer.verification.programs.jax_code import JaxProgram
from twolayer.verification.programs.local_variables import FIRST, Watch, parts, watching
from twolayer.verification.programs.source import Source
from twolayer.verification.programs.stand_ins.arrays import Array
from twolayer.verification.programs.stand_ins.modules import MATH, Float
from twolayer.verification.programs.stand_ins.numpy_module import NUMPY
from twolayer.verification.programs.traced_variables import Outer, TraceWatch


@pytest.fixture(autouse=True)
def bits():
    with precision(256):
        yield


# Copies of functions. What they find in this module are the real NumPy and math.

FACTOR = np.array([0.1, 0.2])


class Side(enum.Enum):
    LEFT, RIGHT = 1, 2


def halved(t, side=Side.LEFT):
    return t / (2 if side is Side(1) else 3)


def of_module(x, power=0.1):
    return math.exp(halved(x)) + np.sum(FACTOR) * power


class Layer:
    scale = np.array([0.1])

    def __init__(self, w):
        self.w = w

    @property
    def twice(self):
        return 2 * self.w

    @staticmethod
    def cut(x):
        return np.maximum(x, 0)

    def __call__(self, x):
        return self.cut(x * self.twice) * self.scale


def closed_over(w):
    def inner(x):
        return float(w) * np.tanh(x)

    return inner


def composed(f):
    return lambda x: f(x)


def tenth(value):
    """Whether a number is 1/10 to 60 digits, which no float is."""
    return abs((value * 10 - 1).v).upper() < 1e-60


def test_a_copy_computes_with_balls_and_the_module_stays_as_it_is():
    before = dict(globals())
    copied = Copies().of(of_module)
    found = copied(Ball(0))
    assert abs((found * 100 - 103).v).upper() < 1e-60  # 1 + 3/10 times 1/10
    assert copied.__globals__["np"] is NUMPY and copied.__globals__["math"] is MATH
    assert copied.__globals__["halved"] is not halved and copied is not of_module
    assert type(copied.__globals__["FACTOR"]) is Array
    assert type(of_module(0.0)) is np.float64 and globals() == before and "Layer" not in copied.__globals__


def test_objects_methods_closures_and_partials_are_copied_with_what_they_hold():
    layer, copies = Layer(0.5), Copies()
    twin = copies.of(layer)
    assert tenth(twin(Ball(1)).item()) and type(layer(1.0)) is np.ndarray and twin is not layer
    assert copies.of(layer) is twin and isinstance(twin, copies.of(Layer)) and copies.of(layer.cut)(Ball(-1)) == 0
    assert tenth(copies.of(functools.partial(halved))(Ball(1)) / 5)
    inner = copies.of(closed_over(3))
    assert isinstance(inner(Ball(1)), Ball) and inner.__globals__["__builtins__"]["float"] is Float
    (cell,) = copies.of(composed(halved)).__closure__
    assert cell.cell_contents is copies.of(halved)
    assert copies.of([halved, {"f": halved}])[1]["f"] is copies.of(halved)
    assert copies.of(np.vectorize(halved))(np.array([1.0])).dtype == np.float64


@pytest.mark.parametrize(
    ("value", "argument", "right"),
    [
        (np.tanh, 0.5, math.tanh(0.5)),
        (math.exp, 0.5, math.exp(0.5)),
        (scipy.special.expit, 0.5, scipy.special.expit(0.5)),
    ],
)
def test_a_function_of_a_library_is_its_stand_in(value, argument, right):
    copied = Copies().of(value)
    assert isinstance(copied(Ball(argument)), Ball) and float(copied(Ball(argument)).v) == pytest.approx(right)
    assert Copies().of(copied) is copied


def test_what_needs_no_copy_stays_itself():
    for value in (3, "text", None, len, sys, Side, Side.LEFT):
        assert Copies().of(value) is value
    assert Copies().of(float) is Float and Copies().of(np) is NUMPY


def test_the_names_that_a_function_reads():
    assert global_names(of_module.__code__) == {"math", "halved", "np", "FACTOR"}
    assert global_names(closed_over.__code__) == {"float", "np"}


# Variables as they are set.

TEXT = """def f(x, keep):
    a = 2 * x
    b, c = a + 1, 'text'
    for i in range(3):
        a[i] = 7 * a[i]
    keep['b'] = b
    return {'sum': a + b,
            'own': -a}
"""


def watched(text, *arguments):
    """What the variables of f were."""
    source = Source("people.py", text)
    watch, space = Watch(source), {}
    exec(compile(text, source.filename, "exec"), space)
    with watching(watch):
        space["f"](*arguments)
    return watch.settings()


def test_every_setting_has_its_line_name_and_value():
    found = watched(TEXT, balls([1, 2, 3]), {})
    told = [(one.line, one.name, floats(one.value).tolist()) for one in found]
    assert told[:2] == [(2, "a", [2, 4, 6]), (3, "b", [3, 5, 7])]
    assert told[2:5] == [(5, "a", [14, 4, 6]), (5, "a", [14, 28, 6]), (5, "a", [14, 28, 42])]
    assert told[5:] == [(7, "return['sum']", [17, 33, 49]), (8, "return['own']", [-14, -28, -42])]
    assert found[1].text == "b, c = a + 1, 'text'" and found[-1].text == "'own': -a"
    assert sys.gettrace() is None or "watch" not in repr(sys.gettrace())


def test_of_two_names_for_an_array_that_of_the_statement_is_told():
    found = watched("def f(x):\n    a = 2 * x\n    b = a\n    b += 1\n    return b\n", balls([1]))
    assert [(one.line, one.name) for one in found] == [(2, "a"), (3, "b"), (4, "b")]


def test_of_many_runs_of_a_line_the_first_and_the_last_are_kept():
    found = watched("def f(x):\n    for i in range(100):\n        y = x + i\n    return y\n", balls([1]))
    values = [float(one.value[0].v) for one in found if one.name == "y"]
    assert values == [*map(float, range(1, FIRST + 1)), 100.0]


def test_the_arrays_in_a_variable():
    def array(value):
        return value if isinstance(value, np.ndarray) else None

    one, pair = np.ones(1), types.SimpleNamespace(W=np.ones(2), deeper={"a": {"b": {"c": np.ones(3)}}})
    found = dict(parts("v", {"k": one, 3: [one, [one]], "n": 5, "o": pair}, array))
    assert list(found) == ["v['k']", "v[3][0]", "v[3][1][0]", "v['o'].W"]
    named = jax.tree_util.Partial  # an opaque class of a library
    assert list(parts("v", named, array)) == []
    loop = {}
    loop["self"] = loop
    assert list(parts("v", loop, array)) == []
    assert dict(parts("v", one, array)) == {"v": one}


def test_variables_of_a_trace_are_arrays_of_the_whole_program():
    watch, seen = TraceWatch(Source("people.py", "")), []

    def program(x, w):
        watch.begin([x, w])
        own = watch.array(x)
        assert own == Outer(x, None) and watch.array(3.0) is None
        jax.vmap(lambda row: seen.append(watch.array(row)) or row)(x)
        jax.vmap(lambda row: seen.append(watch.array(row)) or row, in_axes=1)(x)
        jax.grad(lambda w: seen.append(watch.array(w)) or w.sum())(w)
        assert [one.batch_axis for one in seen] == [0, 1, None]
        assert [one.value is v for one, v in zip(seen, (x, x, w), strict=True)] == [True] * 3
        assert watch.stamp(own) == (id(x), x)
        return x

    jax.make_jaxpr(program)(jnp.ones((2, 3)), jnp.ones(2))
    entry = watch.entry(3, "dZ", Outer(None, 1), "dZ = a")
    assert (entry.line, entry.name, entry.array.batch_axis, entry.text) == (3, "dZ", 1, "dZ = a")
    assert len(seen) == 3


# A jaxpr as data.


def steps(x):
    y = jnp.where(x > 0.75, x * 0.125, 0.0)
    y = jnp.clip(y, -2, 2) + jnp.floor(y) + jnp.maximum(y, 0)
    return lax.scan(lambda c, t: (c * 1.5 + t, c), 0.0, y)[0] + jnp.array([2.5, 1.0])[0]


FIRST_LINE = steps.__code__.co_firstlineno
STEPS = jax.make_jaxpr(steps)(jnp.ones(3))


def test_the_numbers_and_thresholds_of_a_jaxpr():
    assert set(jaxprs.literals(STEPS)) == {0.75, 0.125, 1.5, 2.5}
    below = [f" at test_program_parts.py:{FIRST_LINE + i}" for i in (1, 2)]
    assert [f"gt{below[0]}", f"clip{below[1]}", f"floor{below[1]}"] == jaxprs.thresholds(STEPS)[:1] + [
        name for name in jaxprs.thresholds(STEPS) if name.startswith(("clip", "floor"))
    ]
    assert not [name for name in jaxprs.thresholds(STEPS) if name == f"max{below[1]}"]  # of 0


def test_a_walk_computes_what_the_function_computes():
    shown = []

    def apply(number, eqn, inputs):
        shown.append(number)
        return jaxprs.bind(eqn, inputs)

    closed = jax.make_jaxpr(lambda x: jnp.sin(x) * 2 + x)(1.0)
    (found,) = jaxprs.walk(closed.jaxpr, closed.consts, [0.5], apply, lambda value, aval: value)
    assert float(found) == pytest.approx(2 * math.sin(0.5) + 0.5) and shown == [0, 1, 2]


def test_loops_are_counted_as_written_out_and_calls_are_told_from_loops():
    loop = jax.make_jaxpr(lambda x: lax.scan(lambda c, t: (c * t + 1, c), 0.0, x))(jnp.ones(5))
    (scan,) = loop.jaxpr.eqns
    assert jaxprs.written_out(loop.jaxpr) == 1 + 5 * len(scan.params["jaxpr"].jaxpr.eqns) > 6
    call = jax.make_jaxpr(jax.jit(lambda x: jnp.sin(x)))(1.0)
    assert jaxprs.nested_call(call.jaxpr.eqns[0]) is not None
    assert jaxprs.nested_call(scan) is None
    names = [eqn.primitive.name for eqn in jaxprs.operations(call.jaxpr)]
    assert names[-1] == "sin" and jaxprs.name_of(call.jaxpr.eqns[0]) == "<lambda>"
    assert jaxprs.opened(call)[0] is call.jaxpr and jaxprs.opened(call.jaxpr) == (call.jaxpr, ())
    aval = call.jaxpr.invars[0].aval
    assert jaxprs.is_float(aval) and not jaxprs.is_complex(aval)


# Custom rules.


@jax.custom_vjp
def square(x, scale):
    return scale * x**2


square.defvjp(
    lambda x, scale: (scale * x**2 + 1, (x, scale)), lambda kept, g: (3 * kept[0] * g, (g * kept[0] ** 2).sum())
)


def twice(x, scale):
    return jnp.sin(square(x, scale)).sum()


X, SCALE = balls([0.5, -1.5]), np.asarray(Ball(2), object)


def program(function):
    return JaxProgram(function, __file__)


def numbers(result):
    return [floats(array).tolist() for array in result]


def test_a_rule_is_taken_out_of_the_plain_program_and_kept_in_the_other():
    arguments, outer = [X, SCALE], [balls([1, 1])]
    with_rule = rules.pullback(program(square), plain=False).run(arguments, outer).result
    without = rules.pullback(program(square), plain=True).run(arguments, outer).result
    assert numbers(with_rule) == [[1.5, -4.5], 2.5] and numbers(without) == [[2, -6], 2.5]  # 3 x, and 2 x scale
    assert floats(rules.forward_value(program(square)).run(X, SCALE).result).tolist() == [1.5, 5.5]
    assert floats(rules.plain_program(program(square)).run(X, SCALE).result).tolist() == [0.5, 4.5]


def test_second_derivatives_and_derivatives_along_a_direction():
    ways = [balls([1, 0]), np.asarray(Ball(0), object)]
    found = rules.second(program(square)).run([X, SCALE], ways, [balls([1, 1])]).result
    assert numbers(found) == [[4, 0], 1]  # 2 scale and, by the scale, 2 x
    along = rules.slope(program(square)).run([X, SCALE], ways, [balls([1, 1])]).result
    assert floats(along) == 2


def test_the_rules_inside_of_a_function_and_what_they_are_applied_to():
    assert rules.is_rule(program(square), [X, SCALE]) and not rules.is_rule(program(twice), [X, SCALE])
    ((rule, operands),) = rules.inside(program(twice), [X, SCALE])
    assert rule.name == "square" and len(rule.arguments) == 2  # JAX does not always tell their names
    named = jax.custom_jvp(lambda x, scale: scale * x)
    named.defjvp(lambda p, t: (p[1] * p[0], p[1] * t[0]))
    ((rule, _),) = rules.inside(program(lambda x, s: 2 * named(x, s)), [X, SCALE])
    assert rule.arguments == ("x", "scale")
    assert numbers(operands) == [[0.5, -1.5], 2]
    assert rules.inside(program(lambda x: jax.nn.relu(x)), [X]) == []  # one of JAX itself
    none, slope = rules.pullback(program(lambda n, x: x[n]), plain=True).run([np.array([1]), X], [balls([1])]).result
    assert floats(slope).tolist() == [0, 1] and none is None


def test_loops_of_a_fixed_number_of_steps_and_those_that_go_on_until_they_are_near():
    def near(x):
        return lax.while_loop(lambda s: abs(s[0] - s[1]) > 1e-6, lambda s: (s[0] / 2, s[0]), (x, x + 1))[0]

    def counted(x):
        return lax.fori_loop(0, 3, lambda i, s: s * x, x)

    def over_rows(x):
        return lax.scan(lambda c, t: (c + t, c), 0.0, jnp.stack([x, x]))[0]

    one = [np.asarray(Ball(2), object)]
    assert [rules.iterates(program(f), one) for f in (near, counted, over_rows)] == [True, False, False]
    assert [rules.repeats(program(f), one) for f in (near, counted, over_rows)] == [False, True, False]
    assert rules.has(program(near), one, ("while",)) and not rules.has(program(counted), one, ("while",))

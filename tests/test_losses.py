"""Both losses: their values, their residuals, and what the conventions promise."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from problems import on_device, problem, unequal_weights
from tolerances import assert_close

from twolayer import losses
from twolayer.formulas import FORMULAS
from twolayer.losses import LOSSES, Loss, example_weights

pytestmark = pytest.mark.usefixtures("strict_dtypes")

every_loss = pytest.mark.parametrize("name", LOSSES)

COMPILED = {name: jax.jit(loss) for name, loss in LOSSES.items()}
cross_entropy, quadratic, binary_cross_entropy = map(COMPILED.get, LOSSES)


def predictions(name, dtype="float32"):
    """O2 (7, 5), without any structure, and a fitting y."""
    case = problem(name, dtype, d=5, C=5)
    return case.x, case.y


@jax.jit
def slope_of_cross_entropy(O2, y):
    return jax.grad(lambda O2: LOSSES["cross_entropy"](O2, y).value.sum())(O2)


@every_loss
def test_the_texts_of_a_formula_are_the_function_that_training_uses(name, float64):
    O2, y = predictions(name, "float64")
    texts = losses.function_of(FORMULAS[name]._replace(stable=None))
    assert_close(texts(jnp.asarray(O2), jnp.asarray(y)), COMPILED[name](O2, y))


@every_loss
def test_value_and_residual_equal_the_loops(name, dtype):
    O2, y = predictions(name, dtype)
    rows = list(zip(np.asarray(O2, np.float64), np.asarray(y), strict=True))
    values = np.array([oracles.value(o, t, name) for o, t in rows])
    residuals = np.array([oracles.residual(o, t, name) for o, t in rows])
    assert_close(COMPILED[name](O2, y), Loss(values, residuals))


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_the_residual_is_what_jax_derives_from_the_value(name, dtype):
    """Of the quadratic loss this is one subtraction; the others are the ones to get wrong."""
    O2, y = on_device(predictions(name, dtype))
    assert_close(COMPILED[name](O2, y).residual, jax.grad(lambda O2: LOSSES[name](O2, y).value.sum())(O2))


def test_zero_predictions_cost_log_two_an_output_in_binary_cross_entropy(dtype):
    """A sigmoid of 0 is 1/2, for the labelled class and for the others."""
    value, residual = binary_cross_entropy(np.zeros((2, 3), dtype), np.int32([0, 2]))
    assert_close(value, np.full(2, 3 * np.log(2)))
    np.testing.assert_array_equal(residual, [[-0.5, 0.5, 0.5], [0.5, 0.5, -0.5]])
    slope = jax.grad(lambda O2: binary_cross_entropy(O2, np.int32([0, 2]))[0].sum())(jnp.zeros((2, 3), dtype))
    np.testing.assert_array_equal(slope, residual)


def test_binary_cross_entropy_of_saturated_sigmoids_keeps_all_digits():
    """In float32 the sigmoid of 20 is 1, and its loss would be 0 where 2e-9 is right. Of 10^4 nothing overflows."""
    O2 = np.float32([[20, -20], [-20, 20], [1e4, -1e4], [-1e4, 1e4]])
    value, residual = map(np.asarray, binary_cross_entropy(O2, np.int32([0, 0, 0, 0])))
    small = np.exp(-20.0)
    assert_close(value[:2], np.array([2 * small, 40]))
    assert_close(residual[:2], np.array([[-small, small], [-1, 1]]))
    np.testing.assert_array_equal(value[2:], [0, 2e4])
    np.testing.assert_array_equal(residual[2:], [[0, 0], [-1, 1]])


def test_binary_cross_entropy_is_that_of_a_network_with_sigmoid_outputs(float64):
    """Nielsen's eq. 63 of a = s(O2), and its gradient back through the sigmoid, where it is not saturated."""
    O2, y = predictions("binary_cross_entropy", "float64")
    a, t = 1 / (1 + np.exp(-O2)), np.eye(5)[y]
    value, residual = binary_cross_entropy(O2, y)
    assert_close(value, -(t * np.log(a) + (1 - t) * np.log(1 - a)).sum(axis=1))
    assert_close(residual, (a - t) / (a * (1 - a)) * a * (1 - a))


def test_cross_entropy_does_not_see_a_constant_added_to_all_outputs(dtype):
    """A shift by a power of two moves these outputs without rounding, so not one bit may change."""
    O2, y = predictions("cross_entropy", dtype)
    for shifted, plain in zip(cross_entropy(O2 + 64, y), cross_entropy(O2, y), strict=True):
        np.testing.assert_array_equal(shifted, plain)


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_zero_predictions_cost_log_c_in_cross_entropy_and_one_half_against_one_hot_targets(classes, dtype):
    y, O2 = np.arange(classes, dtype=np.int32), np.zeros((classes, classes), dtype)
    assert_close(cross_entropy(O2, y).value, np.full(classes, np.log(classes)))
    np.testing.assert_array_equal(quadratic(O2, np.eye(classes, dtype=dtype)).value, np.full(classes, 0.5))


def test_cross_entropy_of_predictions_of_ten_thousand_is_exact():
    """Right and sure costs 0, wrong and sure the difference of the two outputs; nothing overflows, either way round."""
    O2 = np.float32([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]])
    y = np.int32([0, 1, 2])
    value, residual = map(np.asarray, cross_entropy(O2, y))
    assert_close(value, np.array([0, 2e4, np.log(3)]))
    np.testing.assert_array_equal(residual[:2], [[0, 0, 0], [1, -1, 0]])
    np.testing.assert_array_equal(np.asarray(slope_of_cross_entropy(O2, y))[:2], residual[:2])


def test_the_quadratic_loss_is_half_a_square_and_zero_on_target():
    value, residual = quadratic(np.float32([[1e4], [3], [-2]]), np.float32([[0], [1], [-2]]))
    np.testing.assert_array_equal(value, [5e7, 2, 0])
    np.testing.assert_array_equal(residual, [[1e4], [2], [0]])


@every_loss
def test_low_precision_predictions_are_scored_in_float32(name):
    """The grid is exact in bfloat16, so nothing at all is lost."""
    loss = COMPILED[name](*predictions(name, "bfloat16"))
    assert loss.value.dtype == loss.residual.dtype == jnp.float32
    assert_close(loss, COMPILED[name](*predictions(name)))


def test_weights_of_the_mean_sum_to_one_and_those_of_the_sum_stay_as_they_are(dtype):
    given = on_device(unequal_weights())
    np.testing.assert_array_equal(example_weights("sum", 7, None, dtype), np.ones(7))
    np.testing.assert_array_equal(example_weights("sum", 7, given, dtype), given)
    assert_close(example_weights("mean", 7, None, dtype), np.full(7, 1 / 7))
    assert_close(example_weights("mean", 7, given, dtype), np.arange(7) / 21)

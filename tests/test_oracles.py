"""The oracle's chain rule is judged by something that does not know it."""

import oracles
import pytest
from problems import LAYERS, problem, unequal_weights
from tolerances import FINITE_DIFFERENCES, assert_close

from twolayer.losses import LOSSES, REDUCTIONS


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("hidden", "output"), LAYERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loops_equal_central_differences_away_from_kinks(loss, output, hidden, reduction):
    arguments = *problem(loss, "float64"), loss, output, reduction, unequal_weights(dtype="float64"), hidden
    slopes = oracles.finite_differences(*arguments)
    assert_close(oracles.gradients(*arguments), slopes, absolute=FINITE_DIFFERENCES)

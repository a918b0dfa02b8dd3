"""N networks on one batch are N networks: forward pass and gradient of a stack against those of each by itself."""

import itertools

import jax
import numpy as np
import pytest
from problems import LAYERS, compiled, on_device, problem, unequal_weights
from tolerances import assert_close

from twolayer import stacks
from twolayer.activations import ACTIVATIONS
from twolayer.losses import LOSSES
from twolayer.network import Params, forward

N = 4


def stacked(loss, **sizes):
    """Parameters of N networks, and one batch for all."""
    cases = [problem(loss, "float64", seed=124 + n, **sizes) for n in range(N)]
    return Params(*map(np.stack, zip(*(case.params for case in cases), strict=True))), cases[0].x, cases[0].y


def one_of(params, n):
    return Params(*(leaf[n] for leaf in params))


# Both reductions with every loss; the layers do not know which it is.
CASES = [(*case, "mean") for case in itertools.product(LOSSES, LAYERS)]
CASES += [(loss, ("relu", "identity"), "sum") for loss in LOSSES]


@pytest.mark.parametrize("engine", stacks.GRADIENTS)
@pytest.mark.parametrize(("loss", "layers", "reduction"), CASES)
def test_each_network_has_the_gradient_that_it_has_alone(loss, layers, reduction, engine, float64):
    (hidden, output), (params, x, y) = layers, stacked(loss)
    weights = unequal_weights(dtype="float64")
    losses, gradients = jax.jit(stacks.GRADIENTS[engine](loss, output, reduction, hidden_activation=hidden))(
        params, x, y, weights
    )
    for n in range(N):
        alone = compiled("closed_form", loss, output, reduction, hidden)(one_of(params, n), x, y, weights)
        assert_close((losses[n], one_of(gradients, n)), alone)


@pytest.mark.parametrize("engine", stacks.GRADIENTS)
def test_each_network_can_have_targets_of_its_own(engine, float64):
    params, x, y = stacked("quadratic")
    own = np.stack([y + n for n in range(N)])
    (losses, O2), gradients = jax.jit(stacks.GRADIENTS[engine]("quadratic", predict=True))(params, x, own)
    for n in range(N):
        alone = compiled("closed_form", "quadratic")(one_of(params, n), x, own[n])
        assert_close((losses[n], one_of(gradients, n)), alone)
        assert_close(O2[n], forward(*on_device((one_of(params, n), x))).O2)


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_activations_are_those_of_each_network_turned(hidden, float64):
    params, x, _ = on_device(stacked("quadratic"))
    together = stacks.forward(params, x, hidden_activation=hidden)
    for n in range(N):
        alone = forward(one_of(params, n), x, hidden_activation=hidden)
        assert_close([a[n].T for a in together], list(alone))


def test_scalar_regression_and_a_single_network(float64):
    params, x, y = stacked("quadratic", C=1)
    first = jax.tree.map(lambda leaf: leaf[:1], params)
    losses, gradients = jax.jit(stacks.closed_form("quadratic"))(first, x, y)
    assert_close((losses[0], one_of(gradients, 0)), compiled("closed_form", "quadratic")(one_of(params, 0), x, y))


@pytest.mark.parametrize("argument", ["loss", "output", "reduction", "hidden_activation"])
def test_unknown_names_are_refused(argument):
    with pytest.raises(ValueError, match=f"{argument}='third' is not known"):
        stacks.closed_form(**{argument: "third"})

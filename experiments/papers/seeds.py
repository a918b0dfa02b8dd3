"""Networks of one recipe, one for each seed, trained as one stack and scored when it matters.

They are the networks of `experiments.sweep --sweep=seed=...` with the same flags, up to rounding. That scores each
epoch on all validation images, which takes longer than an epoch on a hundred images; here it happens twice.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from experiments.runtime import jobs
from twolayer import datasets, network, sweeps, training
from twolayer.evaluation import evaluate
from twolayer.fitting import keys_of, may_skip_idle

PRECISION = "float32"


def train(
    data: datasets.Dataset,
    choices: training.Choices,
    numbers: training.Numbers,
    *,
    hidden: int,
    scheme: str,
    seeds: Sequence[int],
) -> dict[str, list[float]]:
    """Train to the end of `choices.epochs`; accuracies in percent, one for each seed.

    Args:
      numbers: of all networks.
      hidden: units K.
      scheme: a name in starts.SCHEMES.

    Returns:
      "first_valid" after the first epoch, "valid" and "test" after the last.

    Raises:
      ValueError: the choices do not go with the data.
    """
    jobs.configure(PRECISION)
    keys = jnp.stack([keys_of(seed)[0] for seed in seeds])
    order = keys_of(0)[1]  # a sweep's, whatever the seeds
    params = jax.vmap(lambda key: network.init(key, data.inputs, hidden, data.outputs, scheme))(keys)
    numbers = jax.tree.map(lambda number: jnp.full(len(seeds), number, PRECISION), numbers)
    skip_idle = may_skip_idle(choices, numbers)
    examples = training.place(*data.train, skip_idle=skip_idle)
    state = sweeps.start(choices, params, numbers, len(data.train.x))
    train_epoch = sweeps.make_epoch(choices)

    @jax.jit
    def advance(carry: tuple, first: int, until: int) -> tuple:
        def one(index: jax.Array, carry: tuple) -> tuple:
            return train_epoch(*carry, index, order, numbers, examples)[:2]

        return jax.lax.fori_loop(first, until, one, carry)

    def percent(params: network.Params, x: jax.Array, y: jax.Array) -> jax.Array:
        return 100 * evaluate(params, x, y, **choices.scoring).accuracy

    score = jax.jit(jax.vmap(percent, (0, None, None)))
    valid, test = (training.place(*split) for split in (data.valid, data.test))
    carry = advance((state.params, state.moments), 0, 1)
    first_valid = score(carry[0], valid.x, valid.y)
    params, _ = advance(carry, 1, choices.epochs)
    scored = {"first_valid": first_valid}
    scored |= {"valid": score(params, valid.x, valid.y), "test": score(params, test.x, test.y)}
    return {name: values.tolist() for name, values in scored.items()}

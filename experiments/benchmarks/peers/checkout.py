"""The child of `experiments.benchmarks.against`: epochs of this or of an older checkout, by library functions only.

Run by its path, with the checkout on PYTHONPATH: python -P checkout.py DATASET SOURCE_DIR HIDDEN NETWORKS. It speaks as
`peers.worker` does: {"ready": true, "program": its sum, ...} once an epoch is compiled, and to each {"times": number}
the seconds of so many epochs, and those of the CPU. HIDDEN units and batches of 128 with plain SGD; of more than one
network, a stack.
"""

import hashlib
import json
import sys
import time

import jax
import jax.numpy as jnp

from twolayer import datasets, network, segments, sweeps, training


def main() -> None:
    """Compile an epoch and time what is asked for."""
    name, source, hidden, networks = sys.argv[1], sys.argv[2] or None, *map(int, sys.argv[3:])
    data = datasets.load(name, source_dir=source)
    choices = training.Choices(optimizer="sgd", schedule="constant", warmup_epochs=0, scale=data.scale)
    train = training.place(*data.train, skip_idle=True)

    def draw(key: jax.Array) -> network.Params:
        return network.init(key, data.inputs, hidden, data.outputs, "alive")

    one = training.Numbers(*map(jnp.float32, (0.1, 0.0, 0.9)))
    if networks > 1:
        numbers = jax.tree.map(lambda number: jnp.full(networks, number), one)
        params = jax.vmap(draw)(jax.random.split(jax.random.key(0), networks))
        state, epoch = sweeps.start(choices, params, numbers, len(train.x)), sweeps.make_epoch(choices)
    else:
        numbers, state = one, segments.start(choices, draw(jax.random.key(0)), one, len(train.x))
        epoch = training.make_epoch(choices)
    params, moments = state.params, state.moments
    given = jnp.int32(0), jax.random.key(1), numbers, train
    lowered = jax.jit(epoch, donate_argnums=(0, 1)).lower(params, moments, *given)
    compiled = lowered.compile()

    def run(count: int) -> dict[str, float]:
        nonlocal params, moments
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            params, moments, *metrics = compiled(params, moments, *given)
        jax.block_until_ready((params, metrics))
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    run(1)
    program, (examples, inputs) = hashlib.sha256(lowered.as_text().encode()).hexdigest(), train.x.shape
    say(ready=True, program=program, examples=examples, inputs=inputs)
    for line in sys.stdin:
        say(**run(json.loads(line)["times"]))


def say(**answer: object) -> None:
    """A line for the parent."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

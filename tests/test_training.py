"""Training does what a plain loop would do, however it is compiled, cut into segments, or mapped over."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
from problems import compiled, examples, on_device, start_of_training
from tolerances import assert_close, assert_identical

from twolayer.distortions import Distortion, distort, example_keys
from twolayer.evaluation import evaluate
from twolayer.gradients import GRADIENTS
from twolayer.network import Params
from twolayer.segments import RUNNING, final_params, make_segment, start
from twolayer.shuffling import permutation
from twolayer.training import Choices, Examples, Numbers, make_epoch, make_update
from twolayer.updates import OPTIMIZERS

KEY = jax.random.key(3)
# 23 examples in batches of 5: four full ones and one of 3.
CHOICES = Choices(batch_size=5, epochs=4, warmup_epochs=1, optimizer="sgd", compute="float64")
TRAIN, VALID = examples(dtype="float64"), examples(11, seed=1, dtype="float64")


def loop_batches(epoch, n=23, size=5):
    """One epoch's batches as a Python loop takes them, the last one short."""
    order = np.asarray(permutation(jax.random.fold_in(KEY, epoch), n))
    return [order[i : i + size] for i in range(0, n, size)]


def train(choices, numbers, *, epochs, params=None, train=TRAIN, valid=VALID):
    """The state and the metrics after one compiled segment."""
    params = start_of_training("float64") if params is None else params
    state = start(choices, params, numbers, len(train.x))
    return jax.jit(make_segment(choices, epochs))(state, jnp.int32(epochs), KEY, numbers, *on_device((train, valid)))


@pytest.mark.parametrize(
    ("loss", "gradient", "reduction"),
    [("cross_entropy", "closed_form", "mean"), ("quadratic", "autodiff", "mean"), ("quadratic", "closed_form", "sum")],
)
def test_sgd_equals_a_loop_over_batches_with_a_ragged_last_one(loss, gradient, reduction, float64):
    """Gradients from the NumPy oracle, the rate by its formula, no padding: nothing shared but the order."""
    rate, decay = 0.5 if reduction == "mean" else 0.1, 0.01
    choices = dataclasses.replace(CHOICES, loss=loss, gradient=gradient, reduction=reduction)
    y = TRAIN.y if loss == "cross_entropy" else np.eye(3)[TRAIN.y]
    params, step, losses = [np.array(p) for p in start_of_training("float64")], 0, []
    for epoch in range(2):
        total = 0
        for rows in loop_batches(epoch):
            case = params, TRAIN.x[rows], y[rows], loss, "relu"
            total += oracles.total(*case, "sum")
            gradients = oracles.gradients(*case, reduction)
            # 5 steps of warm-up, then half a cosine over the 15 that are left.
            now = rate * (step + 1) / 5 if step < 5 else rate * (1 + np.cos(np.pi * (step - 5) / 15)) / 2
            for p, g, decays in zip(params, gradients, (1, 0, 1, 0), strict=True):
                p -= now * (g + decay * decays * p)
            step += 1
        losses.append(total / len(TRAIN.x))

    state, metrics = train(choices, Numbers(rate, decay), epochs=2)
    assert_close(state.params, Params(*params))
    assert_close(metrics.train_loss, np.array(losses))
    assert losses[1] < losses[0]
    assert (state.epoch, state.status) == (2, RUNNING)
    assert {leaf.dtype for leaf in (*state.params, metrics.train_loss, metrics.valid_loss)} == {jnp.dtype("float64")}


DECAYED = Params(W1=True, b1=False, W2=True, b2=False)
DIRECTLY = {
    "sgd": lambda rate, decay, beta: l2(decay, optax.sgd(rate)),
    "momentum": lambda rate, decay, beta: l2(decay, optax.sgd(rate, beta)),
    "nesterov": lambda rate, decay, beta: l2(decay, optax.sgd(rate, beta, nesterov=True)),
    "adam": lambda rate, decay, beta: l2(decay, optax.adam(rate, beta)),
    "nadam": lambda rate, decay, beta: l2(decay, optax.nadam(rate, beta)),
    "adamw": lambda rate, decay, beta: optax.adamw(rate, beta, weight_decay=decay, mask=DECAYED),
    "adabelief": lambda rate, decay, beta: l2(decay, optax.adabelief(rate, beta)),
    "lion": lambda rate, decay, beta: optax.lion(rate, beta, weight_decay=decay, mask=DECAYED),
    "rmsprop": lambda rate, decay, beta: l2(decay, optax.rmsprop(rate)),
    "adagrad": lambda rate, decay, beta: l2(decay, optax.adagrad(rate)),
}


def l2(decay, optimizer):
    return optax.chain(optax.add_decayed_weights(decay, DECAYED), optimizer)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_epoch_of_each_optimizer_equals_a_loop_with_optax_itself_and_goes_downhill(name, float64):
    choices = dataclasses.replace(CHOICES, optimizer=name, schedule="constant", warmup_epochs=0)
    numbers = Numbers(OPTIMIZERS[name].learning_rate, 0.01, 0.8)
    optimizer = DIRECTLY[name](*numbers[:3])
    params = before = start_of_training("float64")
    moments = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for rows in loop_batches(0):
        gradients = compiled("closed_form")(params, TRAIN.x[rows], TRAIN.y[rows])[1]
        updates, moments = update(gradients, moments, params)
        params = jax.tree.map(lambda p, u: p + np.asarray(u), params, updates)

    moments = start(choices, before, numbers, 23).moments
    after = jax.jit(make_epoch(choices))(before, moments, jnp.int32(0), KEY, numbers, on_device(TRAIN))[0]
    assert_close(after, params)
    loss = compiled("closed_form")
    assert loss(after, *TRAIN[:2])[0] < loss(before, *TRAIN[:2])[0]


@pytest.mark.parametrize("name", ["closed_form", "autodiff"])
def test_the_named_engine_is_the_one_that_trains(name, monkeypatch):
    asked = []
    for engine, make in GRADIENTS.items():
        monkeypatch.setitem(
            GRADIENTS, engine, lambda *names, engine=engine, make=make, **k: asked.append(engine) or make(*names, **k)
        )
    make_epoch(dataclasses.replace(CHOICES, gradient=name))
    assert asked == [name]


def test_both_engines_train_the_same_network(float64):
    states = [
        train(dataclasses.replace(CHOICES, gradient=gradient, optimizer="adam"), Numbers(0.01), epochs=2)[0]
        for gradient in ("closed_form", "autodiff")
    ]
    assert_close(states[0].params, states[1].params)
    assert_close(states[0].moments, states[1].moments)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_training_figures_are_means_over_examples_and_padding_does_not_count(reduction):
    """At rate 0 an epoch scores the training set, batch by batch; here of images stored as bytes."""
    choices = dataclasses.replace(CHOICES, reduction=reduction, compute="float32", scale=1 / 255)
    params, data = start_of_training(), examples()
    data = data._replace(x=(255 * data.x).astype(np.uint8))
    state, metrics = train(choices, Numbers(0.0), epochs=1, params=params, train=data, valid=data)
    assert_identical(state.params, params)
    scores = evaluate(*on_device((params, data.x, data.y)), scale=1 / 255)
    assert_close((metrics.train_loss[0], metrics.train_accuracy[0]), (scores.loss, scores.accuracy))
    assert_close(jax.tree.map(lambda a: a[0], tuple(metrics[2:7])), tuple(scores))


def test_mapping_over_learning_rates_gives_what_single_runs_give(float64):
    params, numbers = start_of_training("float64"), Numbers(np.array([0.1, 0.5]))
    segment = make_segment(CHOICES, 2)
    state = start(CHOICES, params, Numbers(0.1), 23)
    mapped = jax.jit(jax.vmap(segment, in_axes=(None, None, None, Numbers(0, None, None), None, None)))
    states, metrics = mapped(state, jnp.int32(2), KEY, numbers, *on_device((TRAIN, VALID)))
    single = jax.jit(segment)
    for row, rate in enumerate(numbers.learning_rate):
        alone = single(state, jnp.int32(2), KEY, Numbers(rate), *on_device((TRAIN, VALID)))
        assert_close(jax.tree.map(lambda a, row=row: a[row], (states, metrics)), alone)


@pytest.mark.parametrize("output", ["relu", "identity"])
def test_regression_on_a_teacher_with_one_output_goes_downhill(output):
    """Accuracy is NaN there, which is no divergence."""
    choices = dataclasses.replace(CHOICES, loss="quadratic", output=output, compute="float32")
    x = examples().x
    data = Examples(x, x @ np.float32([[1], [-1], [2], [0], [1], [-1]]))
    state, metrics = train(choices, Numbers(0.1), epochs=4, params=start_of_training(C=1), train=data, valid=data)
    assert (state.epoch, state.status) == (4, RUNNING)
    assert (np.diff(metrics.valid_loss) < 0).all()
    assert np.isnan(metrics.valid_accuracy).all() and np.isnan(metrics.train_accuracy).all()


def test_low_precision_products_leave_parameters_and_moments_in_float32():
    choices = dataclasses.replace(CHOICES, optimizer="adam", compute="bfloat16")
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16).astype("float32"), start_of_training())
    state, metrics = train(choices, Numbers(0.01), epochs=4, params=params, train=examples())
    floats = {leaf.dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    assert floats == {jnp.dtype("float32")}
    # Nor are they float32 in name only: they hold steps too small for eight bits.
    assert (state.params.W1.astype("bfloat16").astype("float32") != state.params.W1).any()
    assert metrics.train_loss.dtype == "float32" and metrics.train_loss[-1] < metrics.train_loss[0]


def test_distorted_images_are_what_a_loop_over_examples_trains_on(float64):
    """One epoch of SGD on images that are distorted one by one outside, each by the key of its epoch and row."""
    shape = (2, 3)
    distortion = Distortion(shape, alpha=1.5, sigma=1.0, rotation=0.3, shift=0.5)
    choices = dataclasses.replace(CHOICES, warmup_epochs=0, schedule="constant", distortion=distortion)
    params = [np.array(p) for p in start_of_training("float64")]
    for epoch in range(2):
        for rows in loop_batches(epoch):
            keys = example_keys(KEY, epoch, jnp.asarray(rows))
            x = [
                np.asarray(distort(keys[i : i + 1], jnp.asarray(TRAIN.x[r][None]), distortion))
                for i, r in enumerate(rows)
            ]
            gradients = oracles.gradients(
                params, np.concatenate(x).astype(float), TRAIN.y[rows], "cross_entropy", "relu", "mean"
            )
            params = [p - 0.5 * g for p, g in zip(params, gradients, strict=True)]
    state, _ = train(choices, Numbers(0.5), epochs=2)
    assert_close(state.params, Params(*params), "float32")  # in which images are interpolated


def test_distortion_leaves_validation_alone(float64):
    distortion = Distortion((2, 3), shift=0.5)
    choices = dataclasses.replace(CHOICES, distortion=distortion)
    state, metrics = train(choices, Numbers(0.1), epochs=1)
    assert_close(metrics.valid_loss[0], evaluate(state.params, *on_device(VALID)[:2]).loss)


def test_the_average_of_the_parameters_is_validated_and_handed_over(float64):
    """With decay 0.9: the plain mean of the first ten steps, then a tenth of each new one."""
    choices = dataclasses.replace(CHOICES, averaging=0.9, epochs=3)
    averaged, metrics = train(choices, Numbers(0.5), epochs=3)
    plain, _ = train(dataclasses.replace(choices, averaging=0.0), Numbers(0.5), epochs=3)
    assert_identical(averaged.params, plain.params)

    one_by_one, state = jax.jit(make_step(choices)), start(choices, start_of_training("float64"), Numbers(0.5), 23)
    params, moments, mean, count = state.params, state.moments, jax.tree.map(np.zeros_like, state.params), 0
    for epoch in range(3):
        for rows in loop_batches(epoch):
            params, moments = one_by_one(params, moments, TRAIN.x[rows], TRAIN.y[rows])
            keep = min(0.9, count / (count + 1))
            mean = Params(*(keep * m + (1 - keep) * p for m, p in zip(mean, params, strict=True)))
            count += 1
    assert_close(final_params(averaged), mean)
    assert_close(metrics.valid_loss[-1], evaluate(mean, *on_device(VALID)[:2]).loss)
    assert abs(final_params(averaged).W1 - averaged.params.W1).max() > 1e-3


def make_step(choices):
    """One step of training on a batch of its own."""
    update, gradient = make_update(choices, 23), GRADIENTS["autodiff"](choices.loss, choices.output)

    def step(params, moments, x, y):
        _, gradients = gradient(params, x, y)
        return update(gradients, moments, params, Numbers(0.5))

    return step


def test_without_averaging_the_state_holds_no_average():
    assert "average" not in str(jax.tree_util.tree_structure(start(CHOICES, start_of_training(), Numbers(0.5), 23)))

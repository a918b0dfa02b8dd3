"""How a run ends: cut into segments, stopped early with its best network, or diverged with its last good one."""

import jax
import numpy as np
import pytest
from problems import examples, on_device, start_of_training
from tolerances import assert_identical

from twolayer.network import Params
from twolayer.segments import DIVERGED, RUNNING, STOPPED_EARLY, final_params, make_segment, start
from twolayer.training import Choices, Examples, Numbers

KEY = jax.random.key(3)
TRAIN, VALID = examples(), examples(9, seed=1)
# So fast that the validation loss goes up, down, and up again for good.
NUMBERS = Numbers(0.5)
EPOCHS, PATIENCE = 12, 2
ALL = np.int32(1000)  # an epoch to stop after, beyond all
EARLY = Choices(
    batch_size=5, epochs=EPOCHS, patience=PATIENCE, optimizer="momentum", schedule="constant", warmup_epochs=0
)


def fresh():
    return start(EARLY, start_of_training(), NUMBERS, len(TRAIN.x))


@pytest.fixture(scope="module")
def one_by_one():
    """[(state, metrics)] after each epoch of a run in segments of one epoch."""
    segment = jax.jit(make_segment(EARLY, 1))
    history, state = [], fresh()
    for _ in range(EPOCHS):
        state, metrics = segment(state, ALL, KEY, NUMBERS, *on_device((TRAIN, VALID)))
        history.append((state, metrics))
    return history


@pytest.fixture(scope="module")
def in_one_go():
    """(state, metrics) of the same run in one segment."""
    return jax.jit(make_segment(EARLY, EPOCHS))(fresh(), ALL, KEY, NUMBERS, *on_device((TRAIN, VALID)))


def test_segments_of_one_epoch_give_the_bits_of_one_long_segment(one_by_one, in_one_go):
    state, metrics = in_one_go
    assert_identical(one_by_one[-1][0], state)
    assert_identical(jax.tree.map(lambda *rows: np.concatenate(rows), *(row for _, row in one_by_one)), metrics)


def test_a_run_stops_when_the_validation_loss_has_not_fallen_for_as_long_as_its_patience(one_by_one, in_one_go):
    state, metrics = in_one_go
    epochs = int(state.epoch)
    losses = np.asarray(metrics.valid_loss)[:epochs]
    best = int(losses.argmin()) + 1
    assert (np.diff(losses[:best]) > 0).any() and epochs < EPOCHS, "a run that tests patience"
    assert state.status == STOPPED_EARLY
    assert epochs == best + PATIENCE
    assert all(epoch - (losses[:epoch].argmin() + 1) < PATIENCE for epoch in range(1, epochs))


def test_a_stopped_run_hands_over_the_parameters_of_its_best_epoch(one_by_one, in_one_go):
    state, metrics = in_one_go
    best = int(np.asarray(metrics.valid_loss)[: int(state.epoch)].argmin())
    assert_identical(final_params(state), one_by_one[best][0].params)
    assert (final_params(state).W1 != state.params.W1).any()


def no_result(metrics, epochs):
    """Whether the rows after `epochs` cannot be taken for results."""
    left = [np.asarray(leaf)[epochs:] for leaf in jax.tree.leaves(metrics)]
    return all((np.isnan(rows) if rows.dtype.kind == "f" else rows == -1).all() for rows in left)


def test_epochs_that_are_not_run_cannot_be_taken_for_perfect_ones(in_one_go):
    state, metrics = in_one_go
    assert int(state.epoch) < EPOCHS and no_result(metrics, int(state.epoch))


LIMITED = Choices(warmup_epochs=0, batch_size=5, epochs=3, optimizer="momentum", schedule="constant", loss="quadratic")


@pytest.fixture(scope="module")
def limited():
    """One segment of at most two epochs of a run of three."""
    segment = jax.jit(make_segment(LIMITED, 2))
    return lambda state, rate: segment(state, ALL, KEY, Numbers(rate), *on_device((TRAIN, TRAIN)))


@pytest.fixture(scope="module")
def halfway(limited):
    return limited(start(LIMITED, start_of_training(), Numbers(0.01), len(TRAIN.x)), 0.01)[0]


def test_a_run_ends_after_its_epochs_however_long_the_segments(limited, halfway):
    finished, _ = limited(halfway, 0.01)
    assert (halfway.epoch, finished.epoch, finished.status) == (2, 3, RUNNING)
    assert_identical(limited(finished, 0.01)[0], finished)
    assert final_params(finished) is finished.params


def test_a_segment_stops_after_the_epoch_it_is_told(in_one_go):
    """However it is cut, with one program."""
    segment = jax.jit(make_segment(EARLY, EPOCHS))
    data = on_device((TRAIN, VALID))
    state, first = segment(fresh(), np.int32(2), KEY, NUMBERS, *data)
    assert state.epoch == 2 and no_result(first, 2)
    state, rest = segment(state, ALL, KEY, NUMBERS, *data)
    assert_identical(state, in_one_go[0])
    joined = np.concatenate([first.valid_loss[:2], rest.valid_loss[: int(state.epoch) - 2]])
    assert_identical(joined, np.asarray(in_one_go[1].valid_loss)[: int(state.epoch)])


@pytest.mark.parametrize("rate", [1e38, np.nan])
def test_divergence_undoes_its_epoch_and_nothing_changes_any_more(limited, halfway, rate):
    """The last finite parameters and moments stay, bit for bit, also when a later segment has a sound rate."""
    diverged, _ = limited(halfway, rate)
    assert diverged.status == DIVERGED
    assert_identical(diverged._replace(status=halfway.status), halfway)
    assert_identical(limited(diverged, 0.01)[0], diverged)


def test_a_start_that_cannot_be_trained_is_handed_back_as_it_was(limited):
    params = start_of_training()
    params = params._replace(W2=np.full_like(params.W2, 1e38))
    state = start(LIMITED, params, Numbers(0.01), len(TRAIN.x))
    diverged, _ = limited(state, 0.01)
    assert (diverged.status, diverged.epoch) == (DIVERGED, 0)
    assert_identical(final_params(diverged), Params(*params))


def test_finite_parameters_with_an_infinite_validation_loss_are_divergence(limited, halfway):
    """The quadratic loss overflows first: 10^20 is a number, its square is not."""
    segment = jax.jit(make_segment(LIMITED, 1))
    far = Examples(TRAIN.x * np.float32(1e25), TRAIN.y)
    diverged, _ = segment(halfway, ALL, KEY, Numbers(0.01), *on_device((TRAIN, far)))
    assert diverged.status == DIVERGED
    assert_identical(diverged.params, halfway.params)

"""Scores: equal to NumPy's over the whole set, however it is cut into chunks, with every dead unit counted."""

import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from problems import LAYERS, on_device, problem
from tolerances import assert_close

from twolayer import evaluation
from twolayer.evaluation import Evaluation, evaluate, features, hits, predict, targets
from twolayer.losses import LOSSES


def with_dead_units(case):
    """Hidden units 1 and 4 and output 2 never fire."""
    p = case.params
    b1, b2 = p.b1 - 50 * np.isin(np.arange(6), [1, 4]).astype(p.b1.dtype), p.b2 - 50 * np.eye(3, dtype=p.b2.dtype)[2]
    return case._replace(params=p._replace(b1=b1, b2=b2))


def in_one_go(case, loss, output, hidden="relu"):
    """The same scores by the oracle, all rows at once."""
    params, x, y = case
    _, O1, _, O2 = oracles.forward(params, x, output, hidden)
    return Evaluation(
        loss=np.mean([oracles.value(o, t, loss) for o, t in zip(O2, y, strict=True)]),
        accuracy=(O2.argmax(axis=1) == y).mean() if y.ndim == 1 else np.nan,
        dead_hidden=(O1 == 0).all(axis=0).sum() if hidden == "relu" else 0,
        dead_outputs=(O2 == 0).all(axis=0).sum() if output == "relu" else 0,
        lost_classes=len(set(range(3)) - set(O2.argmax(axis=1))) if y.ndim == 1 else 0,
    )


@pytest.mark.parametrize(("chunk", "activations"), [(1, 100), (4, 100), (7, 100), (100, 100), (7, 3 * 6 + 1), (7, 1)])
def test_chunks_of_any_size_give_the_scores_of_the_whole_set(chunk, activations, monkeypatch, dtype):
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    monkeypatch.setattr(evaluation, "AT_ONCE", activations)
    case = with_dead_units(problem("cross_entropy", dtype))
    scores, expected = evaluate(*on_device(case)), in_one_go(case, "cross_entropy", "relu")
    assert_close(scores, expected)
    assert scores.loss.dtype == dtype
    assert (scores.dead_hidden, scores.dead_outputs, scores.lost_classes) == (2, 1, 1)
    assert_close(predict(*on_device(case[:2])), oracles.forward(*case[:2], "relu")[3])


@pytest.mark.parametrize(("hidden", "output"), LAYERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_scores_follow_the_loss_and_the_activations(loss, output, hidden):
    case = with_dead_units(problem(loss))
    scores = evaluate(*on_device(case), loss=loss, output=output, hidden_activation=hidden)
    expected = in_one_go(case, loss, output, hidden)
    assert_close(scores._replace(accuracy=scores.loss), expected._replace(accuracy=expected.loss))
    np.testing.assert_allclose(scores.accuracy, expected.accuracy, rtol=1e-6)  # NaN for real targets


def test_the_quadratic_loss_of_class_labels_is_that_of_one_hot_targets():
    params, x, y = problem("cross_entropy")
    one_hot = np.eye(3, dtype=np.float32)[y]
    scores = evaluate(*on_device((params, x, y)), loss="quadratic")
    assert_close(scores.loss, evaluate(*on_device((params, x, one_hot)), loss="quadratic").loss)
    assert scores.accuracy == evaluate(*on_device((params, x, y))).accuracy


def test_numpy_arrays_are_scored_as_they_are():
    params, x, y = problem("cross_entropy")
    assert_close(evaluate(params, x, y), evaluate(*on_device((params, x, y))))
    assert_close(predict(params, x), predict(*on_device((params, x))))


def test_pixels_stored_as_bytes_score_as_the_numbers_they_stand_for():
    params, _, y = problem("cross_entropy")
    stored = np.arange(35, dtype=np.uint8).reshape(7, 5)
    pixels = stored.astype(np.float32) / 4
    np.testing.assert_array_equal(features(jnp.asarray(stored), 1 / 4, jnp.dtype("float32")), pixels)
    bytes_scored = evaluate(*on_device((params, stored, y)), scale=1 / 4)
    assert_close(bytes_scored, evaluate(*on_device((params, pixels, y))))


def test_a_tie_goes_to_the_lower_class():
    O2 = jnp.array([[0, 0, 0], [0, 2, 2]], jnp.float32)
    np.testing.assert_array_equal(hits(O2, jnp.array([0, 1], jnp.int32)), [1, 1])
    np.testing.assert_array_equal(hits(O2, jnp.array([1, 2], jnp.int32)), [0, 0])


def test_cross_entropy_of_real_targets_is_refused():
    for loss in ("cross_entropy", "binary_cross_entropy"):
        with pytest.raises(ValueError, match=f"{loss} needs class labels"):
            targets(jnp.zeros((3, 2), jnp.float32), loss, 2, jnp.dtype("float32"))


def test_no_examples_are_refused_by_name():
    params, x, y = on_device(problem("cross_entropy"))
    with pytest.raises(ValueError, match="examples must be a positive integer, got 0"):
        evaluate(params, x[:0], y[:0])

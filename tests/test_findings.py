"""What a run says at its end: each thing that went wrong, once, with its remedy; nothing where all went well."""

import numpy as np
import pytest

from experiments.runtime import outcome as findings
from experiments.runtime.outcome import Facts, best_epoch

FLAGS = {
    "init": "alive",
    "output_bias": None,
    "reduction": "mean",
    "label_noise": 0.0,
    "momentum": 0.9,
    "init_scale": 1,
    "dataset": "digits",
    "standardize": False,
}
WELL = Facts(100, 10, 9, 0, (), 0.98, 0.11, 0.1)

CASES = {
    "all is well": (WELL, {}, []),
    "dead outputs of He": (
        WELL._replace(dead_outputs=3),
        {"init": "he"},
        ["3 of 10 classes can never be predicted: their outputs are zero on every", "--init=alive"],
    ),
    "dead outputs by a bias": (WELL._replace(dead_outputs=1), {"output_bias": 0.0}, ["its output is", "without --out"]),
    "dead outputs by a sum": (
        WELL._replace(dead_outputs=10, dead_hidden=100, accuracy=0.11),
        {"reduction": "sum"},
        ["10 of 10 classes", "--reduction=mean", "all 100 hidden units", "0.1100 is no better"],
    ),
    "dead hidden units": (WELL._replace(dead_hidden=60), {}, ["60 of 100 hidden units are zero", "--learning_rate"]),
    "ten per cent": (WELL._replace(accuracy=0.11), {}, ["no better than", "0.1100", "more --epochs"]),
    "weak classes": (WELL._replace(weak=(3, 7)), {}, ["classes 3 and 7 are given to no test example", "alive"]),
    "one weak class": (WELL._replace(weak=(3,)), {}, ["class 3 is given to no test example", "its output is alive"]),
    "a regression": (WELL._replace(accuracy=None, guess=0.5, loss=0.6), {}, ["no better than that of the mean"]),
    "labels of noise": (WELL._replace(accuracy=0.1), {"label_noise": 1.0}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_went_wrong_is_said_with_its_remedy(name):
    facts, flags, words = CASES[name]
    found = findings.sentences(facts, FLAGS | flags)
    assert bool(found) == bool(words)
    for word in words:
        assert any(word in sentence for sentence in found), (word, found)


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        ({}, "try a smaller --learning_rate"),
        ({"momentum": 1.0}, "--momentum=1 forgets nothing; take one below 1"),
        ({"init_scale": 1e25}, "--init_scale=1e+25 starts far from zero"),
        ({"output_bias": 1e6}, "--output_bias=1e+06 starts far from zero"),
        ({"reduction": "sum"}, "try --reduction=mean"),
        ({"dataset": "wine.csv"}, "try --standardize, or a smaller --learning_rate"),
    ],
)
def test_the_advice_after_a_divergence_is_of_what_caused_it(flags, advice):
    assert advice in findings.divergence_advice(FLAGS | flags)


def test_a_weak_class_is_alive_and_never_the_largest():
    O2 = np.array([[2.0, 1.0, 0.0, 0.0], [3.0, 0.0, 0.0, 4.0]])
    assert findings.weak_classes(O2, True) == (1,)
    assert findings.weak_classes(O2, False) == (1, 2)


def test_a_guess_is_the_commonest_class_or_the_mean_of_the_targets():
    assert findings.guess(np.array([0]), np.array([0, 1, 1, 2])) == 0.5
    train, test = np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])
    assert findings.guess(train, test) == pytest.approx((0 + 4) / 2 / 2)


@pytest.mark.parametrize(("losses", "epoch"), [([3, 1, 2], 2), ([np.nan, 2], 2), ([None], 0), ([], 0), ([np.inf], 0)])
def test_the_best_epoch_is_that_of_the_lowest_validation_loss(losses, epoch):
    assert best_epoch(losses) == epoch

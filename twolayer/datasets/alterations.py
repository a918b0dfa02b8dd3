"""A data set with fewer training examples or with wrong training labels. Validation and test stay as they are."""

import dataclasses

import numpy as np

from twolayer.datasets.dataset import DataError, Dataset, Split, fingerprint


def first(data: Dataset, examples: int) -> Dataset:
    """The data set with the first so many training examples.

    Raises:
      DataError: there are not so many.
    """
    if not 0 < examples <= len(data.train.x):
        raise DataError(f"{data.name} has {len(data.train.x)} training examples, {examples} are wanted")
    return _with_train(data, Split(data.train.x[:examples], data.train.y[:examples]))


def with_label_noise(data: Dataset, share: float, seed: int) -> Dataset:
    """The data set with a share of its training labels, rounded to whole examples, drawn anew from all classes.

    A label drawn anew may be the old one: of C classes, about share (C - 1) / C are wrong. With share 1 the labels have
    nothing to do with the images.

    Raises:
      DataError: the targets are real numbers.
    """
    if data.regression:
        raise DataError(f"{data.name} has real targets, and label noise is for classes")
    draw, y = np.random.default_rng(seed), data.train.y.copy()
    chosen = draw.permutation(len(y))[: round(share * len(y))]
    y[chosen] = draw.integers(0, data.outputs, len(chosen), np.int32)
    return _with_train(data, data.train._replace(y=y))


def _with_train(data: Dataset, train: Split) -> Dataset:
    return dataclasses.replace(data, train=train, sha256=fingerprint(train, data.valid, data.test))

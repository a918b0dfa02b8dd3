"""A data set with fewer examples or with wrong training labels. The test set stays as it is."""

import dataclasses

import numpy as np

from twolayer.datasets.dataset import DataError, Dataset, Split, fingerprint


def first(data: Dataset, examples: int, part: str = "train") -> Dataset:
    """The data set with the first so many examples of a part, "train" or "valid".

    Raises:
      DataError: there are not so many.
    """
    x, y = getattr(data, part)
    if not 0 < examples <= len(x):
        kind = {"train": "training", "valid": "validation"}[part]
        raise DataError(f"{data.name} has {len(x)} {kind} examples, {examples} are wanted")
    return _with(data, **{part: Split(x[:examples], y[:examples])})


def with_label_noise(data: Dataset, share: float, seed: int) -> Dataset:
    """The data set with a share of its training labels, rounded to whole examples, drawn anew from all classes.

    A label drawn anew may be the old one: of C classes, about share (C - 1) / C are wrong. With share 1 the labels have
    nothing to do with the images.

    Args:
      share: from 0 to 1, of the training labels.
      seed: of which labels these are, and of what they become.

    Raises:
      DataError: the targets are real numbers.
    """
    if data.regression:
        raise DataError(f"{data.name} has real targets, and label noise is for classes")
    draw, y = np.random.default_rng(seed), data.train.y.copy()
    chosen = draw.permutation(len(y))[: round(share * len(y))]
    y[chosen] = draw.integers(0, data.outputs, len(chosen), np.int32)
    return _with(data, train=data.train._replace(y=y))


def _with(data: Dataset, **parts: Split) -> Dataset:
    new = dataclasses.replace(data, **parts)
    return dataclasses.replace(new, sha256=fingerprint(new.train, new.valid, new.test))

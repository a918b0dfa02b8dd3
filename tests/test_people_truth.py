"""What people/expected.json says of each file is so: judged by differences of the declared loss in float64.

Nothing of the verification is used. The differences are of sixth order, so that even a guard of 1e-9 shows.
"""

import importlib.util
import itertools
import json
import pathlib
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "experiments" / "benchmarks" / "catalogue" / "people"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
LEAVES = ("dW1", "db1", "dW2", "db2")
H, WEIGHTS = 2.0**-9, ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
# The relative error of a difference stays below the first; the smallest fault, a guard, is above the second.
AGREE, DIFFER, SINGLE = 1e-10, 1e-9, 1e-5
KINKED = ("relu", "leaky_relu")

every = pytest.mark.parametrize("name", EXPECTED)


def load(name):
    spec = importlib.util.spec_from_file_location(f"people_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def found_by_dataclasses(monkeypatch):
    """A dataclass looks its module up."""
    monkeypatch.setitem(sys.modules, "people_dataclass_leaky", SimpleNamespace())


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "identity": lambda z: z,
    "softplus": lambda z: np.log1p(np.exp(z)),
}
EXAMPLE_LOSSES = {
    "quadratic": lambda o, y: ((o - y) ** 2).sum(axis=1) / 2,
    "cross_entropy": lambda o, y: np.log(np.exp(o).sum(axis=1)) - (y * o).sum(axis=1),
    "binary_cross_entropy": lambda o, y: (np.log1p(np.exp(o)) - y * o).sum(axis=1),
}


def pre_activations(params, x, row):
    Z1 = x @ params.W1.T + params.b1
    return Z1, ACTIVATIONS[row["hidden"]](Z1) @ params.W2.T + params.b2


def declared_loss(params, x, y, row):
    each = EXAMPLE_LOSSES[row["loss"]](ACTIVATIONS[row["output"]](pre_activations(params, x, row)[1]), y)
    return each.mean() if row["reduction"] == "mean" else each.sum()


def problem(row, place=0):
    """The first problem, or the one after it, in which each unit is on and off, and no difference crosses a kink."""
    return next(itertools.islice(filter(generic(row), (drawn(row, seed) for seed in itertools.count())), place, None))


def generic(row):
    def is_generic(case):
        params, x, _ = case
        layers = list(zip((row["hidden"], row["output"]), pre_activations(params, x, row), strict=True))
        sizes = 1, abs(x).max(), abs(params.W2).max() * max(1, abs(x).max()), abs(layers[0][1]).max()
        reach = 4 * H * max(sizes)
        kinked = [Z for name, Z in layers if name in KINKED]
        mixed = all((Z > 0).any(axis=0).all() and (Z < 0).any(axis=0).all() for Z in kinked)
        return mixed and all(abs(Z).min() > reach for Z in kinked)

    return is_generic


def drawn(row, seed):
    rng = np.random.default_rng(seed)
    C = row.get("outputs", 4 if row.get("square") else 3)
    m, d, K = 5, 2, 4
    params = SimpleNamespace(
        W1=rng.normal(size=(K, d)), b1=rng.normal(size=K) / 4, W2=rng.normal(size=(C, K)), b2=rng.normal(size=C) / 4
    )
    x = rng.normal(size=(m, d)) / 2
    if row["loss"] == "binary_cross_entropy":
        y = rng.integers(0, 2, (m, C)).astype(float)
    elif row["loss"] == "cross_entropy" or row.get("targets") == "onehot":
        y = np.eye(C)[rng.integers(0, C, m)]
    else:
        y = rng.normal(size=(m, C))
    if row.get("biases") == "none":
        params.b1, params.b2 = 0 * params.b1, 0 * params.b2
    return params, x, y


def differences(loss, params):
    """The derivative of loss(params) by each parameter."""
    found = {}
    for leaf in LEAVES:
        p = getattr(params, leaf[1:])
        slope = np.zeros_like(p)
        for at in np.ndindex(p.shape):
            middle = p[at]
            for steps, weight in WEIGHTS:
                p[at] = middle + steps * H
                slope[at] += weight * loss(params) / H
                p[at] = middle - steps * H
                slope[at] -= weight * loss(params) / H
            p[at] = middle
        found[leaf] = slope
    return found


def called(module, row, params, x, y):
    """What the file's gradients return, as a mapping, whatever arguments they take."""
    copies = SimpleNamespace(**{name: p.copy() for name, p in vars(params).items()})
    if row.get("examples") == "one":
        each = [module.gradients(copies, xi.copy(), yi.copy()) for xi, yi in zip(x, y, strict=True)]
        return {leaf: sum(one[leaf] for one in each) for leaf in each[0]}
    if row.get("signature") == "W1,b1,W2,b2,X,Y":
        return module.gradients(copies.W1, copies.b1, copies.W2, copies.b2, x.copy(), y.copy())
    if row.get("signature") == "X,Y,parameters":
        return module.gradients(x.copy(), y.copy(), vars(copies))
    targets = y.argmax(axis=1) if row.get("targets") == "labels" else y.copy()
    returned = module.gradients(copies, x.copy(), targets)
    if isinstance(returned, tuple):
        return dict(zip(LEAVES, returned, strict=True))
    return returned if isinstance(returned, dict) else vars(returned)


def fitted(got, shape):
    """A leaf in the shape of its parameter: (in, out) is turned, a column is a vector, one number is one for all."""
    got = np.asarray(got, float)
    if got.shape != shape and got.shape == shape[::-1]:
        return got.T
    return got.reshape(shape) if got.size == np.prod(shape) else np.broadcast_to(got, shape)


def distances(name, place):
    row, module = EXPECTED[name], load(name)
    params, x, y = problem(row, place)
    own = row["loss"] == "own" or row.get("right_for_own_loss")
    right = differences(lambda p: declared_loss(p, x, y, row) if row["loss"] != "own" else module.loss(p, x, y), params)
    returned = called(module, row, params, x, y)
    found = {}
    for leaf in LEAVES if row.get("biases") != "none" else ("dW1", "dW2"):
        got = fitted(returned[leaf], right[leaf].shape)
        found[leaf] = np.linalg.norm(got - right[leaf]) / np.linalg.norm(right[leaf])
    if own and row["loss"] != "own":
        for_own = differences(lambda p: module.loss(p, x, y), params)
        assert all(np.allclose(returned[leaf], for_own[leaf], rtol=1e-9) for leaf in LEAVES), name
    return found


def test_every_file_is_in_the_table():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EXPECTED)
    verdicts = [row["verdict"] for row in EXPECTED.values()]
    assert verdicts.count("right") >= 12 and verdicts.count("wrong") >= 24


@pytest.mark.parametrize("place", [0, 1])
@every
def test_exactly_the_leaves_of_the_table_are_wrong(name, place):
    row = EXPECTED[name]
    if row["verdict"] == "undecided":
        pytest.skip("its numbers are random")
    agree = SINGLE if "float32" in (FOLDER / f"{name}.py").read_text() else AGREE
    found = distances(name, place)
    wrong = row.get("wrong", [])
    assert [leaf for leaf, distance in found.items() if distance > DIFFER and leaf in wrong] == wrong, found
    assert all(distance < agree for leaf, distance in found.items() if leaf not in wrong), found


@every
def test_the_lines_and_variables_stand_in_the_file(name):
    """Each variable is set, or changed in place, on one of the lines."""
    row = EXPECTED[name]
    if row["verdict"] != "wrong":
        assert not {"lines", "variables", "causes", "first_wrong_step"} & set(row)
        return
    text = (FOLDER / f"{name}.py").read_text().splitlines()
    lines = [text[number - 1] for number in row["lines"]]
    for variable in row["variables"]:
        assert any(re.search(rf"\b{re.escape(variable)}\b", line) for line in lines), (variable, lines)
    assert row["causes"] and row["first_wrong_step"] in (
        *("forward", "dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1"),
    )


def test_random_numbers_differ_between_two_runs():
    for name, row in EXPECTED.items():
        if row["verdict"] == "undecided":
            module, case = load(name), problem(row, 0)
            first, second = (called(module, row, *case) for _ in range(2))
            assert any(not np.array_equal(first[leaf], second[leaf]) for leaf in LEAVES)

"""Arguments of any function, from what a user writes of their shapes, and what a derivation returns by their names."""

import collections

import numpy as np
import pytest

from twolayer.verification.evidence.questions import At
from twolayer.verification.evidence.returned import by_argument, by_place, expected, named, numbers, ones, zeros
from twolayer.verification.evidence.shapes import DOMAINS, BadShapes, arguments
from twolayer.verification.numbers.balls import Ball, balls
from twolayer.verification.programs import Refused


def test_shapes_are_letters_numbers_and_products():
    spec = arguments({"W": "k d", "x": "4*h,3", "y": "2*k*d", "s": "", "nested": {"V": "d>=3 d"}})
    sizes = {"k": 2, "d": 5, "h": 7}
    assert [array.shape(sizes) for array in spec.arrays] == [(2, 5), (28, 3), (20,), (), (5, 5)]
    assert spec.letters == ["k", "d", "h"] and spec.least == {"d": 3} and spec.floating[-1] == "nested.V"
    drawn_sizes = spec.sizes()
    assert drawn_sizes[0] == {"k": 3, "d": 5, "h": 2} and {"k": 1, "d": 3, "h": 1} in drawn_sizes
    assert {"k": 4, "d": 4, "h": 4} in drawn_sizes and max(max(one.values()) for one in drawn_sizes) > 30
    assert all(one["d"] >= 3 for one in drawn_sizes) and len({str(one) for one in drawn_sizes}) == len(drawn_sizes)


def test_arguments_are_built_as_the_function_takes_them():
    spec = arguments({"nested": {"W": "2", "b": ""}, "n": np.array([1, 2]), "x": np.ones((2, 3))})
    values = spec.draw({}, np.random.default_rng(0))
    params, n, x = spec.built(values)
    assert params.W is params["W"] is values["nested.W"] and np.shape(params.b) == () and x.shape == (2, 3)
    assert n.tolist() == [1, 2] and spec.floating == ["nested.W", "nested.b", "x"]
    with pytest.raises(AttributeError):
        params.V  # noqa: B018
    assert list(arguments([np.ones(2), np.ones(3)], names=("a", "b")).parts) == ["a", "b"]
    assert list(arguments([np.ones(2)]).parts) == ["argument 0"]


PROPERTIES = {
    "real": lambda a: (a < 0).any() and (a > 0).any(),
    "positive": lambda a: (a > 0).all(),
    "unit": lambda a: ((a > 0) & (a < 1)).all(),
    "probabilities": lambda a: (a > 0).all() and np.allclose(a.sum(axis=-1), 1),
    "onehot": lambda a: ((a == 0) | (a == 1)).all() and (a.sum(axis=-1) == 1).all(),
    "bits": lambda a: sorted(set(a.ravel())) == [0, 1],
    "signs": lambda a: sorted(set(a.ravel())) == [-1, 1],
    "integers": lambda a: a.dtype.kind == "i" and a.min() >= -5 and a.max() <= 5 and len(set(a.ravel())) > 4,
    "spd": lambda a: (a == a.T).all() and np.linalg.eigvalsh(a).min() > 0,
    "labels:4": lambda a: sorted(set(a.ravel())) == [0, 1, 2, 3],
    "labels:c": lambda a: sorted(set(a.ravel())) == [0, 1, 2],
}


@pytest.mark.parametrize("domain", PROPERTIES)
def test_numbers_come_from_their_domain(domain):
    assert set(DOMAINS) < set(PROPERTIES)
    spec = arguments({"x": "n n", "z": "c"}, {"x": domain})
    values = spec.draw({"n": 7, "c": 3}, np.random.default_rng(0), lambda path: 100.0)
    assert values["x"].shape == (7, 7) and PROPERTIES[domain](values["x"])
    assert (abs(values["x"]).max() > 20) == (domain in ("real", "positive"))  # these have a scale


def test_labels_are_repeated():
    spec = arguments({"x": "n", "t": "n"}, {"t": "labels:9"})
    values = {"x": np.arange(5.0), "t": np.array([1, 2, 3, 4, 8])}
    one, two = spec.repeated(values)
    assert one["t"].tolist() == [8] * 5 and two["t"].tolist() == [4, 8, 4, 8, 4] and (one["x"] == values["x"]).all()
    assert list(arguments({"x": "n"}).repeated(values)) == []


@pytest.mark.parametrize(
    ("shapes", "domains", "said"),
    [
        ("m d", None, "shapes must be a mapping"),
        ({}, None, "shapes must be a mapping"),
        ({"x": "m+1"}, None, r"'m\+1' in the shape of x is no size"),
        ({"x": "m"}, {"y": "real"}, "domains names 'y', which is no argument; the arguments are x"),
        ({"x": "m"}, {"x": "reals"}, "the domain of x is 'reals'; it must be one of real, positive"),
        ({"x": "m"}, {"x": "labels:c"}, "'labels:c', and c is the size of no axis"),
        ({"x": "m"}, {"x": lambda rng, shape: np.ones(1)}, r"gave an array of shape \(1,\), and \(4,\) is wanted"),
        ({"x": "m"}, {"x": lambda rng, shape: np.full(shape, np.nan)}, "gave what is no finite number"),
    ],
)
def test_a_description_that_means_nothing_is_refused(shapes, domains, said):
    with pytest.raises(BadShapes, match=said):
        arguments(shapes, domains).draw({"m": 4}, np.random.default_rng(0))


# What was returned.

SPEC = arguments({"W": "k", "b": "", "n": np.array([1])})


def test_outputs_are_named():
    array = np.ones(1)
    assert list(named({"": array, "[0]": array, "a": array})) == ["value", "value[0]", "value.a"]
    assert list(by_place({"[0]": 1, "[1]": 2}, ["a", "b"])) == ["a", "b"]
    assert list(by_place({"[0]": 1}, ["a", "b"])) == ["[0]"] and list(by_place({"a": 1}, ["b"])) == ["a"]


Gradients = collections.namedtuple("Gradients", "W b")
W, B = balls([1, 2]), Ball(3)


@pytest.mark.parametrize(
    "result", [{"W": W, "b": B}, {"dW": W, "db": B}, {"b": B, "W": W}, Gradients(W, B), (W, B), [W, B]]
)
def test_what_a_derivation_returns_is_taken_by_the_arguments(result):
    found = by_argument(result, SPEC, ["W", "b"], None)
    assert found["dW"].tolist() == W.tolist() and found["db"].item() is B


def test_one_array_is_that_of_the_one_argument_and_none_is_left_out():
    assert list(by_argument(W, SPEC, ["W"], 0)) == list(by_argument((W,), SPEC, ["W"], 0)) == ["dW"]
    assert list(by_argument((None, B), SPEC, ["W", "b"], None)) == ["db"]
    assert list(by_argument(W, SPEC, ["W", "b"], None)) == ["dW"]


@pytest.mark.parametrize(
    ("result", "argnums", "said"),
    [
        (None, None, "it returned nothing"),
        ((W, B, W), None, "it returned 3 arrays for the 2 arguments W, b"),
        (W, (0, 1), "it returned one array for the arguments W, b"),
        ({"V": W}, None, "it returned 'V', which is no argument; the arguments are W, b"),
        ({"W": np.array([1, 2])}, None, "it returned integers for W: a derivative is an array of floats"),
        ({"W": np.array(["a", "b"])}, None, "it returned a str for W, and numbers are wanted"),
    ],
)
def test_what_is_no_derivative_is_refused(result, argnums, said):
    with pytest.raises(Refused, match=said):
        by_argument(result, SPEC, ["W", "b"], argnums)


def test_what_is_meant_to_differ():
    at, found = At("ordinary", {"k": 2}, {"W": W, "b": np.asarray(B), "n": np.array([1])}), {"W": W, "b": np.asarray(B)}
    assert (expected(found, {"dW": "zero"}, SPEC, at, None)["W"] == 0).all()
    twice = expected(found, {"b": lambda W, b, n: 2 * b}, SPEC, at, None)
    assert twice["b"] == 6 and twice["W"] is W
    outer = lambda at: {"": np.asarray(Ball(5))}  # noqa: E731
    assert expected(found, {"b": lambda W, b, n, g: g * b}, SPEC, at, outer)["b"] == 15
    with pytest.raises(Refused, match="expects names 'V', which is no argument of floats"):
        expected(found, {"V": "zero"}, SPEC, at, None)
    with pytest.raises(Refused, match='it must be "zero" or a function'):
        expected(found, {"W": "one"}, SPEC, at, None)


def test_the_cotangent_of_a_loss_is_one():
    assert ones(np.asarray(B)).item() == 1 and ones(W[:1]).shape == (1,) and (zeros(W) == 0).all()
    with pytest.raises(Refused, match=r"must return one number; it returned an array of shape \(2,\)"):
        ones(W)
    assert numbers(0.5, "W").item() == 0.5

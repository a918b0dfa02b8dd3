"""The derivations in experiments/derivations are as right and as wrong as their docstrings say.

Judged here by the float64 loops of oracles.py and by jax.grad, so that they can judge the verification in turn.
"""

import importlib.util
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from problems import problem
from tolerances import TOLERANCES, assert_close

from twolayer.losses import LOSSES, example_weights
from twolayer.verification import verify

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "experiments" / "derivations"
LEAVES = ("dW1", "db1", "dW2", "db2")

# file: leaves that are wrong, leaves that are missing
JUDGED = {
    "author_completed": ((), ()),
    "author_completed_quadratic": ((), ()),
    "author_without_biases": ((), ("db1", "db2")),
    "numpy_loops": ((), ()),
    "named_steps": ((), ()),
    "double_mean": (("dW1", "dW2"), ()),
    "missing_output_mask": (LEAVES, ()),
    "softmax_jacobian_missing": (LEAVES, ()),
    "updated_w2": (("dW1", "db1"), ()),
    "sum_for_mean": (LEAVES, ()),
    "numpy_columns": ((), ()),
    "numpy_caches": (("dW1", "db1"), ()),
    "numpy_examples": ((), ()),
}
IN_PLACE = ("numpy_columns", "numpy_caches", "numpy_examples")  # they change NumPy's arrays, which JAX's do not allow
SHAPE_ERRORS = ("author_as_scanned", "author_chain_as_scanned")
WITH_A_LOSS = ("author_completed", "author_completed_quadratic", "sum_for_mean")

pytestmark = pytest.mark.usefixtures("float64", "as_a_student_writes")
every_judged = pytest.mark.parametrize("name", JUDGED)


@pytest.fixture
def as_a_student_writes():
    """`x @ W1.T + b1` adds a vector to the rows of a matrix."""
    with jax.numpy_rank_promotion("allow"):
        yield


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared(module):
    """(loss, output, reduction) of the command in the docstring; a flag that is not there has its default."""
    (command,) = re.findall(r"^    python -m experiments\.verify (.*)$", module.__doc__, re.MULTILINE)
    flags = dict(re.findall(r"--(\w+)=(\S+)", command))
    assert flags.pop("derivation") == f"experiments/derivations/{module.__name__}.py"
    names = (
        flags.pop("loss", "cross_entropy"),
        flags.pop("output", "relu"),
        flags.pop("reduction", "mean"),
    )
    assert not flags and names[0] in LOSSES
    return names


def batch(loss, **options):
    """A problem as the oracle takes it, and as a derivation does: JAX arrays, labels as one-hot rows."""
    case = problem(loss, "float64", **options)
    params, x, y = jax.tree.map(jnp.asarray, case)
    return case, (params, x, jax.nn.one_hot(y, len(params.b2), dtype=x.dtype) if loss == "cross_entropy" else y)


def cotangents(params, x, y, loss, output, reduction):
    """dZ1, dO1, dZ2, dO2 by jax.grad: what zeros added to the four intermediates would do to the loss."""

    def total(zeros):
        Z1 = x @ params.W1.T + params.b1 + zeros["dZ1"]
        O1 = jax.nn.relu(Z1) + zeros["dO1"]
        Z2 = O1 @ params.W2.T + params.b2 + zeros["dZ2"]
        O2 = (jax.nn.relu(Z2) if output == "relu" else Z2) + zeros["dO2"]
        value = LOSSES[loss](O2, y).value
        return (example_weights(reduction, len(x), None, value.dtype) * value).sum()

    hidden, outputs = jnp.zeros((len(x), len(params.b1))), jnp.zeros((len(x), len(params.b2)))
    return jax.grad(total)({"dZ1": hidden, "dO1": hidden, "dZ2": outputs, "dO2": outputs})


def test_every_file_is_judged():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*JUDGED, *SHAPE_ERRORS}


@pytest.mark.parametrize("seed", [124, 5])
@every_judged
def test_exactly_the_leaves_that_it_says_are_wrong(name, seed):
    wrong, missing = JUDGED[name]
    module = load(name)
    names = declared(module)
    case, arguments = batch(names[0], seed=seed)
    right = dict(zip(LEAVES, oracles.gradients(*case, *names), strict=True))
    returned = module.gradients(*(jax.tree.map(np.array, arguments) if name in IN_PLACE else arguments))
    assert set(LEAVES) - set(returned) == set(missing)

    for leaf in sorted(set(LEAVES) - set(missing)):
        got = returned[leaf].ravel() if leaf[1] == "b" else returned[leaf]  # a bias may be a column
        assert got.shape == right[leaf].shape
        distance = np.linalg.norm(got - right[leaf]) / np.linalg.norm(right[leaf])
        assert distance > 1e-3 if leaf in wrong else distance < TOLERANCES["float64"], (leaf, distance)


@pytest.mark.parametrize("name", ["author_completed", "author_completed_quadratic"])
def test_the_completed_pages_return_all_eight_steps(name):
    module = load(name)
    names = declared(module)
    case, arguments = batch(names[0])
    returned = module.gradients(*arguments)
    assert list(returned) == ["dO2", "dZ2", "dW2", "db2", "dO1", "dZ1", "dW1", "db1"]
    expected = cotangents(*jax.tree.map(jnp.asarray, case), *names)
    assert_close({step: returned[step] for step in expected}, expected)


@pytest.mark.parametrize("name", WITH_A_LOSS)
def test_their_own_losses_are_what_they_differentiate(name):
    module = load(name)
    loss, output, reduction = declared(module)
    case, arguments = batch(loss)
    states = "sum" if name == "sum_for_mean" else reduction
    assert_close(module.loss(*arguments), np.float64(oracles.total(*case, loss, output, states)))
    assert_close(
        [module.gradients(*arguments)[leaf] for leaf in LEAVES], oracles.gradients(*case, loss, output, states)
    )


def test_the_docstrings_name_the_wrong_and_the_missing_leaves():
    for name, (wrong, missing) in JUDGED.items():
        text = load(name).__doc__
        said = re.findall(r"(Wrong leaves|Not derived): ([\w, ]+)\.", text)
        assert said == [
            (key, ", ".join(leaves)) for key, leaves in (("Wrong leaves", wrong), ("Not derived", missing)) if leaves
        ]
        assert re.search(r"^Expected: (right|wrong|undecided|not_derived)\.", text, re.MULTILINE)
        assert ("Expected: wrong." in text) == bool(wrong)


def test_two_means_leave_the_weight_gradients_m_times_too_small():
    case, arguments = batch("cross_entropy")
    right = oracles.gradients(*case, *declared(load("double_mean")))
    returned = load("double_mean").gradients(*arguments)
    assert_close([7 * returned["dW1"], 7 * returned["dW2"]], [right[0], right[2]])


def test_the_scanned_forward_pass_fits_no_sizes_that_differ():
    gradients = load("author_as_scanned").gradients
    for sizes in ({}, {"C": 6}):  # with C = K the line itself fits; the targets do not
        with pytest.raises((TypeError, ValueError), match="shapes"):
            gradients(*batch("cross_entropy", **sizes)[1])


def test_where_all_sizes_agree_the_scanned_forward_pass_runs_and_is_wrong():
    module = load("author_as_scanned")
    case, arguments = batch("cross_entropy", m=5, d=5, K=5, C=5)
    right = dict(zip(LEAVES, oracles.gradients(*case, *declared(module)), strict=True))
    returned = module.gradients(*arguments)
    assert set(returned) == {"dW1", "dW2"}
    assert all(np.linalg.norm(a - right[leaf]) > 0.1 for leaf, a in returned.items())


def test_the_scanned_chain_rule_returns_gradients_of_something_else():
    """Of O1 and of x, by their shapes and by their values."""
    module = load("author_chain_as_scanned")
    case, arguments = batch("cross_entropy")
    params, x, _ = arguments
    expected = cotangents(*jax.tree.map(jnp.asarray, case), *declared(module))
    returned = module.gradients(*arguments)
    assert_close(returned, {"dW1": expected["dZ1"] @ params.W1, "dW2": expected["dO1"]})
    assert returned["dW2"].shape == (7, 6) != params.W2.shape
    assert returned["dW1"].shape == x.shape != params.W1.shape


def test_numpy_cannot_be_traced():
    _, arguments = batch("cross_entropy")
    with pytest.raises(jax.errors.TracerArrayConversionError):
        jax.make_jaxpr(load("numpy_loops").gradients)(*arguments)


def test_names_of_steps_reach_the_program():
    _, arguments = batch("quadratic")
    program = jax.make_jaxpr(load("named_steps").gradients)(*arguments)
    named = [equation.params["name"] for equation in program.eqns if equation.primitive.name == "name"]
    assert named == ["dO2", "dZ2", "dO1", "dZ1"]


def test_the_sums_of_the_derivation_page_add_up():
    """Its Python blocks assert what the text around them says."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "derivation.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/derivation.md", "exec"), {})


def expected(module):
    """(verdict, first wrong step, causes) of the docstring."""
    text = " ".join(module.__doc__.split("Expected: ")[1].split())
    step = re.search(r"First wrong step: (\w+)", text)
    causes = re.search(r"Cause: (\w+), at (\w+)(?: and at (\w+))?", text)
    places = {(causes[1], place) for place in causes.groups()[1:] if place} if causes else set()
    return text.split(".")[0], step and step[1], places


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_the_verification_answers_as_the_docstring_says(name):
    if name in IN_PLACE:
        pytest.importorskip("twolayer.verification.judge", reason="needs a verifier of NumPy")
    module = load(name)
    loss, output, reduction = declared(module)
    own_loss = getattr(module, "loss", None)
    settings = {
        "loss": loss,
        "output": output,
        "reduction": reduction,
        "own_loss": own_loss,
        "precisions": ("float64",),
    }
    verdict, step, causes = expected(module)
    if verdict == "bad input":
        with pytest.raises(ValueError, match=r"dW2 has shape .* that is the shape of O1"):
            verify(module.gradients, **settings)
        return
    judged = verify(module.gradients, **settings)
    assert (judged.verdict, judged.first_wrong_step) == (verdict, step)
    assert {(cause.id, cause.leaf) for cause in judged.causes} == causes


def test_the_scanned_page_is_told_its_shape_error():
    judged = verify(load("author_as_scanned").gradients, reduction="sum", precisions=(), counterexample=False)
    assert any("author_as_scanned.py:" in note and "incompatible shapes" in note for note in judged.notes)


def test_steps_computed_on_the_way_are_judged():
    steps = verify(load("named_steps").gradients, loss="quadratic", precisions=()).steps
    assert {step for step, judged in steps.items() if judged.where == "found"} == {"dO2", "dZ2", "dO1", "dZ1"}
    assert all(judged.verdict == "right" for judged in steps.values())

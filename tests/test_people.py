"""The verification on NumPy as people write it: the verdict, the step, the line and the cause of each file.

test_people_truth.py shows that the table says what is so; the bars are those of the whole set.
"""

import json
import pathlib

import pytest
import scripts

from experiments.benchmarks import verify_people

pytest.importorskip("twolayer.verification.judge", reason="the verifier that follows NumPy")

FOLDER = pathlib.Path(__file__).parent.parent / "experiments" / "benchmarks" / "catalogue" / "people"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())

# Every kind of fault that was met in questions and repositories, with a file that has it and no other.
KINDS = {
    "only the positive part of binary cross-entropy": "positive_examples_only",
    "right only where the rows of y sum to 1": "times_the_sum_of_targets",
    "the bias from the gradient of the weights": "bias_from_weight_gradient",
    "one number for all biases": "bias_sums_everything",
    "dW2 for W2": "gradient_for_weights",
    "the derivative of the error": "derivative_of_the_error",
    "the error is not carried through W2": "error_not_through_weights",
    "the target is forgotten": "subtraction_without_effect",
    "it runs only where K = C": "mask_of_the_outputs",
    "no mask": "mask_forgotten",
    "a mask that masks nothing": "mask_that_never_bites",
    "no mask, with all steps returned": "steps_without_mask",
    "each example's own step before the hidden error": "online_step_in_between",
    "the sigmoid of 1 - sigmoid, 1/m at the leaves": "sigmoid_of_one_minus",
    "the sigmoid of 1 - sigmoid, 1/m at the residual": "one_minus_inside_the_sigmoid",
    "a factor, with squeezed biases": "half_in_both_places",
    "a product of vectors for a product by entries": "dot_of_two_vectors",
    "W2 after its step": "updated_before_use",
    "the derivative at the output": "derivative_at_the_output",
    "the derivative at the pre-activation": "tanh_derivative_of_z",
}


def of_verdict(*verdicts):
    return pytest.mark.parametrize("name", [name for name, row in EXPECTED.items() if row["verdict"] in verdicts])


@pytest.fixture(scope="module")
def rows():
    """The rows of the script, all of one process, which has its imports and no annotation checks of the tests."""
    files = [FOLDER / f"{name}.py" for name in EXPECTED]
    found = scripts.mapped(verify_people.judge, files, EXPECTED.values(), [300.0] * len(files))
    return {row["file"]: row for row in found}


@of_verdict("right", "wrong")
def test_the_verdict(rows, name):
    assert rows[name]["verdict"] == EXPECTED[name]["verdict"], rows[name]


@of_verdict("wrong")
def test_exactly_the_wrong_leaves_are_called_wrong(rows, name):
    assert rows[name]["wrong"] == EXPECTED[name]["wrong"]


@of_verdict("wrong")
def test_no_cause_is_named_that_is_not_there(rows, name):
    assert rows[name]["cause"] != "false", rows[name]["causes"]


@pytest.mark.parametrize("name", KINDS.values(), ids=KINDS)
def test_each_kind_of_fault_is_named_and_located(rows, name):
    found = rows[name]
    assert found["cause"] in ("named", "honest"), found["causes"]
    assert found["step"], (found["found"], EXPECTED[name])
    assert found["line"], (found["found"], EXPECTED[name])


@pytest.mark.parametrize(("what", "bar"), [("step", 0.9), ("line", 0.8), ("cause", 0.8)])
def test_of_all_wrong_files(rows, what, bar):
    wrong = [row for row in rows.values() if row["expected"] == "wrong"]
    good = [row for row in wrong if row.get(what) in (True, "named", "honest")]
    assert len(good) >= bar * len(wrong), [row["file"] for row in wrong if row not in good]


@of_verdict("undecided")
def test_random_numbers_are_said_to_be_so(rows, name):
    """Neither right nor wrong."""
    assert rows[name]["verdict"] in ("undecided", "refused") and any("random" in said for said in rows[name]["said"])


@pytest.mark.parametrize("name", [name for name, row in EXPECTED.items() if row.get("guard")])
def test_a_guard_is_said_to_be_one(rows, name):
    assert any(said.startswith("guard: ") for said in rows[name]["said"])


def test_a_loss_of_the_file_is_said_to_be_another_than_the_declared_one(rows):
    found = rows["mean_over_all_entries"]
    assert found["verdict"] == "wrong" and any("own loss" in said for said in found["said"])

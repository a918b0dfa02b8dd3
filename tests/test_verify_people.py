"""How verify_people scores a verdict, with verdicts made by hand, and what it says to bad flags."""

import functools
import json
from types import SimpleNamespace

import pytest
import scripts

from experiments.benchmarks import verify_people

run = functools.partial(scripts.run, "benchmarks.verify_people")
ROW = {
    "verdict": "wrong",
    "first_wrong_step": "dZ1",
    "lines": [14],
    "variables": ["delta1"],
    "causes": ["mask_missing", "derivative_missing"],
}


def verdict(*causes, step="dZ1", line=14, variable="self.cache['delta1']", since=None):
    """Causes are "id" or "id at step"; with a number before them, of that alternative."""
    made = []
    for place, text in enumerate(causes):
        id, _, leaf = text.partition(" at ")
        made.append(SimpleNamespace(id=id, leaf=leaf or step, explanation=place, since=since))
    return SimpleNamespace(causes=made, first_wrong_step=step, line_number=line, variable=variable)


@pytest.mark.parametrize(
    ("causes", "word"),
    [
        (["mask_missing"], "named"),
        (["sign", "mask_missing"], "candidate"),
        (["unknown"], "unknown"),
        ([], "unknown"),
        (["sign"], "false"),
    ],
)
def test_causes_are_scored(causes, word):
    assert verify_people.named(verdict(*causes), ROW) == word


def test_unknown_is_honest_where_no_id_fits():
    assert verify_people.named(verdict("unknown"), ROW | {"causes": ["unknown"]}) == "honest"


def test_two_faults_need_both_names():
    row = ROW | {"causes": ["half"], "second": {"step": "dZ1", "causes": ["mask_missing"]}}
    both = verdict("half", "mask_missing")
    for cause in both.causes:
        cause.explanation = 0
    assert verify_people.named(both, row) == "named"
    assert verify_people.named(verdict("half"), row) == "false"


@pytest.mark.parametrize(
    ("options", "line", "variable"),
    [
        ({}, True, True),
        ({"line": 15}, False, True),
        ({"line": 16, "since": 12}, True, True),  # "between line 12, right, and line 16"
        ({"line": 16, "since": 14}, False, True),
        ({"line": None, "variable": None}, False, False),
        ({"variable": "dW1"}, True, False),
    ],
)
def test_lines_and_variables_are_scored(options, line, variable):
    found = verify_people.compare(verdict("mask_missing", **options), ROW)
    assert (found["line"], found["variable"]) == (line, variable)


def test_steps_are_scored_and_a_cause_in_the_forward_pass_is_a_step():
    assert verify_people.compare(verdict("mask_missing"), ROW)["step"]
    assert not verify_people.compare(verdict("mask_missing", step="dO1"), ROW)["step"]
    forward = ROW | {"first_wrong_step": "forward"}
    assert verify_people.compare(verdict("bias_missing at forward", step="dO2"), forward)["step"]


def test_counts():
    shown = {"step": True, "line": False, "variable": False, "cause": "named"}
    rows = [
        {"file": "a", "expected": "right", "verdict": "right", "seconds": 1.0},
        {"file": "b", "expected": "right", "verdict": "wrong", "seconds": 1.0},
        {"file": "c", "expected": "wrong", "verdict": "wrong", "seconds": 4.0} | shown,
        {"file": "d", "expected": "wrong", "verdict": "right", "seconds": 2.0},
        {"file": "e", "expected": "undecided", "verdict": "fault", "seconds": 3.0},
    ]
    counts = verify_people.summarise(rows)
    assert (counts["right_accepted"], counts["right_refuted"]) == (1, ["b"])
    assert (counts["wrong_judged_wrong"], counts["wrong_passed"], counts["faults"]) == (1, ["d"], ["e"])
    assert (counts["step_right"], counts["line_right"], counts["cause_right"]) == (1, 0, 1)
    assert (counts["other_as_expected"], counts["seconds_median"], counts["seconds_longest"]) == (0, 2.0, 4.0)


def test_a_file_that_is_too_slow_is_refused(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("def gradients(params, x, y):\n    while True:\n        pass\n")
    row = {"verdict": "right", "loss": "quadratic", "output": "identity", "reduction": "sum", "hidden": "relu"}
    found = verify_people.judge(path, row, 1.0)
    assert found["verdict"] == "refused" and "time limit" in found["said"][0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--folder=absent"], "absent"), (["--files=nobody"], "nobody"), (["--json=/"], "directory")],
)
def test_bad_flags_are_refused_in_one_line(arguments, word):
    scripts.assert_refused(run(*arguments), word)


def test_a_table_without_files_counts_them_as_refused(tmp_path):
    row = {"verdict": "right", "loss": "quadratic", "output": "identity", "reduction": "sum", "hidden": "relu"}
    (tmp_path / "expected.json").write_text(json.dumps({"absent": row}))
    path = tmp_path / "out.json"
    status, _, err = run(f"--folder={tmp_path}", f"--json={path}")
    assert status == 0, err
    assert json.loads(path.read_text())["rows"][0]["verdict"] == "refused" and "absent.py" in path.read_text()

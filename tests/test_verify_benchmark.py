"""The comparison of checkers measures what it says: each is really called, and what it does ends up in its row."""

import functools
import importlib.util
import json
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts

from experiments.benchmarks import verify_benchmark
from experiments.benchmarks.checkers import (
    ACCEPTED,
    CHECKERS,
    OURS,
    REJECTED,
    UNDECIDED,
    Answer,
    Checker,
    differences,
    table,
    trials,
)
from experiments.benchmarks.checkers.table import facts
from experiments.benchmarks.checkers.trials import NOT_TRIED, RAISED, TIMED_OUT, Trial
from twolayer.gradients import autodiff

ROOT = pathlib.Path(__file__).parent.parent
CASES = [("cross_entropy", "relu", "mean"), ("quadratic", "identity", "sum")]


class Derivation(NamedTuple):
    """An entry like those of the catalogue: the right derivation, but for what `edit` does to its leaves."""

    loss: str
    output: str
    reduction: str
    id: str = "right"
    edit: object = staticmethod(lambda params, leaves: leaves)
    kind: str = "coarse"
    accepted: dict = {}  # noqa: RUF012

    def function(self, steps=False):
        def gradients(params, x, y):
            W1, b1, W2, b2 = params
            Z1 = x @ W1.T + b1[None, :]
            O1 = jnp.maximum(Z1, 0)
            Z2 = O1 @ W2.T + b2[None, :]
            on = (Z2 > 0) | (self.output == "identity")
            O2 = jnp.where(on, Z2, 0)
            residual = (jax.nn.softmax(O2) if self.loss == "cross_entropy" else O2) - y
            dZ2 = residual * on / (len(x) if self.reduction == "mean" else 1)
            dZ1 = (dZ2 @ W2) * (Z1 > 0)
            leaves = {"dW1": dZ1.T @ x, "db1": dZ1.sum(axis=0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(axis=0)}
            return self.edit(params, leaves)

        return gradients


def wrong(edit, *case, **options):
    return Derivation(*(case or CASES[0]), id="wrong", edit=edit, **options)


def hundredfold(params, leaves):
    return {name: 100 * leaf for name, leaf in leaves.items()}


def transposed(params, leaves):
    return leaves | {"dW2": leaves["dW2"].T}


def check(name):
    """The function of a checker; skips the test where its library is missing."""
    for package in CHECKERS[name].packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return trials.load(CHECKERS[name])


OTHERS = [name for name in CHECKERS if name != OURS]


@pytest.mark.parametrize("case", CASES, ids="-".join)
@pytest.mark.parametrize("name", OTHERS)
def test_each_checker_accepts_a_right_derivation_and_rejects_a_grossly_wrong_one(name, case):
    f, point = check(name), trials.draw("he", 0, case[0])
    assert trials.once(f, Derivation(*case), point, 30).verdict == ACCEPTED
    assert trials.once(f, wrong(hundredfold, *case), point, 30).verdict == REJECTED


@pytest.mark.parametrize("name", OTHERS)
def test_a_leaf_of_the_wrong_shape_does_not_pass(name):
    trial = trials.once(check(name), wrong(transposed), trials.draw("he", 0, "cross_entropy"), 30)
    assert trial.verdict in (RAISED, REJECTED)


def test_ours_judges_the_same_derivations():
    f = check(OURS)
    assert trials.once(f, Derivation(*CASES[0]), None, 60).verdict == ACCEPTED
    found = trials.once(f, wrong(hundredfold), None, 60)
    assert found.verdict == REJECTED and found.answer.where


def test_float64_sees_what_float32_cannot():
    subtle = wrong(lambda params, leaves: leaves | {"dW2": leaves["dW2"] + 1e-4 * params.W2}, *CASES[1])
    point = trials.draw("he", 0, "quadratic")
    assert trials.once(check("jax_float64"), subtle, point, 30).verdict == REJECTED
    assert trials.once(check("jax_float32"), subtle, point, 30).verdict == ACCEPTED


def test_the_fast_mode_of_torch_leaves_out_its_slow_message_only_in_the_real_setting(monkeypatch):
    f = check("torch_fast")
    module, called = importlib.import_module("torch.autograd.gradcheck"), []
    monkeypatch.setattr(module, "_run_slow_mode_and_get_error", lambda *_: called.append(1) or "")
    for setting, calls in (("real", 0), ("he", 1)):
        point = trials.draw(setting, 0, "cross_entropy")
        assert trials.once(f, wrong(hundredfold), point, 30).verdict == REJECTED
        assert len(called) == calls


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("output", ["relu", "identity"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_of_the_differences_is_the_declared_one(float64, loss, output, reduction):
    point, derivation = trials.draw("he", 1, loss), Derivation(loss, output, reduction)
    y = jnp.array(point.y.argmax(axis=1).astype(np.int32) if loss == "cross_entropy" else point.y)
    arrays = jax.tree.map(jnp.array, (point.params, point.x))
    value, _ = autodiff(loss, output, reduction)(*arrays, y)
    assert differences.loss(np, derivation, point.params, point.x, point.y) == pytest.approx(float(value), rel=1e-12)


@pytest.mark.parametrize("setting", trials.SETTINGS)
def test_points_are_a_function_of_setting_and_seed(setting):
    first, again, other = (trials.draw(setting, seed, "cross_entropy") for seed in (0, 0, 1))
    quadratic, sizes = trials.draw(setting, 0, "quadratic"), trials.SETTINGS[setting]
    assert first.params.W1.shape == (sizes.K, sizes.d) and first.y.shape == (sizes.m, sizes.C)
    for name in ("W1", "b2"):
        assert (getattr(first.params, name) == getattr(again.params, name)).all()
        assert (getattr(first.params, name) == getattr(quadratic.params, name)).all()
        assert (getattr(first.params, name) != getattr(other.params, name)).all()
    assert (first.y.sum(axis=1) == 1).all() and first.cast(np.float32).x.dtype == np.float32
    if not sizes.images:
        Z1 = first.x @ first.params.W1.T + first.params.b1
        assert ((Z1 > 0).any(axis=0) & (Z1 <= 0).any(axis=0)).all()


def test_a_checker_that_is_too_slow_is_stopped_and_given_up_after_two_in_a_row():
    def hangs(derivation, point):
        try:
            time.sleep(60)
        except Exception:  # as libraries do
            return Answer(ACCEPTED)

    start = time.perf_counter()
    found = trials.run(hangs, [Derivation(*CASES[0])] * 3, None, range(1), 0.05)
    assert [trial.verdict for trial in found] == [TIMED_OUT, TIMED_OUT, NOT_TRIED]
    alternates = iter([hangs, lambda *_: Answer(ACCEPTED)] * 2)
    found = trials.run(lambda *given: next(alternates)(*given), [Derivation(*CASES[0])] * 4, None, range(1), 0.05)
    assert [trial.verdict for trial in found] == [TIMED_OUT, ACCEPTED] * 2
    assert time.perf_counter() - start < 5


def test_what_a_derivation_raises_is_an_outcome_in_one_line():
    def raises(derivation, point):
        raise TypeError("shapes\ndo not match")

    trial = trials.once(raises, Derivation(*CASES[0]), None, 5)
    assert (trial.verdict, trial.note) == (RAISED, "TypeError: shapes do not match")


def test_a_missing_library_is_a_row_that_says_so(monkeypatch):
    absent = Checker("absent_library.checks:check", "Absent", "", ("absent_library",))
    monkeypatch.setitem(CHECKERS, "absent", absent)
    found = verify_benchmark.measure("absent", "he", [], [], 1, 5)
    note = "missing: absent_library is not installed; pip install -e '.[bench]'"
    assert found == {"checker": "absent", "setting": "he", "note": note}
    assert note in table.text(facts(["absent"], {"he": ([], [])}, 1) | {"rows": [found]})


def test_a_broken_import_of_our_own_is_not_called_missing():
    with pytest.raises(ModuleNotFoundError):
        trials.load(Checker("experiments.benchmarks.checkers.no_such_file:check", "", ""))


def test_a_row_counts_kills_alarms_places_and_names():
    def trial(verdict, causes=(), where="dZ1", **options):
        derivation = wrong(None, accepted={"dZ1": ("mask_missing", "unknown")}, **options)
        return Trial(derivation, verdict, 1.0, Answer(verdict, where, causes))

    bad = [
        trial(REJECTED, ((0, "mask_missing"),)),
        trial(REJECTED, ((0, "mask_missing"), (1, "sign"))),  # among others
        trial(REJECTED, ((0, "sign"),), where="dO1"),  # a wrong name
        trial(REJECTED, ((0, "mask_missing"), (0, "sign")), kind="fine"),  # one explanation of two errors
        trial(REJECTED, ((0, "unknown"),)),
        trial(RAISED),
        trial(ACCEPTED, kind="fine"),
        trial(UNDECIDED),
    ]
    right = [Trial(Derivation(*CASES[0]), verdict, 3.0) for verdict in (ACCEPTED, REJECTED)]
    found = table.row("ours", "own", bad, right, says=True)
    counted = ("wrong", "killed", "raised", "right", "alarms", "undecided", "located", "named", "listed", "misnamed")
    assert [found[name] for name in counted] == [8, 6, 1, 2, 1, 1, 4, 2, 3, 2]
    assert found["killed_by_kind"] == {"coarse": [5, 6], "fine": [1, 2]}
    assert found["survivors"] == ["wrong"] and found["alarmed"] == ["right"] and found["seconds_median"] == 1


def test_two_mistakes_are_named_if_both_are():
    derivation = wrong(None, accepted={"dO2": ("sign",), "dW1": ("zero",)})

    def named(*causes):
        trial = Trial(derivation, REJECTED, 1.0, Answer(REJECTED, "dO2", causes))
        return table.row("ours", "own", [trial], [], says=True)["named"]

    assert named((0, "sign"), (0, "zero")) == 1
    assert named((0, "sign")) == named((0, "sign"), (1, "zero")) == 0


def test_the_table_never_rounds_up_to_all():
    assert [table._percent(*share) for share in ((1999, 2000), (7, 7), (0, 3), (0, 0))] == [
        "99.9 %",
        "100 %",
        "0 %",
        "-",
    ]


def test_limits_are_spread_evenly():
    assert trials.spread(range(10), 3) == [0, 3, 6]
    assert trials.spread(range(2), None) == trials.spread(range(2), 5) == [0, 1]


def test_nothing_is_tried_that_needs_more_memory_than_there_is():
    large, small = (Derivation(*CASES[0], id=f"{name} {' '.join(CASES[0])}") for name in ("jacfwd", "jacrev"))
    assert trials.fitting([large, small], "real") == [small]
    assert trials.fitting([large, small], "he") == [large, small]


def test_each_mistake_is_taken_once_and_settings_take_turns():
    both = [Derivation(*case, id=f"{name} {' '.join(case)}") for name in ("a", "b", "c") for case in CASES]
    assert [both.index(entry) for entry in trials.one_of_each(both)] == [0, 3, 4]


run = functools.partial(scripts.run, "benchmarks.verify_benchmark")


def test_a_small_run_writes_what_it_prints(tmp_path):
    path = tmp_path / "new" / "numbers.json"
    names = "ours,jax_float64"
    status, out, err = run("--limit=2", "--seeds=1", "--settings=he", f"--checkers={names}", f"--json={path}")
    assert status == 0, err
    written = json.loads(path.read_text())
    assert {"platform", "versions", "git", "settings", "checkers", "counting", "derivations", "rows"} <= set(written)
    assert [(row["checker"], row["setting"]) for row in written["rows"]] == [("ours", "own"), ("jax_float64", "he")]
    for row in written["rows"]:
        assert row["wrong"] == row["right"] == 2 and row["alarms"] == 0 < row["killed"]
    header, *lines = table.table(written)
    assert [line[0] for line in lines] == [CHECKERS[name].label for name in names.split(",")]
    assert all(len(line) == len(header) for line in lines) and "does not report" in lines[1]
    assert out == table.text(written) + "\n"


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        ("--seeds=0", "seeds"),
        ("--checkers=nobody", "'nobody'"),
        ("--settings=huge", "'huge'"),
        ("--json=.", "directory"),
    ],
)
def test_bad_flags_are_refused_in_one_line(argument, word):
    status, out, err = run(argument)
    scripts.assert_refused((status, out, err), word)


def test_help_does_not_load_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('too early')")
    status, out, _ = run("--help", PYTHONPATH=str(tmp_path))
    assert status == 0 and "--seeds" in out


def test_a_function_with_a_fault_is_rejected_by_finite_differences_and_the_right_one_is_not(tmp_path):
    import jax

    from experiments.benchmarks.checkers import any_function

    case = any_function.CASES["huber"]
    with jax.enable_x64(True):
        for fault, verdict in ((None, "accepted"), (case.faults[0], "rejected")):
            module = any_function.load(any_function.written(case, fault, tmp_path)[0])
            form = any_function.form("huber", case, module, "", seed=0)
            assert any_function.check_grad(form, None).verdict == verdict
            assert any_function.check_vjp(form, None, "float64").verdict == verdict

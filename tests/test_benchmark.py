"""The benchmark measures what it says: right competitors are timed, wrong or absent ones say so, nothing hangs."""

import dataclasses
import functools
import importlib.util
import json
import pathlib
import sys

import numpy as np
import pytest
import scripts
from python_forks import python

from experiments.benchmarks.peers import COMPETITORS, GEMMS, OURS, Competitor, gemms, problem, rounds, worker

ROOT = pathlib.Path(__file__).parent.parent

# Competitors in plain NumPy, quick to start. What each does differently is all that is written out.
STUBS = """
import os, time
import numpy as np
from experiments.benchmarks.peers.problem import backward

class Right:
    factor = 1

    def __init__(self, problem):
        self.problem, self.x = problem, problem.features()
        self.params = [np.array(start) for start in problem.start]

    def epoch(self, index):
        p = self.problem
        for start in range(0, len(p.x), p.batch_size):
            rows = p.orders[index][start : start + p.batch_size]
            gradients = backward(p.output, self.params, self.x[rows], p.y[rows]).gradients
            for parameter, gradient in zip(self.params, gradients):
                parameter -= np.float32(p.learning_rate * self.weight(len(rows))) * gradient

    def weight(self, m):
        return 1

    def parameters(self):
        return tuple(self.params)

class ForgetsTheMean(Right):
    def weight(self, m):
        return m

class RaggedLikeWhole(Right):
    def weight(self, m):
        return m / self.problem.batch_size

class Crashes(Right):
    def epoch(self, index):
        os.write(2, b"out of luck\\n")
        os._exit(3)

class Raises(Right):
    def epoch(self, index):
        raise RuntimeError("no such kernel\\nand a page of detail")

class Hangs(Right):
    def epoch(self, index):
        time.sleep(60)

class TiresInRoundTwo(Right):
    def epoch(self, index):
        super().epoch(index)
        if index == 2:
            raise MemoryError("full")

class Chatters(Right):
    def epoch(self, index):
        print("epoch", index)
        os.system("echo from a child")
        super().epoch(index)
"""


run = functools.partial(scripts.run, "benchmarks.speed")


def prepare(python):
    """An epoch takes a millisecond here: fifty of them will do. Competitors have a thread each, and are forked."""
    rounds.TURN, worker.threads, sys.executable = 0.05, lambda: 1, python


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A small run as a user starts it: (what it prints, what it writes)."""
    path = tmp_path_factory.mktemp("benchmark") / "new" / "numbers.json"
    peers = "jax_loop,sklearn,limit" + ",torch_eager,torch_loader" * (importlib.util.find_spec("torch") is not None)
    sizes = ("--hidden=8", "--batch_size=400", "--rounds=2")
    before = functools.partial(prepare, python())
    status, out, err = run(*sizes, f"--peers={peers}", f"--json={path}", before=before, XLA_FLAGS="")  # as for users
    assert status == 0, err
    return out, json.loads(path.read_text())


def test_every_row_passes_the_gate_and_is_timed(report):
    _, written = report
    (case,) = written["cases"]
    assert {row["name"] for row in case["rows"]} >= {OURS, "jax_loop"}
    for row in case["rows"]:
        assert set(row["gate"]) == {"W1", "b1", "W2", "b2"}
        assert all(leaf["error"] <= leaf["allowed"] < 1e-3 for leaf in row["gate"].values())
        assert len(row["epoch_s"]["rounds"]) == 2
        assert row["epoch_s"]["min"] <= row["epoch_s"]["median"] <= row["epoch_s"]["max"] < row["cold_s"]
        assert row["compile_s"] >= 0


def test_times_of_many_networks_at_once_are_those_of_one(tmp_path):
    path = tmp_path / "networks.json"
    arguments = ("--hidden=8", "--batch_size=400", "--rounds=2", "--peers=stack", f"--json={path}")
    status, out, err = run(*arguments, before=functools.partial(prepare, python()))
    assert status == 0, err
    (case,) = json.loads(path.read_text())["cases"]
    row = next(row for row in case["rows"] if row["name"] == "stack")
    assert all(leaf["error"] <= leaf["allowed"] for leaf in row["gate"].values())
    assert row["epoch_s"]["max"] < row["cold_s"] and row["slower"]["median"] > 0 and "64 networks at once" in out
    rows = [
        rounds.Row(name, Competitor("", "", networks=n), epochs=[6.4], first=7.4) for name, n in ((OURS, 1), ("b", 64))
    ]
    found = rounds.summary(rows, [], 1.0, None)["rows"]
    assert found[1]["epoch_s"]["median"] == pytest.approx(0.1) and found[1]["compile_s"] == pytest.approx(1.0)


def test_the_limit_is_below_every_row_and_sums_the_fastest_products(report):
    _, written = report
    (case,) = written["cases"]
    limit = case["limit"]
    assert set(limit["products_s"]) == {"Z1", "Z2", "dW2", "dO1", "dW1"}
    fastest = sum(min(seconds.values()) for seconds in limit["products_s"].values())
    assert limit["epoch_s"]["median"] == pytest.approx(fastest * case["examples"] / 400)
    assert limit["epoch_s"]["median"] < min(row["epoch_s"]["median"] for row in case["rows"])
    assert 0 < case["share_of_limit"]["median"] < 1


def test_the_report_says_where_the_numbers_come_from(report):
    _, written = report
    assert written["flags"]["hidden"] == ["8"] and written["flags"]["batch_size"] == 400
    assert written["threads"] >= 1 and len(written["load_average"]) == 3
    assert {"argv", "git", "versions", "platform", "date", "data"} <= set(written)
    assert {"jax", "numpy", "scikit-learn", "torch"} <= set(written["versions"])


def test_the_table_has_a_line_for_each_row(report):
    out, written = report
    (case,) = written["cases"]
    for row in case["rows"]:
        (line,) = [line for line in out.splitlines() if line.startswith(row["label"])]
        assert f"{row['epoch_s']['median']:.4f}" in line
    assert "limit, the products alone" in out and "% of the limit" in out


@pytest.fixture
def compete(tmp_path, monkeypatch):
    """Rows after two rounds of the named stubs on 60 random examples in batches of 4."""
    (tmp_path / "stubs.py").write_text(STUBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", python())

    def compete(*names, timeout=30, extra=()):
        random = np.random.default_rng(0)
        starts = random.normal(size=(5, 6)), np.zeros(5), random.normal(size=(3, 5)), np.ones(3)
        whole = problem.Problem(
            random.integers(0, 256, (60, 6)).astype(np.uint8), np.arange(60, dtype=np.int32) % 3, np.arange(6),
            problem.draw_orders(0, 60, 4, 3), *(start.astype(np.float32) for start in starts),
            scale=1 / 255, learning_rate=0.1, batch_size=4, seed=0, output="relu",
        )  # fmt: skip
        rows = [rounds.Row(name, Competitor(f"stubs:{name}", name)) for name in names] + list(extra)
        rounds.run(whole, rows, [], rounds=2, timeout=timeout, say=lambda what: None)
        return rows

    return compete


def test_wrong_competitors_are_rejected_and_the_others_are_timed(compete):
    right, *wrong = compete("Right", "ForgetsTheMean", "RaggedLikeWhole")
    assert len(right.epochs) == 2 and not right.note
    for row in wrong:
        assert not row.epochs and row.cold is None
        assert row.note.startswith("wrong, so not timed: after 10 steps it misses W1 by")


def test_competitors_that_break_say_so_and_do_not_stop_the_others(compete):
    right, crashes, raises, tires = compete("Right", "Crashes", "Raises", "TiresInRoundTwo")
    assert len(right.epochs) == 2
    assert crashes.note == "crashed with status 3: out of luck"
    assert raises.note == "failed: RuntimeError: no such kernel"
    assert tires.note == "failed: MemoryError: full" and not tires.epochs


def test_a_competitor_that_hangs_is_given_up(compete):
    own = rounds.Row("own", Competitor("stubs:Hangs", "own", limit=1.0))
    right, hangs, own = compete("Right", "Hangs", timeout=3, extra=[own])
    assert len(right.epochs) == 2
    assert hangs.note == "no answer in 3 s" and own.note == "no answer in 3 s"
    right, own = compete("Right", timeout=None, extra=[dataclasses.replace(own, note="")])
    assert len(right.epochs) == 2 and own.note == "no answer in 1 s"


def test_what_a_competitor_prints_does_not_matter(compete):
    (row,) = compete("Chatters")
    assert len(row.epochs) == 2


def test_a_missing_library_is_a_row_that_says_so(compete, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    torch = rounds.Row("torch_eager", COMPETITORS["torch_eager"])
    right, torch = compete("Right", extra=[torch])
    assert torch.note == "missing: torch is not installed; pip install -e '.[bench]'"
    ours = rounds.Row(OURS, COMPETITORS[OURS], epochs=right.epochs, first=right.first, cold=right.cold)
    case = {"title": "a case"} | rounds.summary([ours, torch], [], 15, None)
    assert "best_torch" not in case
    (line,) = [line for line in rounds.text(case).splitlines() if line.startswith(torch.competitor.label)]
    assert line.endswith(f"  {torch.note}")


def test_a_limit_without_torch_stands_on_the_other_libraries():
    def row(name, z1, z2):
        return rounds.Row(name, GEMMS[name], epochs=[1, 1], details=[{"Z1": z1, "Z2": z2}, {"Z1": 3 * z1, "Z2": z2}])

    absent = rounds.Row("torch", GEMMS["torch"], note="missing: torch is not installed")
    ours = rounds.Row(OURS, COMPETITORS[OURS], epochs=[100, 200], first=300, cold=400)
    case = rounds.summary([ours], [row("numpy", 1, 9), row("xla", 2, 5), absent], 10, None)
    assert case["limit"]["fastest"] == {"Z1": "numpy", "Z2": "xla"}
    assert case["limit"]["rounds"] == [60, 80]
    assert case["share_of_limit"]["median"] == pytest.approx((60 / 100 + 80 / 200) / 2)
    assert "limit, torch" in rounds.text({"title": "a case"} | case)


def test_ratios_compare_within_a_round():
    assert rounds.ratio([2, 40, 6], [1, 10, 2]) == {"median": 3, "min": 2, "max": 4, "mad": 1}


def test_xla_computes_every_repetition():
    """Faster than 10 TFLOP/s on a CPU would mean that the loop computes its product once."""
    p = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    count = 2000  # so that one product alone would seem to run at more than 100 TFLOP/s
    repeat = gemms.XLA.repeat(None, p, p.T)
    repeat(count)
    assert gemms.best_seconds(repeat, count) > 2 * 256**3 / 10e12


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        ("--rounds=0", "rounds"),
        ("--batch_size=0", "batch_size"),
        ("--batch_size=2000", "training set of 1197"),
        ("--hidden=32,0", "positive"),
        ("--hidden=many", "positive"),
        ("--hidden=", "positive"),
        ("--peers=nobody", "'nobody'"),
        ("--json=/dev/null/numbers.json", "/dev/null"),
        ("--json=.", "directory"),
        ("--dataset=cifar", "cifar"),
        ("--nonsense", "nonsense"),
    ],
)
def test_bad_flags_are_refused_in_one_line(argument, word):
    status, out, err = run(argument)
    scripts.assert_refused((status, out, err), word)


def test_help_does_not_load_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('too early')")
    status, out, _ = run("--help", PYTHONPATH=str(tmp_path))
    assert status == 0 and "--rounds" in out

"""The accelerator's script measures what it says at small sizes on a CPU; what fails is a row, and the rest goes on."""

import contextlib
import fcntl
import functools
import inspect
import json
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts
from python_forks import python, use

from experiments.benchmarks import accelerator
from experiments.benchmarks.device import checks, correctness, inside, steps
from experiments.benchmarks.device.checks import Case
from experiments.benchmarks.peers import problem, worker
from twolayer import gradients
from twolayer.network import Params

run = functools.partial(scripts.run, "benchmarks.accelerator", JAX_PLATFORMS="cpu")
SOME = "--only=float64,XLA,products,twolayer,sgd,e"  # without torch.compile, which takes a minute

STUBS = """
import time

def right(value):
    return {"value": value}

def wrong():
    return {"wrong": ["W1", "b1"]}

def unlike():
    raise ArithmeticError("wrong, so not timed: a bias")

def crashes():
    import os
    os.write(2, b"out of memory\\n")
    os._exit(3)

def hangs():
    time.sleep(60)

def absent():
    raise ModuleNotFoundError("No module named 'torch'", name="torch")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Some checks as a user starts them: (what is printed, the file, what it holds)."""
    path = tmp_path_factory.mktemp("accelerator") / "new" / "numbers.json"
    status, out, err = run(SOME, f"--json={path}", before=functools.partial(use, python()))
    assert status == 0, (out, err)
    return out, path, json.loads(path.read_text())


def test_every_check_is_a_row_with_its_numbers(report):
    out, _, written = report
    found = {(row["check"], row["name"]): row for row in written["rows"]}
    assert {check for check, _ in found} == set("abcdefl")
    for row in found.values():
        assert row["status"] == "measured", row
        assert f"{row['check']}  {row['name']}: " in out
    right = found["a", "gradients, float64"]
    networks = 2 * (2 + 2 * correctness.NETWORKS)  # losses, engines, stacks of both
    assert right["beyond"] == 0 and right["entries"] == networks * (784 * 16 + 16 + 160 + 10) and 0 < right["worst"] < 1
    step = found["b", "twolayer, K = 16, batch 32, float32"]
    assert step["flops"] == 2 * 32 * (2 * 784 * 16 + 3 * 16 * 10) and step["who"] == "ours"
    assert step["spread_us"][0] <= step["step_us"] <= step["spread_us"][1]
    assert step["flops_per_second"] == pytest.approx(step["flops"] / (step["step_us"] * 1e-6))
    assert step["gate_error"] < 1e-2 and step["compile_s"] > 0
    many = found["c", "twolayer, 3 networks, K = 16, batch 32, float32"]
    assert many["flops"] == 3 * step["flops"] and many["networks"] == 3
    wide = found["d", "K = 2000, bfloat16, sgd"]
    assert wide["measured_bytes"] >= wide["prepared_bytes"] > wide["estimate_bytes"] > 2 * 4 * 784 * 2000
    assert wide["finite"] and wide["step_us"] > 0
    profile = found["f", "twolayer, K = 16, batch 32, float32"]
    assert len(profile["slowest"]) == 5 and 0.3 < sum(one["share"] for one in profile["slowest"]) <= 1
    assert any("dot_general" in one["of"] and "[" in one["of"] for one in profile["slowest"])
    path = found["e", "K = 16, batch 32, float32"]
    assert path["share"] == pytest.approx((path["order_s"] + path["gather_s"]) / path["epoch_s"])


def test_the_file_keeps_its_contract(report):
    _, _, written = report
    assert {"rows", "device", "versions", "git", "date", "sizes"} <= set(written)
    assert written["device"]["platform"] == "cpu" and written["sizes"] == "small"
    assert {"jax", "torch", "jax-cuda12-plugin"} <= set(written["versions"])


def test_a_repetition_goes_on_and_measures_nothing_twice(report):
    _, path, written = report
    status, _, err = run(SOME, f"--json={path}")
    again = json.loads(path.read_text())["rows"]
    assert status == 0, err
    assert again == written["rows"]


def test_rows_of_another_device_are_not_continued(report, tmp_path):
    _, _, written = report
    other = tmp_path / "other.json"
    other.write_text(json.dumps(written | {"device": {"kind": "H200"}}))
    scripts.assert_refused(run("--only=rates", f"--json={other}"), "another device (", "--json")
    for rows in (3, [1], [{"status": "measured"}]):
        other.write_text(json.dumps(written | {"rows": rows}))
        scripts.assert_refused(run("--only=rates", f"--json={other}"), "is damaged")


def test_two_runs_do_not_share_a_file(report):
    _, path, written = report
    with open(path.with_name(f".{path.name}.lock")) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        scripts.assert_refused(run(SOME, f"--json={path}"), "another process writes to --json=")
    assert json.loads(path.read_text()) == written


@pytest.fixture
def carry_out(tmp_path, monkeypatch):
    """Do cases that call stubs: (statuses by name, notes by name, how many are left)."""
    (tmp_path / "stubs.py").write_text(STUBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", python())

    def carry_out(wanted, seconds=60.0):
        result, path = {"rows": []}, tmp_path / "rows.json"
        with accelerator.Workers() as workers:
            left = accelerator.carry_out(wanted, workers, result, path, time.monotonic() + seconds)
        written = json.loads(path.read_text())["rows"] if path.exists() else []
        return {row["name"]: (row["status"], row["note"]) for row in written}, left

    return carry_out


def stub(name, **options):
    return Case("a", name, f"stubs:{name}", options.pop("arguments", {}), **options)


def test_what_fails_is_a_row_and_the_rest_goes_on(carry_out):
    names = ("crashes", "wrong", "unlike", "absent", "missing")
    last = stub("right", arguments={"value": 1})
    found, left = carry_out([*map(stub, names), stub("hangs", limit=6.0), last])
    assert left == 0 and found["right"] == ("measured", "")
    assert found["crashes"] == ("failed", "crashed with status 3: out of memory")
    assert found["wrong"] == ("wrong", "W1; b1")
    assert found["unlike"][0] == "wrong" and "a bias" in found["unlike"][1]
    assert found["absent"][0] == "not installed" and "torch is not installed" in found["absent"][1]
    assert found["missing"][0] == "failed" and "AttributeError" in found["missing"][1]
    assert found["hangs"][0] == "out of time"


def test_the_budget_ends_it_and_what_was_measured_stays(carry_out):
    wanted = [stub("right", arguments={"value": 1}), stub("hangs", limit=600.0), stub("wrong")]
    found, left = carry_out(wanted, seconds=10.0)
    assert found == {"right": ("measured", "")} and left == 2


def test_all_sizes_have_all_checks_each_once_and_the_right_ones_first():
    for sizes, platform in ((checks.FULL, "gpu"), (checks.SMALL, "cpu"), (checks.SMALL, "gpu")):
        found = checks.cases(sizes, platform)
        names = [(case.check, case.name) for case in found]
        assert len(set(names)) == len(names) and {case.check for case in found} == set(checks.LETTERS)
        assert [case.check for case in found[:5]] == ["a"] * 5
        assert all(case.alone for case in found if case.flags)
        assert platform == "gpu" or not any("graph" in case.call for case in found)
    steps_of = [case for case in checks.cases(checks.FULL, "gpu") if case.check == "b" and case.facts["who"] == "ours"]
    assert len(steps_of) == 4 * 2 * 3, "four widths, two batches, three precisions"


def test_what_runs_on_a_gpu_only_is_called_as_it_is_defined():
    pytest.importorskip("torch")
    for case in checks.cases(checks.FULL, "gpu"):
        inspect.signature(worker.named(case.call)).bind(**json.loads(json.dumps(case.arguments)))
        if "target" in case.arguments:
            peer = worker.named(case.arguments["target"])
            assert all(callable(getattr(peer, name)) for name in ("epoch", "parameters"))


def a_little_off(loss, output, reduction):
    right = gradients.closed_form(loss, output, reduction)

    def gradient(params, x, y):
        value, found = right(params, x, y)
        return value, found._replace(b2=found.b2 * (1 + 1e-4))

    return gradient


def test_a_gradient_beyond_its_bound_is_found(monkeypatch):
    monkeypatch.setattr(correctness, "STACKS", {})  # the script's own run has them
    assert correctness.gradient_errors("float64", 4, 3)["beyond"] == 0
    monkeypatch.setattr(correctness, "ENGINES", {"closed form": a_little_off})
    found = correctness.gradient_errors("float64", 4, 3)
    assert found["beyond"] > 0 and found["wrong"][0] == "b2 of closed form, cross_entropy"


def test_both_errors_of_xla_would_be_found():
    sizes = [[8, 16, 8]]
    assert not correctness.scaled_bias(sizes)["wrong"] and not correctness.transposed_bias(sizes)["wrong"]
    exact = {0: lambda x, W, b: x @ W + b[:, None], 1: lambda x, W, b: (x @ W + b) / 8}
    unscaled = correctness._patterns(sizes, lambda x, W, b: (x @ W) * 0.125 + b[None, :], exact[1], 1)
    turned = correctness._patterns(sizes, lambda x, W, b: x @ W + b[None, :], exact[0], 0)
    assert len(unscaled["wrong"]) == len(turned["wrong"]) == 3, "in each precision"


def test_the_reference_is_that_of_the_package():
    rng = np.random.default_rng(0)
    params = [rng.normal(size=shape) for shape in ((5, 784), (5,), (10, 5), (10,))]
    x, labels = rng.normal(size=(4, 784)) / 28, np.array([1, 0, 9, 1])
    with jax.enable_x64(True):
        for loss, y in (("cross_entropy", labels), ("quadratic", np.eye(10)[labels])):
            right = gradients.closed_form(loss)(Params(*map(jnp.asarray, params)), jnp.asarray(x), jnp.asarray(y))[1]
            for a, b in zip(problem.backward("relu", params, x, labels, loss).gradients, right, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


class Unscaled:
    """A peer that takes steps of the sum, not of the mean."""

    def __init__(self, problem):
        from experiments.benchmarks.peers.jax_forms import ClosedForm

        self.right = ClosedForm(problem._replace(learning_rate=problem.learning_rate * 1.5))

    def __getattr__(self, name):
        return getattr(self.right, name)


@pytest.mark.parametrize("precision", checks.PRECISIONS)
def test_a_wrong_peer_is_not_timed_in_any_precision(precision):
    right = "experiments.benchmarks.peers.jax_forms:ClosedForm"
    assert 0 < steps.gate(right, 16, 32, precision) <= steps.ALLOWED[precision] + 1e-3
    with pytest.raises(ArithmeticError, match="wrong, so not timed"):
        steps.gate(f"{__name__}:Unscaled", 16, 32, precision)
    jax.config.update("jax_default_matmul_precision", None)  # the peer has set it for its process


@pytest.mark.parametrize("peer", ["torch_forms:Eager", "torch_forms:Vmap"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_peers_in_pytorch_are_right_in_each_precision(peer, precision):
    pytest.importorskip("torch")
    assert 0 < steps.gate(f"experiments.benchmarks.peers.{peer}", 16, 32, precision) < 0.125


def test_a_graph_needs_a_gpu_and_says_so():
    if pytest.importorskip("torch").cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(RuntimeError, match="needs a CUDA device"):
        steps.gate("experiments.benchmarks.peers.torch_forms:Graph", 16, 32, "float32")


def test_a_graph_takes_the_steps_of_the_given_rows(monkeypatch):
    """With a stand-in for CUDA, whose graph repeats the step that it has seen."""
    torch = pytest.importorskip("torch")
    from experiments.benchmarks.peers import torch_forms

    step, seen = torch_forms.Recorded._whole_step, []

    class Graph:
        def replay(self):
            step(*self.recorded)

    @contextlib.contextmanager
    def record(graph):
        yield
        graph.recorded = seen[-1]

    class Stream:
        def wait_stream(self, other):
            pass

    monkeypatch.setattr(torch_forms, "GRAPHS", True)
    monkeypatch.setattr(torch_forms.Recorded, "_whole_step", lambda *given: (seen.append(given), step(*given))[1])
    stand_in = {"Stream": Stream, "current_stream": Stream, "stream": contextlib.nullcontext}
    for name, value in (stand_in | {"CUDAGraph": Graph, "graph": record}).items():
        monkeypatch.setattr(torch.cuda, name, value)
    small = steps.make(16, 32, "float32", examples=320)
    small = small._replace(x=small.x[:304], y=small.y[:304], orders=problem.draw_orders(0, 304, 32, 1))
    peer = torch_forms.Graph(small)
    peer.epoch(0)
    for name, leaf in problem.compare(small, peer.parameters()).items():
        assert leaf["error"] <= leaf["allowed"], (name, "nine replays and a ragged last batch")
    assert len(seen) == torch_forms.WARM_UP + 2


def test_operations_inside_others_count_once():
    events = [(0, 10, "while"), (1, 4, "dot"), (4, 9, "fusion"), (5, 6, "copy"), (12, 13, "dot")]
    found = {}
    for name, spent in inside._own_times(events):
        found[name] = found.get(name, 0) + spent
    assert found == {"while": 2, "dot": 4, "fusion": 4, "copy": 1}


def test_a_checkpoint_goes_on_elsewhere_and_two_runs_are_equal(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", scripts.forked_if_ours())
    found = correctness.continued(checks.SMALL.runs)
    assert found["cpu_epochs"] >= 1 and found["apart"] == 0 and not found["wrong"], "both on a CPU here"
    found = correctness.repeated(("--epochs=2", "--hidden=8"))
    assert found["same"] and not found["wrong"]


@pytest.mark.parametrize(
    ("argument", "word"),
    [("--only=nothing", "--list"), ("--budget=0", "budget"), ("--json=.", "directory"), ("--sizes=huge", "sizes")],
)
def test_bad_flags_are_refused_in_one_line(argument, word, tmp_path):
    json = () if argument.startswith("--json") else (f"--json={tmp_path / 'rows.json'}",)
    scripts.assert_refused(run(argument, *json), word)


def test_help_and_the_list_do_not_load_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('too early')")
    status, out, _ = run("--help", PYTHONPATH=str(tmp_path))
    assert status == 0 and "'jax[cuda12]' torch" in out and "--budget" in out
    status, out, _ = run("--list", "--only=d", PYTHONPATH=str(tmp_path))
    assert status == 0 and out.splitlines()[0].startswith("d  K = 1000000, bfloat16, sgd")

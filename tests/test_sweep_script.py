"""The sweep script as its users meet it: axes in, tables out, nothing lost, each row what the training script gives."""

import functools
import json
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scripts
from hypothesis import given
from hypothesis import strategies as st

from experiments.runtime import axes, stack_jobs, sweep_figures, sweep_tables
from experiments.runtime import flags as training_flags
from experiments.runtime.runs import Run
from experiments.runtime.sweep_tables import chosen, parse_keep
from twolayer.command.cli import BadInput

start, sweep = (functools.partial(f, "sweep") for f in (scripts.start, scripts.run))
train = functools.partial(scripts.run, "train")
QUICK = ("--hidden=8", "--epochs=3", "--quiet", "--nofigures", "--precision=float64")


def read(run_dir):
    """(rows of networks, rows of epochs, summary)."""
    networks, epochs = (pq.read_table(run_dir / f"{name}.parquet").to_pylist() for name in ("networks", "epochs"))
    return networks, epochs, json.loads((run_dir / "summary.json").read_text())


def test_a_sweep_has_a_directory_of_another_name_than_a_run():
    flags = {"dataset": "mine.csv", "loss": "quadratic", "output": "relu", "hidden": 8, "seed": 0}
    assert training_flags.default_path(flags, kind="sweep").name == f"sweep-{training_flags.default_path(flags).name}"


# --- axes ---

AXES = {
    "seed=0:4": ("0", "1", "2", "3"),
    "seed=4:0:-2": ("4", "2"),
    "hidden=32, 64": ("32", "64"),
    "learning_rate=1e-3,0.1": ("1e-3", "0.1"),
    "learning_rate=linspace(0,1,3)": ("0.0", "0.5", "1.0"),
    "elastic=linspace(0,400,3)": ("0.0", "200.0", "400.0"),
    "learning_rate=logspace(-2, 0, 3)": ("0.01", "0.1", "1.0"),
    "loss=quadratic": ("quadratic",),
}


@pytest.mark.parametrize("text", AXES)
def test_an_axis_is_read_as_it_is_written(text):
    axis = axes.parse(text)
    assert axis.name == text.split("=")[0] and axis.values == AXES[text] and axis.draw is None


BAD_AXES = {
    "seed": "is not NAME=VALUES",
    "=1": "is not NAME=VALUES",
    "seed=": "is not NAME=VALUES",
    "seed=3:3": "empty range",
    "seed=0:3:0": "empty range",
    "seed=1,,2": "empty value",
    "learning_rate=cubespace(1,2,3)": "cubespace is not known; there are linspace, logspace, uniform, loguniform",
    "learning_rate=linspace(1,2)": r"linspace\(a, b, n\)",
    "learning_rate=linspace(1,2,0)": r"linspace\(a, b, n\)",
    "learning_rate=linspace(1,2,1.5)": r"linspace\(a, b, n\)",
    "learning_rate=uniform(2,1)": r"uniform\(a, b\) with a < b",
    "learning_rate=loguniform(0,1)": "a > 0",
    "learning_rate=uniform(a,b)": r"uniform\(a, b\)",
}


@pytest.mark.parametrize("text", BAD_AXES)
def test_what_is_no_axis_is_refused(text):
    with pytest.raises(BadInput, match=BAD_AXES[text]):
        axes.parse(text)


def test_points_are_all_combinations_in_order_each_with_the_random_draws():
    parsed = [axes.parse(text) for text in ("seed=0:2", "init_scale=uniform(1,2)", "loss=cross_entropy,quadratic")]
    found = axes.points(parsed, 3, seed=5)
    assert len(found) == 2 * 2 * 3 and all(list(point) == ["seed", "init_scale", "loss"] for point in found)
    scales = [float(point["init_scale"]) for point in found]
    assert scales[:3] == scales[3:6] and len(set(scales)) == 3 and all(1 <= scale < 2 for scale in scales)
    assert found == axes.points(parsed, 3, seed=5) != axes.points(parsed, 3, seed=6)


@pytest.mark.parametrize(
    ("texts", "samples", "said"),
    [
        (("seed=0:2", "seed=3"), None, "given twice"),
        (("init_scale=uniform(1,2)",), None, "say how often with --samples"),
        (("seed=0:2",), 4, "--samples goes with a random axis"),
    ],
)
def test_axes_that_do_not_go_together_are_refused(texts, samples, said):
    with pytest.raises(BadInput, match=said):
        axes.points([axes.parse(text) for text in texts], samples)


# --- parts ---


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([("a",), ("a", "b")]))
def test_parts_hold_each_network_once_and_have_one_size_in_a_group(networks, size, choices):
    flags = {"hidden": 8, "init": "he", "batch_size": 128}
    points = [{"seed": i, "loss": loss} for i in range(networks) for loss in choices]
    found = stack_jobs.parts(flags, points, lambda own: 64, most=size)
    real = [network for part in found for network in part.networks[: part.real]]
    assert sorted(real) == list(range(len(points)))
    for group in {part.group for part in found}:
        sizes = {len(part.networks) for part in found if part.group == group}
        assert len(sizes) == 1 and max(sizes) <= size
    for part in found:
        assert {points[n]["loss"] for n in part.networks} == {part.flags["loss"]}
        assert [points[n] for n in part.networks] == list(part.points)


# --- the script ---


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two seeds, two rates and two losses, cut into parts of three."""
    run_dir = tmp_path_factory.mktemp("sweeps") / "small"
    axes = ("--sweep=seed=0:2", "--sweep=learning_rate=0.002,0.01", "--sweep=loss=cross_entropy,quadratic")
    status, out, err = sweep(*axes, *QUICK, "--together=3", f"--run_dir={run_dir}")
    assert status == 0, err
    return run_dir, out


def test_a_row_is_what_the_training_script_gives_with_the_same_flags(swept, tmp_path):
    networks, epochs, _ = read(swept[0])
    row = networks[3]
    values = [f"--{name}={row[name]}" for name in ("seed", "learning_rate", "loss")]
    status, _, err = train(*values, *QUICK, "--order_seed=0", f"--run_dir={tmp_path / 'run'}")
    assert status == 0, err
    alone = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    mine = [line for line in epochs if line["network"] == 3]
    assert [line["epoch"] for line in mine] == [1, 2, 3]
    for a, b in zip(mine, alone, strict=True):
        for name in ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy"):
            assert a[name] == pytest.approx(b[name], rel=1e-6 if "accuracy" in name else 1e-10)
        assert a["dead_hidden"] == b["dead_hidden"]
    assert row["engine"] == "one product for all networks, closed_form"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert row["test_loss"] == pytest.approx(summary["test_loss"], rel=1e-10)


def test_a_row_that_stopped_early_has_the_metrics_of_its_best_epoch(tmp_path):
    """With a rate so high that the validation loss rises soon."""
    flags = ("--hidden=16", "--epochs=40", "--early_stopping=2", "--learning_rate=0.05", "--quiet", "--nofigures")
    assert sweep("--sweep=seed=3,4", *flags, f"--run_dir={tmp_path / 'sweep'}")[0] == 0
    assert train("--seed=4", "--order_seed=0", *flags, f"--run_dir={tmp_path / 'run'}")[0] == 0
    row, alone = read(tmp_path / "sweep")[0][1], json.loads((tmp_path / "run" / "summary.json").read_text())
    assert row["status"] == "stopped early" and alone["best_epoch"] < alone["epochs"]
    for name in ("epochs", "best_epoch", "valid_loss", "valid_accuracy", "test_loss"):
        assert row[name] == pytest.approx(alone[name], rel=1e-5), name


@pytest.mark.mnist
@pytest.mark.skipif("TWOLAYER_MNIST_DIR" not in os.environ, reason="TWOLAYER_MNIST_DIR names no folder of archives")
def test_parts_with_and_without_weight_decay_share_a_program(tmp_path):
    """Where inputs are idle, which only those without may leave out."""
    places = (
        f"--source_dir={os.environ['TWOLAYER_MNIST_DIR']}",
        f"--data_dir={tmp_path}",
        f"--run_dir={tmp_path / 'run'}",
    )
    axes = ("--sweep=weight_decay=0,0.1", "--sweep=seed=0:2", "--together=2")
    sizes = ("--dataset=mnist", "--train_examples=500", "--hidden=8", "--epochs=2", "--quiet", "--nofigures")
    status, _, err = sweep(*axes, *sizes, *places)
    assert status == 0, err
    networks, _, summary = read(tmp_path / "run")
    assert len(networks) == 4 and summary["compilations"] == 1


def test_networks_with_other_noise_share_a_program_and_are_what_they_are_alone(tmp_path):
    teacher = ("--dataset=teacher", "--teacher_train=300", "--teacher_inputs=8", "--loss=quadratic")
    flags = (*teacher, *QUICK, "--output=identity")
    swept = ("--sweep=teacher_noise=0,0.5,2", "--sweep=seed=0:2")
    status, _, err = sweep(*swept, *flags, f"--run_dir={tmp_path / 'all'}")
    assert status == 0, err
    networks, epochs, summary = read(tmp_path / "all")
    assert summary["compilations"] == 1 and len(networks) == 6
    row = next(row for row in networks if (row["teacher_noise"], row["seed"]) == (2, 1))
    values = ("--teacher_noise=2", "--seed=1", "--order_seed=0")
    assert train(*values, *flags, f"--run_dir={tmp_path / 'alone'}")[0] == 0
    alone = [json.loads(line) for line in (tmp_path / "alone" / "metrics.jsonl").read_text().splitlines()]
    mine = [line for line in epochs if line["network"] == row["network"]]
    for a, b in zip(mine, alone, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-6)
        assert a["valid_loss"] == pytest.approx(b["valid_loss"], rel=1e-6)
    test_loss = json.loads((tmp_path / "alone" / "summary.json").read_text())["test_loss"]
    assert row["test_loss"] == pytest.approx(test_loss, rel=1e-6)


def test_tables_and_summary_hold_every_network_once(swept):
    networks, epochs, summary = read(swept[0])
    assert [row["network"] for row in networks] == list(range(8))
    assert len(epochs) == 8 * 3 and len({(row["network"], row["epoch"]) for row in epochs}) == 24
    assert len({(row["seed"], row["learning_rate"], row["loss"]) for row in networks}) == 8
    assert {row["status"] for row in networks} == {"done"} and {row["epochs"] for row in networks} == {3}
    assert summary["compilations"] == 2, "one for each loss, whatever the parts"
    assert len(summary["groups"]) == 4
    for group in summary["groups"]:
        mine = [
            row["test_accuracy"]
            for row in networks
            if row["loss"] == group["loss"] and row["learning_rate"] == group["learning_rate"]
        ]
        figure = group["test_accuracy"]
        assert group["lost_for_good"]["n"] == group["not_predicted"]["n"] == 2
        assert group["networks"] == figure["n"] == len(mine) == 2
        assert figure["mean"] == pytest.approx(np.mean(mine)) and figure["sd"] == pytest.approx(np.std(mine, ddof=1))
        assert figure["interval"][0] <= figure["mean"] <= figure["interval"][1]
    assert "8 networks, 2 compilations" in swept[1]


def test_a_finished_sweep_says_so_and_another_one_is_refused_its_directory(swept):
    axes = ("--sweep=seed=0:2", "--sweep=learning_rate=0.002,0.01", "--sweep=loss=cross_entropy,quadratic")
    status, out, _ = sweep(*axes, *QUICK, f"--run_dir={swept[0]}")
    *table, last = out.splitlines()
    assert status == 0 and "is done already" in last and table == swept[1].splitlines(), "with its table again"
    scripts.assert_refused(
        sweep("--sweep=seed=0:3", *QUICK, f"--run_dir={swept[0]}"), "belongs to other flags", "sweep"
    )


def test_a_network_that_diverges_is_reported_and_the_others_are_not_touched(tmp_path):
    rates = "--sweep=learning_rate=0.01,1e300"
    status, _, err = sweep(rates, *QUICK, "--optimizer=sgd", f"--run_dir={tmp_path / 'a'}")
    assert status == 0, err
    networks, epochs, summary = read(tmp_path / "a")
    assert [row["status"] for row in networks] == ["done", "diverged"]
    assert [group["diverged"] for group in summary["groups"]] == [0, 1]
    assert {row["network"] for row in epochs} == {0}, "no epoch of the other was finite"
    assert summary["groups"][1]["test_accuracy"] is None


LONG = ("--hidden=8", "--epochs=200", "--quiet", "--nofigures", "--sweep=seed=0:6", "--together=3")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep that is not interrupted."""
    run_dir = tmp_path_factory.mktemp("sweeps") / "whole"
    assert sweep(*LONG, f"--run_dir={run_dir}")[0] == 0
    return run_dir


def assert_same_rows(one, two):
    for name in ("epochs", "networks"):
        tables = [pq.read_table(run / f"{name}.parquet") for run in (one, two)]
        timed = {"seconds"} & set(tables[0].column_names)
        assert tables[0].drop_columns(timed).equals(tables[1].drop_columns(timed))


def killed(run_dir, number):
    """Start the sweep, send the signal once something is on disk, and return the exit status."""
    process = start(*LONG, f"--run_dir={run_dir}")
    deadline = time.monotonic() + 120
    while not list(run_dir.glob("parts/00000.networks.parquet")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=120)
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_an_interrupted_sweep_is_continued_to_the_same_bits(whole, tmp_path, number):
    status = killed(tmp_path / "cut", number)
    assert status == (75 if number == signal.SIGTERM else -signal.SIGKILL)
    manifest = json.loads((tmp_path / "cut" / "manifest.json").read_text())
    assert manifest["status"] == ("interrupted" if number == signal.SIGTERM else "running")
    part = tmp_path / "cut" / "parts" / "00000.networks.parquet"
    before = pq.read_table(part)["seconds"].to_pylist()
    others = "--together=4" if number == signal.SIGKILL else "--together=3"  # the parts stay what they are
    assert sweep(*LONG, others, f"--run_dir={tmp_path / 'cut'}")[0] == 0
    seconds = pq.read_table(tmp_path / "cut" / "networks.parquet")["seconds"].to_pylist()
    assert seconds[: len(before)] == before, "a part that is done is not trained again"
    assert_same_rows(whole, tmp_path / "cut")


IN_PARTS = """
import os, signal, sys
from twolayer.command import cli
from experiments import sweep
from experiments.runtime import loop, stack_session
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = 0.0, 1e9  # one after each segment,
loop.Pace.epochs = lambda pace: 20  # and ten segments a part, however fast the machine is
save, resumed, saved, kill = loop.save, stack_session._resumed, [], "kill" in sys.argv
def kill_after_five(run, name, *others):
    save(run, name, *others)
    saved.append(name)
    if len(saved) == 5 and kill:
        os.kill(os.getpid(), signal.SIGKILL)
def told(*arguments):
    found = resumed(*arguments)
    print("part", arguments[1].index, "from epoch", found[2], file=sys.stderr)
    return found
loop.save, stack_session._resumed = kill_after_five, told
sys.argv = [argument for argument in sys.argv if argument != "kill"]
cli.run(sweep.main)
"""


def test_a_sweep_that_is_killed_within_a_part_goes_on_from_its_checkpoint(whole, tmp_path):
    def in_parts(*words):
        command = [sys.executable, "-c", IN_PARTS, *LONG, f"--run_dir={tmp_path / 'cut'}", *words]
        done = subprocess.run(command, cwd=scripts.ROOT, capture_output=True, text=True)
        return done.returncode, [line for line in done.stderr.splitlines() if line.startswith("part ")]

    assert in_parts("kill") == (-signal.SIGKILL, ["part 0 from epoch 0"])
    status, (first, second) = in_parts()
    assert status == 0 and int(first.removeprefix("part 0 from epoch ")) > 0 and second == "part 1 from epoch 0"
    assert_same_rows(whole, tmp_path / "cut")


REFUSED = {
    "no axis": ((), "nothing to sweep over"),
    "an unknown flag": (("--sweep=learning_speed=1",), "learning_speed is not a flag"),
    "a flag of places": (("--sweep=run_dir=a,b",), "run_dir is not a flag"),
    "another precision": (("--sweep=precision=float32,float64",), "precision is not a flag"),
    "too many examples": (("--sweep=train_examples=100,2000",), "has 1197 training examples, 2000 are wanted"),
    "what to keep": (("--sweep=seed=0:2", "--keep=worst:3"), "--keep=worst:3 is not understood"),
    "no effect on one of them": (
        ("--sweep=momentum=0.5,0.9", "--sweep=optimizer=sgd,adam"),
        "--momentum has no effect",
    ),
    "no effect on any": (("--sweep=seed=0:2", "--teacher_hidden=8"), "--teacher_hidden has no effect"),
    "noise of images": (("--sweep=teacher_noise=0,1",), "--teacher_noise has no effect on --dataset=digits"),
    "the default noise of images": (("--sweep=teacher_noise=0.1",), "needs --dataset=teacher"),
    "a start": (("--sweep=start_from=a,b",), "start_from is not a flag"),
    "a size of the teacher": (("--sweep=teacher_inputs=8,9",), "teacher_inputs has no effect on --dataset=digits"),
    "no number": (("--sweep=hidden=8,x",), "'x' is not valid"),
    "a value twice": (("--sweep=hidden=8,8",), "has a value twice"),
    "too many values": (("--sweep=seed=0:99999999999",), "99,999,999,999 values"),
    "a value twice in other words": (("--sweep=learning_rate=0.1,1e-1",), "are the same"),
    "too many networks": (("--sweep=seed=0:100000", "--sweep=hidden=1:100"), "9,900,000 networks"),
    "a loss of classes for real targets": (("--dataset=teacher", "--sweep=seed=0:2"), "add --loss=quadratic"),
    "a flag beside its axis": (("--sweep=seed=0:2", "--seed=7"), "--seed is given beside --sweep=seed"),
    "a bound": (("--sweep=hidden=0:2",), "'0' is not valid"),
    "not finite": (("--sweep=learning_rate=nan",), "must be a finite number"),
    "an unknown name": (("--sweep=loss=hinge",), "'hinge' is not valid"),
    "a batch larger than the data": (("--sweep=batch_size=128,100000",), "larger than the training set"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_one_line_and_leaves_nothing(name, tmp_path):
    arguments, said = REFUSED[name]
    scripts.assert_refused(sweep(*arguments, f"--run_dir={tmp_path / 'run'}"), said)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_says_what_each_program_would_take_and_leaves_nothing(tmp_path):
    axes = ("--sweep=seed=0:5", "--sweep=hidden=8,16")
    status, out, _ = sweep("--dry_run", *axes, "--together=3", f"--run_dir={tmp_path / 'run'}")
    assert status == 0 and not list(tmp_path.iterdir())
    first, second = out.split("\n\n")
    assert first.startswith("hidden=8 5 networks in 2 parts of 3; a part:\n") and second.startswith("hidden=16 5")
    assert "W1 (3, 8, 64), b1 (3, 8), W2 (3, 10, 8), b2 (3, 10): 1,830 of float32" in first
    flop = 3 * (2 * 1197 * (2 * 64 * 8 + 3 * 8 * 10) + 2 * 300 * (64 * 8 + 8 * 10))
    assert f"{flop / 1e6:.3g} MFLOP an epoch" in first


def test_a_damaged_part_is_refused_with_what_to_do(swept, tmp_path):
    run = Run(tmp_path, {"status": "running"})
    sweep_tables.write_part(run, 0, *(pq.read_table(swept[0] / f"{name}.parquet") for name in ("epochs", "networks")))
    part = tmp_path / "parts" / "00000.epochs.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(BadInput, match="is damaged; remove it"):
        sweep_tables.join(run, 1)


def test_help_teaches_and_loads_no_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('too early')")
    status, out, _ = sweep("--help", PYTHONPATH=str(tmp_path))
    assert status == 0 and "loguniform" in out and "--together" in out and "--checkpoint_every" not in out


# --- figures and figures of speech ---


def test_the_tables_are_for_a_spreadsheet_and_an_article_too(swept):
    rows, (_, _, summary) = pq.read_table(swept[0] / "summary.parquet").to_pylist(), read(swept[0])
    assert [row["loss"] for row in rows] == [group["loss"] for group in summary["groups"]]
    assert rows[0]["test_accuracy_mean"] == summary["groups"][0]["test_accuracy"]["mean"]
    assert rows[0]["test_accuracy_high"] == summary["groups"][0]["test_accuracy"]["interval"][1]
    assert (swept[0] / "summary.csv").read_text().count("\n") == 1 + 4
    assert (swept[0] / "networks.csv").read_text().count("\n") == 1 + 8
    tex = (swept[0] / "summary.tex").read_text()
    assert tex.startswith(r"\begin{tabular}") and "cross\\_entropy" in tex and "95 \\% interval" in tex
    assert not (swept[0] / "parts").exists() and not (swept[0] / "checkpoints").exists(), "nothing empty or twice stays"
    assert "the data order is the same for all and not in them" in swept[1]
    assert summary["varies"] == {"start": True, "data order": False}


def test_data_and_order_are_axes_and_a_start_is_no_program_of_its_own(tmp_path):
    """Eight networks of two sizes of data: two programs, and each row is what the training script gives."""
    axes = ("--sweep=train_examples=200,400", "--sweep=init=he,alive", "--sweep=label_noise_seed=0:2")
    flags = (*QUICK, "--label_noise=0.5", "--noshare")
    status, _, err = sweep(*axes, *flags, "--keep=best:2", f"--run_dir={tmp_path / 'all'}")
    assert status == 0, err
    networks, _, summary = read(tmp_path / "all")
    assert summary["compilations"] == 2 and len(networks) == 8 and summary["varies"]["label noise"]
    assert [(g["train_examples"], g["init"]) for g in summary["groups"]] == [
        (200, "he"), (200, "alive"), (400, "he"), (400, "alive"),
    ], "the order of the axes"  # fmt: skip
    row = networks[-1]
    own = [f"--{name}={row[name]}" for name in ("train_examples", "init", "label_noise_seed")]
    status, _, err = train(*own, *QUICK, "--label_noise=0.5", f"--run_dir={tmp_path / 'alone'}")
    assert status == 0, err
    alone = json.loads((tmp_path / "alone" / "summary.json").read_text())
    for name in ("train_loss", "valid_loss", "test_loss", "train_dead_hidden", "train_dead_outputs", "best_epoch"):
        assert row[name] == pytest.approx(alone[name], rel=1e-6), name
    lowest = sorted(networks, key=lambda row: row["valid_loss"])[:2]
    assert summary["kept"] == [row["network"] for row in lowest]
    folder = tmp_path / "all" / "kept" / f"{summary['kept'][0]:05d}"
    again = scripts.run("predict", f"--run_dir={folder}", f"--input={tmp_path / 'x.npz'}")
    scripts.assert_refused(again, "No such file")
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 64)))
    assert scripts.run("predict", f"--run_dir={folder}", f"--input={tmp_path / 'x.npz'}")[0] == 0


def test_networks_whose_order_is_an_axis_share_it_by_parts():
    flags = {"hidden": 8, "init": "he", "batch_size": 128}
    points = [{"seed": i, "order_seed": j} for i in range(4) for j in range(2)]
    shared = stack_jobs.parts(flags, points, lambda own: 64)
    assert [{points[n]["order_seed"] for n in part.networks} for part in shared] == [{0}, {1}]
    assert {part.group for part in shared} == {0}
    own = stack_jobs.parts(flags, points, lambda own: 64, shared=False)
    assert [part.real for part in own] == [8]


def test_the_best_are_kept_and_no_network_that_diverged():
    table = pa.table({"valid_loss": [0.3, 0.1, float("nan"), 0.2], "status": ["done", "diverged", "done", "done"]})
    assert chosen(table, parse_keep("best:2")) == [3, 0] and sweep_tables.chosen(table, parse_keep("first:2")) == [0, 1]
    assert chosen(table, parse_keep("all")) == [0, 1, 2, 3] and parse_keep(None) is None


GROUPS = [
    {"learning_rate": a, "init_scale": b, "loss": loss, "test_accuracy": {"mean": 1 - a * b, "interval": None}}
    | {"test_loss": {"mean": 1.0, "interval": None}}
    for loss in ("quadratic", "cross_entropy")
    for a in (0.1, 0.2)
    for b in (0.25, 0.5, 0.75)
]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would have been saved, each once for both formats."""
    kept = []
    monkeypatch.setattr(sweep_figures, "save_both", lambda figure, path: kept.append(figure))
    return kept


def test_legends_are_in_the_order_of_the_axes(swept, drawn):
    table = pq.read_table(swept[0] / "epochs.parquet")
    sweep_figures.curves(None, table, ["seed", "loss", "learning_rate"], "")
    sweep_figures.against(None, GROUPS, "init_scale", ["loss", "learning_rate"], "")
    losses = "cross_entropy", "quadratic"
    expected = [f"loss {loss}, learning_rate {rate}" for loss in losses for rate in ("0.002", "0.01")]
    shown = [[text.get_text() for text in figure.axes[0].get_legend().get_texts()] for figure in drawn]
    assert shown[0] == expected
    assert shown[1] == [f"loss {loss}, learning_rate {rate}" for loss in losses[::-1] for rate in ("0.1", "0.2")]


def test_a_metric_is_drawn_against_a_swept_number_with_its_intervals(drawn):
    groups = [{**g, "test_accuracy": {"mean": 0.9, "interval": (0.8, 0.95)}} for g in GROUPS[:6]]
    sweep_figures.against(None, groups, "init_scale", ["learning_rate"], "what they are over")
    (axis,) = drawn[0].axes
    np.testing.assert_allclose(axis.lines[0].get_xdata(), (0.25, 0.5, 0.75))
    np.testing.assert_allclose(axis.lines[0].get_ydata(), 10)
    segments = axis.collections[0].get_segments()
    np.testing.assert_allclose(segments[0][:, 1], (5, 20))
    assert any(text.get_text() == "what they are over" for text in drawn[0].texts)
    ticks = [text.get_text() for text in axis.get_xticklabels()]
    assert ticks == ["0.25", "0.5", "0.75"]


def test_random_draws_are_a_cloud_of_single_networks_whose_ticks_are_plain_numbers(drawn):
    """Where 64 random rates were eight curves, with ticks like 6 x 10^0."""
    rates = np.geomspace(1e-3, 1e-1, 64)
    groups = [
        {**GROUPS[0], "learning_rate": rate, "test_accuracy": {"mean": 1 - 8 * rate, "interval": None}}
        for rate in rates
    ]
    sweep_figures.against(None, groups, "learning_rate", [], "")
    (axis,) = drawn[0].axes
    points, *caps = axis.lines
    assert all(cap.get_linestyle() == "None" for cap in caps)
    assert len(points.get_xdata()) == 64 and points.get_linestyle() == "None" and points.get_marker() == "o"
    assert axis.get_yscale() == "log"
    drawn[0].canvas.draw()
    low, high = axis.get_ylim()
    ticks = [text.get_text() for text in axis.get_yticklabels() if low <= text.get_position()[1] <= high]
    assert len(ticks) >= 3 and all(tick == f"{float(tick):g}" for tick in ticks)


def test_a_heat_map_shows_its_values_and_tells_good_cells_apart(drawn):
    good = [
        {**g, "test_accuracy": {"mean": m, "interval": None}}
        for g, m in zip(GROUPS[:6], (0.99, 0.98, 0.97, 0.1, 0.5, 0.9), strict=True)
    ]
    good[3]["test_accuracy"] = None
    sweep_figures.heat_map(None, good, "init_scale", "learning_rate")
    (axis,) = drawn[0].axes
    assert sorted(text.get_text() for text in axis.texts) == sorted(["1", "2", "3", "50", "10"])
    image = axis.images[0]
    one, two, three = (float(image.norm(error)) for error in (1, 2, 3))
    assert two - one > 0.1 and three - two > 0.1, "on a linear scale 1, 2 and 3 % of 50 % are one colour"


def test_the_figures_are_a_png_and_a_pdf_the_same_bytes_every_time(tmp_path):
    for name in ("a", "b"):
        sweep_figures.heat_map(tmp_path / f"{name}.png", GROUPS, "learning_rate", "init_scale", ["loss"])
    many = [{**GROUPS[0], "learning_rate": a / 300, "init_scale": b / 300} for a in range(300) for b in range(300)]
    sweep_figures.heat_map(tmp_path / "many.png", many, "learning_rate", "init_scale")
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        one, two = ((tmp_path / name).with_suffix(suffix).read_bytes() for name in ("a", "b"))
        assert one == two and one.startswith(start)
    for path in tmp_path.glob("*.png"):
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        assert width < 3000 and height < 3000


def test_a_sweep_over_two_numbers_has_all_its_figures(tmp_path):
    two = ("--sweep=learning_rate=0.01,0.1", "--sweep=init_scale=0.5,1", "--sweep=seed=0:2")
    quick = ("--hidden=4", "--epochs=1", "--quiet", "--log_seconds=3600")
    status, _, err = sweep(*two, *quick, f"--run_dir={tmp_path / 'run'}")
    assert (status, err) == (0, "")
    names = {
        f"{name}.{form}" for name in ("curves", "heat_map", "learning_rate", "init_scale") for form in ("png", "pdf")
    }
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == names

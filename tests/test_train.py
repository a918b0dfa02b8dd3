"""The training script as its users meet it: a process, its exit status, what it says and what it leaves behind."""

import functools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import scripts
from scripts import assert_refused, read, without_seconds

from twolayer import datasets
from twolayer.command.files import LOCK
from twolayer.datasets import mnist_family

MEMORY = r"memory +([\d.]+) kB: data ([\d.]+) kB, parameters and moments ([\d.]+) kB, working memory ([\d.]+) kB"
QUICK = ("--hidden=16", "--epochs=3", "--nofigures", "--quiet")
TEACHER = ("--dataset=teacher", "--teacher_inputs=5", "--teacher_train=200", "--teacher_valid=50", "--teacher_test=50")

train = functools.partial(scripts.run, "train")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The README's command, in a directory of its own and compiled as it is for users."""
    run_dir = tmp_path_factory.mktemp("runs") / "digits"
    status, out, err = train(f"--run_dir={run_dir}", XLA_FLAGS="")
    assert status == 0, err
    return run_dir, out, err


def test_the_default_run_learns_the_digits(digits):
    run_dir, out, err = digits
    summary, metrics = read(run_dir)
    assert summary["status"] == "done"
    assert summary["test_accuracy"] >= 0.95
    assert summary["dead_outputs"] == summary["lost_classes"] == 0
    assert f"test accuracy {summary['test_accuracy']:.4f}" in out
    assert len(out.splitlines()) == 1 and summary["warnings"] == [], "nothing to warn of"
    assert re.search(r" [\d.]+ \w+ training, [\d.]+ \w+ compiling, [\d.]+ \w+ in all; ", out), "where the time has gone"
    assert f"{summary['train_dead_hidden']} of 128 hidden units dead" in out
    assert err == "", "no progress bar where there is no terminal"
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"] / 5


def test_the_run_directory_keeps_its_contract(digits):
    run_dir, _, _ = digits
    summary, metrics = read(run_dir)
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["flags"]["loss"] == "cross_entropy" and manifest["flags"]["output"] == "relu"
    assert manifest["precision"] == {"parameters": "float32", "compute": "float32", "matmul": "highest"}
    assert manifest["prng"] == "threefry2x32"
    assert set(manifest) >= {"argv", "git", "versions", "devices", "data_sha256"}
    assert [row["epoch"] for row in metrics] == list(range(1, 31))
    expected = {"step", "train_loss", "valid_loss", "valid_accuracy", "dead_hidden", "dead_outputs", "seconds"}
    assert all(set(row) >= expected for row in metrics)
    assert set(summary["seconds"]) == {"compile", "train", "total"}
    with np.load(run_dir / "params.npz", allow_pickle=False) as params:
        assert {name: params[name].shape for name in params} == {
            "W1": (128, 64),
            "b1": (128,),
            "W2": (10, 128),
            "b2": (10,),
        }
    pictures = {"learning_curves.png", "hidden_units.png", "confusion_matrix.png", "worst_mistakes.png"}
    assert {path.name for path in (run_dir / "figures").iterdir()} == pictures
    assert [path.name for path in run_dir.rglob(".*")] == [LOCK]  # no temporary files
    assert not [path for path in run_dir.iterdir() if path.is_dir() and not any(path.iterdir())], "no empty folders"


def test_the_saved_parameters_give_the_reported_accuracy(digits):
    run_dir, _, _ = digits
    summary, _ = read(run_dir)
    test = datasets.load("digits").test
    with np.load(run_dir / "params.npz", allow_pickle=False) as p:
        O1 = np.maximum(test.x / 16 @ p["W1"].T + p["b1"], 0)
        O2 = np.maximum(O1 @ p["W2"].T + p["b2"], 0)
    assert (O2.argmax(axis=1) == test.y).mean() == pytest.approx(summary["test_accuracy"])


def test_a_finished_run_says_so(digits):
    run_dir, _, _ = digits
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    status, out, _ = train(f"--run_dir={run_dir}")
    assert status == 0 and "is done already" in out
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == before


def test_the_best_epoch_is_that_of_the_runs_own_figure(digits):
    """The parameters are those of the last, without early stopping."""
    summary, metrics = read(digits[0])
    assert summary["best_epoch"] == int(np.argmin([row["valid_loss"] for row in metrics])) + 1
    assert summary["params_epoch"] == summary["epochs"] == 30 and summary["valid_loss"] == metrics[-1]["valid_loss"]


def test_a_run_of_other_flags_is_refused(digits):
    run_dir, _, _ = digits
    assert_refused(
        train(f"--run_dir={run_dir}", "--hidden=64", "--quiet"), str(run_dir), "--hidden is 128 there and 64 here"
    )


def test_the_same_command_gives_the_same_bits(tmp_path):
    for name in ("a", "b"):
        assert train(*QUICK, f"--run_dir={tmp_path / name}", "--gradient=autodiff", "--loss=quadratic")[0] == 0
    (one, rows), (two, others) = read(tmp_path / "a"), read(tmp_path / "b")
    assert one["params_sha256"] == two["params_sha256"]
    assert without_seconds(rows) == without_seconds(others)


def test_without_a_run_dir_the_run_is_named_after_its_flags(tmp_path):
    environment = dict(os.environ, PYTHONPATH=str(scripts.ROOT))
    environment.pop("JAX_ENABLE_X64", None)
    command = [sys.executable, "-m", "experiments.train", *QUICK, "--loss=quadratic"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"digits-quadratic-relu-K16-seed0-[0-9a-f]{8}", run.name)


def test_a_diverged_run_keeps_its_last_finite_parameters(tmp_path):
    arguments = (*QUICK, f"--run_dir={tmp_path / 'run'}", "--optimizer=sgd", "--loss=quadratic", "--output=identity")
    arguments += ("--learning_rate=3", "--schedule=constant", "--epochs=200", "--warmup_epochs=0")
    status, _, err = train(*arguments)
    summary, metrics = read(tmp_path / "run")
    assert status == 3 and summary["status"] == "diverged"
    assert len(err.splitlines()) == 1 and f"epoch {summary['epochs'] + 1} became non-finite" in err
    assert len(metrics) == summary["epochs"]
    with np.load(tmp_path / "run" / "params.npz", allow_pickle=False) as params:
        assert all(np.isfinite(params[name]).all() for name in params)
    assert train(*arguments)[0] == 3  # repeating it says so again


def test_early_stopping_hands_over_the_best_epoch(tmp_path):
    arguments = ("--hidden=64", "--nofigures", "--quiet", "--epochs=300", "--early_stopping=5", "--schedule=constant")
    assert train(*arguments, f"--run_dir={tmp_path / 'run'}")[0] == 0
    summary, metrics = read(tmp_path / "run")
    losses = [row["valid_loss"] for row in metrics]
    assert summary["stopped_early"] and summary["epochs"] == len(metrics) < 300
    assert summary["best_epoch"] == summary["params_epoch"] == int(np.argmin(losses)) + 1 == summary["epochs"] - 5
    assert summary["valid_loss"] == min(losses)


@pytest.mark.parametrize("output", ["relu", "identity"])
def test_scalar_regression_reaches_the_noise(tmp_path, output):
    arguments = (*TEACHER, "--teacher_outputs=1", f"--teacher_output={output}", f"--output={output}")
    arguments += ("--loss=quadratic", "--teacher_train=4000", "--epochs=60", "--quiet", f"--run_dir={tmp_path / 'run'}")
    status, out, err = train(*arguments)
    assert status == 0, err
    summary, metrics = read(tmp_path / "run")
    assert summary["test_accuracy"] is None and metrics[-1]["valid_accuracy"] is None
    assert summary["test_loss"] < 0.1 * metrics[0]["valid_loss"]
    assert "test loss" in out and "accuracy" not in out
    assert (tmp_path / "run" / "figures" / "regression_fit.png").exists()


def test_the_textbook_initialisation_loses_classes_and_the_default_does_not(tmp_path):
    def dead_outputs(seed, *arguments):
        run_dir = tmp_path / f"{seed}{len(arguments)}"
        assert train("--nofigures", "--quiet", f"--seed={seed}", f"--run_dir={run_dir}", *arguments)[0] == 0
        return read(run_dir)[0]["dead_outputs"]

    assert sum(dead_outputs(seed, "--init=he", "--output_bias=0") for seed in range(3)) > 0
    assert sum(dead_outputs(seed) for seed in range(3)) == 0


def test_distorted_images_are_another_run_and_only_for_images(tmp_path):
    for name, given in {"plain": (), "distorted": ("--elastic=5", "--rotation=0.1")}.items():
        assert train(*QUICK, *given, f"--run_dir={tmp_path / name}")[0] == 0
    losses = [[row["train_loss"] for row in read(tmp_path / name)[1]] for name in ("plain", "distorted")]
    assert losses[0][-1] < losses[1][-1] < losses[1][0]  # harder, and learnt all the same
    refused = train("--dataset=teacher", "--loss=quadratic", "--shift=1", f"--run_dir={tmp_path / 'none'}")
    assert_refused(refused, "--shift", "teacher")


def test_a_run_can_start_from_the_parameters_of_a_narrower_one(tmp_path):
    still = ("--optimizer=sgd", "--learning_rate=0", "--weight_decay=0")
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(*QUICK, f"--run_dir={first}")[0] == 0
    arguments = (*QUICK, *still, f"--start_from={first}", f"--run_dir={second}")
    assert train(*arguments, "--hidden=24")[0] == 0
    small, large = (np.load(path / "params.npz", allow_pickle=False) for path in (first, second))
    with small, large:
        np.testing.assert_array_equal(large["W1"][:16], small["W1"])
        np.testing.assert_array_equal(large["W2"][:, :16], small["W2"])
        np.testing.assert_array_equal(large["b2"], small["b2"])
        assert large["W1"].shape == (24, 64) and large["W1"][16:].std() > 0.1
    again = f"--run_dir={tmp_path / 'again'}"
    assert_refused(train(*QUICK, f"--start_from={first}", "--hidden=8", again), "64-16-10 cannot grow to 64-8-10")
    assert_refused(train(*QUICK, f"--start_from={tmp_path / 'nothing'}", again), "nothing", "not a finished run")


def test_labels_drawn_anew_are_learnt_and_few_examples_suffice(tmp_path):
    """The first 100 digits with random labels: learnt by heart, and worth nothing on others."""
    arguments = ("--train_examples=100", "--label_noise=1", "--epochs=100", "--batch_size=25", "--nofigures", "--quiet")
    arguments += ("--weight_decay=0", "--learning_rate=0.01", "--output=identity")
    assert train(*arguments, f"--run_dir={tmp_path / 'run'}")[0] == 0
    summary, metrics = read(tmp_path / "run")
    assert metrics[-1]["train_accuracy"] == 1 and summary["test_accuracy"] < 0.25


def test_a_run_that_diverges_can_name_the_step_and_the_first_number(tmp_path):
    wild = ("--optimizer=sgd", "--learning_rate=1e30", "--debug_nans")
    status, _, err = train(*QUICK, *wild, f"--run_dir={tmp_path / 'run'}")
    assert status == 3 and re.search(r"epoch 1 became non-finite at step 2: Z2; the parameters after epoch 0", err)
    assert read(tmp_path / "run")[0]["first_non_finite"] == {"epoch": 1, "step": 2, "quantity": "Z2"}


def test_a_dry_run_says_what_it_would_take_and_leaves_nothing(tmp_path):
    status, out, _ = train("--dry_run", "--hidden=16", f"--run_dir={tmp_path / 'run'}")
    assert status == 0 and not list(tmp_path.iterdir())
    assert "W1 (16, 64), b1 (16,), W2 (10, 16), b2 (10,): 1,210 of float32" in out
    assert "1,197 training examples" in out and "10 an epoch, 300 in all" in out
    flop = 2 * 1197 * (2 * 64 * 16 + 3 * 16 * 10) + 2 * 300 * (64 * 16 + 16 * 10)
    assert f"{flop / 1e6:.3g} MFLOP an epoch" in out
    total, data, state, rest = (float(number) for number in re.search(MEMORY, out).groups())
    assert data > 1.2 * 64 and state > 3 * 4 * 1.2 and total == pytest.approx(data + state + rest, rel=0.02)
    assert rest > 4 * 0.3 * 16, "the activations of the validation set lie in it"
    assert re.search(
        r"^time +about [\d.]+ m?s of training, [\d.]+ m?s an epoch as measured; [\d.]+ m?s compiling", out, re.M
    )
    assert "bfloat16" not in out
    status, out, _ = train("--dry_run", "--precision=bfloat16", f"--run_dir={tmp_path / 'run'}", JAX_PLATFORMS="cpu")
    assert status == 0 and re.search("^note .*half as fast as float32$", out, re.M)


def test_a_name_too_long_for_a_folder_is_refused():
    assert_refused(scripts.run("train", f"--run_dir={'a' * 300}"), "--run_dir=aaa", "too long")


def test_a_finished_run_and_a_contradiction_are_answered_without_jax(tmp_path):
    arguments = (*QUICK, f"--run_dir={tmp_path / 'run'}")
    assert train(*arguments)[0] == 0
    (tmp_path / "jax.py").write_text("raise ImportError('too early')")
    status, out, err = scripts.run("train", *arguments, PYTHONPATH=str(tmp_path))
    assert status == 0 and "is done already" in out, err
    refused = scripts.run("train", "--process_id=1", PYTHONPATH=str(tmp_path))
    assert_refused(refused, "--coordinator_address", "give all three")


def test_a_finished_run_that_has_lost_its_parameters_is_not_done(tmp_path):
    arguments = (*QUICK, f"--run_dir={tmp_path / 'run'}")
    assert train(*arguments)[0] == 0
    (tmp_path / "run" / "params.npz").unlink()
    assert_refused(train(*arguments), "params.npz", "is missing")


def test_an_output_that_nobody_reads_is_no_failure(tmp_path):
    command = [sys.executable, "-m", "experiments.train"]
    closed = ["bash", "-c", f"{' '.join((*command, *QUICK))} --run_dir={tmp_path / 'run'} >&-"]
    assert subprocess.run(closed, cwd=scripts.ROOT, stderr=subprocess.PIPE, text=True).returncode == 0
    helped = ["bash", "-c", f"{' '.join(command)} --help | true"]
    assert subprocess.run(helped, cwd=scripts.ROOT, capture_output=True, text=True).stderr == ""


def test_one_network_is_not_split_by_networks(tmp_path):
    options = ("--mesh=nets=2", f"--run_dir={tmp_path / 'run'}")
    assert_refused(scripts.run("train", *options, JAX_NUM_CPU_DEVICES="2"), "--mesh=nets=2", "one network")
    assert not (tmp_path / "run").exists()


def test_compiled_programs_are_kept_in_a_folder_of_ones_own(tmp_path):
    cache = tmp_path / "cache"
    assert train(*QUICK, f"--compile_cache={cache}", f"--run_dir={tmp_path / 'a'}")[0] == 0
    kept = {path.name for path in cache.glob("*-cache")}
    assert any("segment" in name for name in kept) and cache.stat().st_mode & 0o777 == 0o700
    assert train(*QUICK, f"--compile_cache={cache}", f"--run_dir={tmp_path / 'b'}")[0] == 0
    assert {path.name for path in cache.glob("*-cache")} == kept, "nothing was compiled again"
    assert read(tmp_path / "a")[0]["params_sha256"] == read(tmp_path / "b")[0]["params_sha256"]
    cache.chmod(0o755)
    assert_refused(train(*QUICK, f"--compile_cache={cache}", f"--run_dir={tmp_path / 'c'}"), "open to others", "0755")


def test_a_profile_can_be_looked_at(tmp_path):
    status, out, err = train(*QUICK, "--profile", f"--run_dir={tmp_path / 'run'}")
    assert status == 0, err
    assert len(list((tmp_path / "run" / "profile").rglob("perfetto_trace.json.gz"))) == 1
    assert f"profile: {tmp_path / 'run' / 'profile'}" in out


def test_tensorboard_files_hold_the_metrics(tmp_path):
    pytest.importorskip("tensorboardX")
    assert train(*QUICK, f"--run_dir={tmp_path / 'run'}", "--tensorboard")[0] == 0
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    content = events.read_bytes()
    assert content.count(b"valid_loss") == 3 and content.count(b"dead_outputs") == 3


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_the_manifest_names_the_precision(tmp_path, precision):
    assert train(*QUICK, f"--run_dir={tmp_path / 'run'}", f"--precision={precision}")[0] == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["precision"]["compute"] == precision
    with np.load(tmp_path / "run" / "params.npz", allow_pickle=False) as params:
        assert params["W1"].dtype == (np.float64 if precision == "float64" else np.float32)
    assert read(tmp_path / "run")[1][-1]["valid_accuracy"] > 0.5


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--loss=hinge", ("--loss", "hinge", "quadratic")),
        ("--hidden=0", ("--hidden", "positive")),
        ("--batch_size=-1", ("--batch_size", "positive")),
        ("--epochs=0", ("--epochs", "range [1,")),
        ("--learning_rate=nan", ("--learning_rate",)),
        ("--epoch=3", ("epoch",)),
        ("epochs=3", ("epochs=3", "--name=value")),
        ("--batch_size=5000", ("5000", "1197")),
        ("--dataset=teacher", ("teacher", "--loss=quadratic")),
        ("--warmup_epochs=30", ("warm-up",)),
        ("--train_examples=2000", ("1197 training", "2000")),
        ("--valid_examples=2000", ("300 validation", "2000")),
        ("--label_noise=2", ("label_noise", "1")),
        ("--elastic=-1", ("--elastic", "0")),
        ("--averaging=1", ("averaging",)),
        ("--elastic_norm=none", ("--elastic_norm", "--elastic")),
        (("--optimizer=sgd", "--momentum=0.5"), ("--momentum has no effect on --optimizer=sgd",)),
        (("--schedule=constant", "--step_every=3"), ("--step_every has no effect on --schedule=constant",)),
        ("--step_factor=0.5", ("--step_factor has no effect on --schedule=cosine",)),
        ("--teacher_inputs=5", ("--teacher_inputs has no effect on --dataset=digits",)),
        ("--teacher_seed=5", ("--teacher_seed has no effect on --dataset=digits",)),
        ("--source_dir=nowhere", ("--source_dir has no effect on --dataset=digits",)),
        ("--label_noise_seed=1", ("--label_noise_seed has no effect on --label_noise=0.0",)),
        ("--measure=width", ("--measure", "norms,sharpness")),
        ("--hidden=1000000000", ("GiB on a device", "fewer hidden units")),
        ("--loss=binary_cross_entropy", ("binary_cross_entropy", "--output=identity")),
    ],
)
def test_bad_flags_get_one_line_and_leave_nothing_behind(tmp_path, argument, words):
    given = (argument,) if isinstance(argument, str) else argument
    assert_refused(train(*given, f"--run_dir={tmp_path / 'run'}"), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_larger_than_the_memory_is_refused(tmp_path):
    huge = ("--dataset=teacher", "--loss=quadratic", "--teacher_train=10000000000000", f"--run_dir={tmp_path / 'run'}")
    assert_refused(train(*huge), "Unable to allocate")
    assert not (tmp_path / "run").exists()


def test_bad_places_get_one_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("not a directory")
    assert_refused(train(*QUICK, f"--run_dir={file / 'run'}"), "cannot write", str(file))
    assert_refused(train(*QUICK, f"--run_dir={tmp_path}"), "not a run", str(tmp_path))
    (tmp_path / "run").mkdir()
    for text in ("{", '{"flags": null, "status": "running"}'):
        (tmp_path / "run" / "manifest.json").write_text(text)
        assert_refused(train(*QUICK, f"--run_dir={tmp_path / 'run'}"), "manifest")
    missing = f"--source_dir={tmp_path / 'nowhere'}"
    assert_refused(train("--dataset=mnist", missing, f"--data_dir={tmp_path / 'data'}", *QUICK), "nowhere")


def test_wrong_archives_and_a_corrupt_cache_get_one_line_and_train_nothing(tmp_path):
    places = (
        f"--source_dir={tmp_path / 'archives'}",
        f"--data_dir={tmp_path / 'data'}",
        f"--run_dir={tmp_path / 'run'}",
    )
    (tmp_path / "archives").mkdir()
    for name in mnist_family.ARCHIVES:
        (tmp_path / "archives" / name).write_bytes(b"damaged")
    assert_refused(train("--dataset=mnist", *places, *QUICK), "of mnist but 7 bytes")
    assert {path.name for path in tmp_path.iterdir()} == {"archives"}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist.npz").write_bytes(b"damaged")
    assert_refused(train("--dataset=mnist", *places, *QUICK), "of mnist but 7 bytes")
    assert (tmp_path / "data" / "mnist.npz").read_bytes() == b"damaged" and not (tmp_path / "run").exists()


def test_help_teaches_and_imports_nothing_heavy():
    code = (
        "import runpy, sys; sys.argv = ['train', '--help']\n"
        "try: runpy.run_module('experiments.train', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'jax', 'numpy', 'tensorflow_datasets', 'sklearn', 'matplotlib', 'orbax'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--dataset=mnist" in done.stdout and "--gradient" in done.stdout and "Exit status" in done.stdout


def test_a_cached_data_set_needs_no_heavy_library(tmp_path):
    code = (
        "import sys; from experiments.runtime import jobs, session, outcome\n"
        "heavy = {'tensorflow_datasets', 'sklearn', 'matplotlib', 'orbax', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, check=True)


def test_the_flags_offer_what_the_library_has_and_load_no_jax():
    code = (
        "import sys; from experiments.runtime import flags\n"
        "assert not {'jax', 'optax', 'sklearn', 'pyarrow', 'matplotlib', 'orbax'} & set(sys.modules)\n"
        "from twolayer import activations, distortions, gradients, losses, network, optimizers\n"
        "of = lambda name: list(flags.flags.FLAGS[name].parser.enum_values)\n"
        "assert of('loss') == list(losses.LOSSES)\n"
        "assert of('output') == of('activation') == list(activations.ACTIVATIONS)\n"
        "assert of('gradient') == list(gradients.GRADIENTS)\n"
        "assert 'alive' in of('init') and 'adamw' in of('optimizer') and 'cosine' in of('schedule')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, check=True)


def test_dead_networks_are_named_with_the_remedy_and_the_status_is_that_of_a_finished_run(tmp_path):
    he = ("--init=he", "--output_bias=0", "--nofigures", "--quiet", f"--run_dir={tmp_path / 'he'}")
    status, out, _ = train(*he)
    summary, dead = read(tmp_path / "he")[0], read(tmp_path / "he")[0]["train_dead_outputs"]
    assert status == 0 and dead > 0 and len(summary["never_predicted"]) >= dead
    assert f"warning: {dead} of 10 classes can never be predicted" in out and "--init=alive" in out
    assert summary["warnings"][0] in out
    steep = ("--reduction=sum", "--optimizer=sgd", "--learning_rate=1", *QUICK, f"--run_dir={tmp_path / 'sum'}")
    status, out, _ = train(*steep)
    assert status == 0 and "10 of 10 classes can never be predicted" in out and "--reduction=mean" in out
    assert "is no better than that of the commonest class" in out


@pytest.mark.parametrize("platform", ["cuda", "tpu", "nonsense"])
def test_a_platform_that_is_not_there_is_one_line(tmp_path, platform):
    refused = scripts.run("train", *QUICK, f"--run_dir={tmp_path / 'run'}", JAX_PLATFORMS=platform)
    assert_refused(refused, f"JAX_PLATFORMS={platform}", "no such device here", "unset it")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_idle_is_told(tmp_path):
    status, _, err = scripts.run("train", *QUICK, f"--run_dir={tmp_path / 'run'}", JAX_NUM_CPU_DEVICES="2")
    assert status == 0 and err == "note: 1 of 2 devices is idle; --mesh=hidden=2 uses all\n"


def test_a_field_that_destroys_the_images_is_warned_of_once(tmp_path):
    strong = ("--elastic=34", "--hidden=4", "--epochs=1", "--nofigures", f"--run_dir={tmp_path / 'run'}")
    status, _, err = train(*strong)
    assert status == 0 and err.startswith("warning: --elastic=34 moves the pixels of 8 x 8 images by 4.2 pixels")
    assert len(err.splitlines()) == 1 and "--elastic=2.8" in err


def test_a_log_gets_a_line_every_so_many_seconds(tmp_path):
    often = ("--hidden=4", "--epochs=400", "--nofigures", "--quiet", "--log_seconds=0.01")
    status, _, err = train(*often, f"--run_dir={tmp_path / 'run'}")
    assert status == 0 and re.match(
        r"epoch [\d,]+ of 400, loss [\d.]+, valid [\d.]+, accuracy [\d.]+, dead \d+ hidden \+ \d+ outputs; "
        r"[\d.]+ m?s so far, [\d.]+ m?(s|in) left\n",
        err,
    ), err


def test_what_a_run_cannot_start_from_is_said(tmp_path):
    assert train(*QUICK, f"--run_dir={tmp_path / 'relu'}")[0] == 0
    sigmoid = (*QUICK, "--activation=sigmoid", f"--start_from={tmp_path / 'relu'}", f"--run_dir={tmp_path / 'run'}")
    assert_refused(train(*sigmoid), "--activation=relu", "sigmoid", "must agree")
    (tmp_path / "relu" / "summary.json").write_text('{"groups": []}')
    assert_refused(train(*QUICK, f"--start_from={tmp_path / 'relu'}"), "is a sweep of many networks")


def test_measures_are_metrics_of_each_epoch(tmp_path):
    assert train(*QUICK, "--measure=norms,sharpness", f"--run_dir={tmp_path / 'run'}")[0] == 0
    rows = read(tmp_path / "run")[1]
    with np.load(tmp_path / "run" / "params.npz") as params:
        assert rows[-1]["norm_W1"] == pytest.approx(np.linalg.norm(params["W1"]), rel=1e-5)
    assert all(row["sharpness"] > 0 and row["norm_dW2"] > 0 for row in rows)


def test_in_python_the_script_says_what_to_call_instead():
    code = "from experiments import train; train.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: this is a script, and no flags were read")


@pytest.mark.mnist
@pytest.mark.skipif("TWOLAYER_MNIST_DIR" not in os.environ, reason="TWOLAYER_MNIST_DIR names no folder of archives")
def test_both_engines_agree_on_mnist_in_float64(tmp_path):
    place = (f"--source_dir={os.environ['TWOLAYER_MNIST_DIR']}", f"--data_dir={tmp_path / 'data'}")
    params = {}
    for engine in ("closed_form", "autodiff"):
        arguments = ("--dataset=mnist", *place, f"--gradient={engine}", "--precision=float64", "--epochs=2")
        assert train(*arguments, "--quiet", "--nofigures", f"--run_dir={tmp_path / engine}")[0] == 0
        with np.load(tmp_path / engine / "params.npz", allow_pickle=False) as file:
            params[engine] = {name: file[name] for name in file}
    for name, ours in params["closed_form"].items():
        theirs = params["autodiff"][name]
        assert np.linalg.norm(ours - theirs) <= 1e-10 * np.linalg.norm(theirs)
    assert read(tmp_path / "autodiff")[0]["test_accuracy"] > 0.95

"""Faults of the world around a run: no room on the disk, a directory that vanishes, a clock that was set back."""

import errno
import functools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import time

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
import scripts

from experiments.runtime import checkpoints, runs
from experiments.runtime.runs import load_params
from twolayer.atomic import UNFINISHED
from twolayer.command.cli import BadInput

train, sweep = (functools.partial(scripts.run, script) for script in ("train", "sweep"))
RUN = ("--hidden=32", "--epochs=60", "--checkpoint_every=20", "--nofigures", "--quiet")
RUN = (*RUN, "--learning_rate=0.0031", "--order_seed=5", "--optimizer=momentum")
SWEEP = ("--hidden=8", "--epochs=3", "--quiet", "--nofigures", "--sweep=seed=0:2")
INTACT = "what was saved is intact: make room, or mend what is wrong, and repeat the command to continue"


def sha256(run_dir):
    return json.loads((run_dir / "summary.json").read_text())["params_sha256"]


def metrics(run_dir):
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happened to."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    status, _, err = train(*RUN, f"--run_dir={run_dir}")
    assert status == 0, err
    return run_dir


# --- the disk is full ---


def limit_files(most):
    """From here on a write that makes a file longer than so many bytes fails with an error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    jax.config.update("jax_enable_compilation_cache", False)  # programs find no room either, and say so


def crowded(script, *arguments, most):
    """Run a script where no file may have more than so many bytes."""
    return scripts.run(script, *arguments, before=functools.partial(limit_files, most))


def assert_whole_files(run_dir):
    """Every file is complete: no temporary ones, no half lines, no checkpoint without its sums."""
    assert not list(run_dir.rglob(UNFINISHED))
    json.loads((run_dir / "manifest.json").read_text())
    text = (run_dir / "metrics.jsonl").read_text() if (run_dir / "metrics.jsonl").exists() else ""
    assert text == "" or text.endswith("\n")
    assert all(json.loads(line) for line in text.splitlines())
    for path in (run_dir / "checkpoints").iterdir():
        assert checkpoints.read(path.with_suffix("")) is not None, path


def test_a_run_that_finds_no_room_says_so_and_goes_on_when_there_is(tmp_path, whole):
    """First the flags do not fit, then the manifest with all its facts, the metrics, a checkpoint's largest array."""
    run_dir = tmp_path / "run"
    words = ("cannot write to --run_dir", str(run_dir), "File too large")
    scripts.assert_refused(crowded("train", *RUN, f"--run_dir={run_dir}", most=500), *words)
    for most in (2000, 3500, 7000):
        scripts.assert_refused(crowded("train", *RUN, f"--run_dir={run_dir}", most=most), *words, INTACT)
        assert_whole_files(run_dir)
    status, _, err = train(*RUN, f"--run_dir={run_dir}")
    assert status == 0, err
    assert sha256(run_dir) == sha256(whole) and metrics(run_dir) == metrics(whole)


def test_the_last_good_checkpoint_outlives_a_full_disk(tmp_path):
    run_dir = tmp_path / "run"
    long = (*RUN, "--hidden=512", "--epochs=4000", f"--run_dir={run_dir}")
    process = scripts.start("train", *long)
    deadline = time.monotonic() + 60
    while not list(run_dir.glob("checkpoints/*.sha256")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = sorted(path.name for path in run_dir.glob("checkpoints/*.sha256"))
    epochs = len(metrics(run_dir))
    # Less than the 128 kB of W1, and more than the metrics.
    scripts.assert_refused(crowded("train", *long, most=100_000), "File too large", INTACT)
    assert len(metrics(run_dir)) < 300 and epochs < 300, "the metrics found room"
    assert_whole_files(run_dir)
    assert sorted(path.name for path in run_dir.glob("checkpoints/*.sha256")) == before
    assert all(checkpoints.read(run_dir / "checkpoints" / name.removesuffix(".sha256")) for name in before)


def test_no_room_for_the_parameters(tmp_path, whole):
    """With no checkpoint on the way the end is the first to find no room, and it is repeated."""
    run_dir = tmp_path / "run"
    rare = (*RUN, "--checkpoint_every=100", f"--run_dir={run_dir}")
    size = (whole / "params.npz").stat().st_size
    assert (whole / "metrics.jsonl").stat().st_size > size, "the metrics must fit and the parameters not"
    few = (*rare, "--epochs=20")
    scripts.assert_refused(crowded("train", *few, most=size - 500), "File too large", INTACT)
    assert_whole_files(run_dir)
    assert not (run_dir / "params.npz").exists() and not (run_dir / "summary.json").exists()
    with pytest.raises(BadInput, match="not a finished run"):
        load_params(run_dir)
    assert train(*few)[0] == 0 and load_params(run_dir)


def test_a_sweep_that_finds_no_room_goes_on_when_there_is_and_its_flagfile_repeats_it(tmp_path):
    axes = ("--sweep=learning_rate=loguniform(1e-3,1e-2)", "--samples=2", "--noshare", "--together=3")
    first = tmp_path / "first"
    found = crowded("sweep", *SWEEP, *axes, f"--run_dir={first}", most=3000)
    scripts.assert_refused(found, str(first), "File too large", INTACT)
    assert not list(first.rglob(UNFINISHED)) and not list(first.rglob("*.parquet"))
    status, _, err = sweep(*SWEEP, *axes, f"--run_dir={first}")
    assert status == 0, err
    flagfile = first / "flags.txt"
    assert {"--sweep=seed=0:2", axes[0], "--noshare", "--samples=2"} <= set(flagfile.read_text().splitlines())
    status, _, err = sweep(f"--flagfile={flagfile}", f"--run_dir={tmp_path / 'second'}")
    assert status == 0, err
    one, two = (pq.read_table(tmp_path / name / "networks.parquet") for name in ("first", "second"))
    assert one.num_rows == 4 and one.drop_columns("seconds").equals(two.drop_columns("seconds"))


def test_lines_that_find_no_room_leave_none_behind(tmp_path, monkeypatch):
    run = runs.Run(tmp_path, {"status": "running", "flags": {}})
    run.log([{"epoch": 1}])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))
    try:
        with pytest.raises(BadInput, match="File too large"), run.writing():
            run.log([{"epoch": 2}, {"epoch": 3}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert run.metrics() == [{"epoch": 1}]


def test_a_checkpoint_that_is_there_is_not_written_again(tmp_path):
    """A signal before the first epoch after a start saves under the same name: it must not risk what it has."""
    checkpoints.save(tmp_path, "0001", [np.arange(3.0)])
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    checkpoints.save(tmp_path, "0001", [np.arange(3.0)])
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before


# --- the directory vanishes ---


def vanished(script, *arguments, run_dir, once):
    """Remove the directory of a running script once a file is in it, whatever is written meanwhile."""
    process = scripts.start(script, *arguments, f"--run_dir={run_dir}")
    deadline = time.monotonic() + 60
    while not list(run_dir.glob(once)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)
    while run_dir.exists() and process.poll() is None:
        shutil.rmtree(run_dir, ignore_errors=True)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_run_whose_directory_is_removed_says_so_and_makes_none(tmp_path):
    run_dir = tmp_path / "run"
    long = (*RUN, "--epochs=1000000")
    found = vanished("train", *long, "--checkpoint_every=5", run_dir=run_dir, once="checkpoints/*.sha256")
    scripts.assert_refused(found, str(run_dir), "was removed or renamed while the run went on", "begin again")
    assert not run_dir.exists()


def test_a_sweep_whose_directory_is_removed_says_so_and_makes_none(tmp_path):
    run_dir = tmp_path / "sweep"
    found = vanished("sweep", *SWEEP, run_dir=run_dir, once="manifest.json")
    scripts.assert_refused(found, str(run_dir), "was removed or renamed while the run went on")
    assert not run_dir.exists()


def test_a_directory_that_cannot_be_made_is_refused_before_anything_was_saved(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(pathlib.Path, "mkdir", denied)
    with pytest.raises(BadInput, match=r"^cannot write to --run_dir=.*: Permission denied$"):
        runs.Run(tmp_path / "run", {"status": "new", "flags": {}}).create()


def test_another_directory_in_its_place_is_left_alone(tmp_path):
    run = runs.Run(tmp_path / "run", {"status": "new", "flags": {}})
    run.create()
    run.path.rename(tmp_path / "elsewhere")
    run.path.mkdir()
    (run.path / "letter.txt").write_text("mine")
    for write in (lambda: run.log([{"epoch": 1}]), lambda: run.set_status("done"), lambda: run.save_params({})):
        with pytest.raises(BadInput, match="removed or renamed"), run.writing():
            write()
    assert [path.name for path in run.path.iterdir()] == ["letter.txt"]


def test_a_run_that_another_process_began_meanwhile_is_the_run_that_goes_on(tmp_path):
    """Both have found an empty directory; the other has taken the lock first, and is gone again."""
    flags = {"dataset": "digits"}
    late, early = (runs.find_run(tmp_path / "run", flags) for _ in range(2))
    early.create()
    early.begin({"data_sha256": "bbbb", "part_sizes": [32]})
    early.set_status("interrupted")
    os.close(early._lock._file)  # as when its process ends
    late.create()
    assert late.manifest["part_sizes"] == [32] and late.status == "interrupted"
    with pytest.raises(BadInput, match="was begun on other data"):
        late.begin({"data_sha256": "aaaa"})
    late.begin({"data_sha256": "bbbb"})
    assert len(late.manifest["sessions"]) == 2


# --- killed before there is anything to continue from ---


@pytest.mark.parametrize("left", [(), (".manifest.json.abc.tmp",), ("manifest.json", ".flags.txt.abc.tmp")])
def test_a_run_that_was_killed_at_once_is_begun_again(tmp_path, left):
    """The manifest is written first, so whatever else is there, the directory is known to be a run."""
    run_dir = tmp_path / "run"
    flags = {"hidden": 8}
    run_dir.mkdir()
    for name in left:
        (run_dir / name).write_text(json.dumps({"status": "new", "flags": flags}) if name == "manifest.json" else "{")
    run = runs.find_run(run_dir, flags)
    run.create()
    assert not list(run_dir.rglob(UNFINISHED)) and run.status == "new"
    assert json.loads((run_dir / "manifest.json").read_text())["flags"] == flags


# --- the clock ---


def test_a_clock_that_was_set_back_changes_nothing(tmp_path, whole):
    """The newest checkpoint is the one of the latest epoch, whatever the times of the files and of the manifest say."""
    run_dir = tmp_path / "run"
    process = scripts.start("train", *RUN, f"--run_dir={run_dir}")
    deadline = time.monotonic() + 60
    while len(list(run_dir.glob("checkpoints/*.sha256"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.communicate()
    future, past = time.time() + 1e8, 1e6
    for path in run_dir.rglob("*"):
        os.utime(path, (past, past) if "00000040" in str(path) else (future, future))
    manifest = json.loads((run_dir / "manifest.json").read_text())
    manifest |= {"created": "2099-01-01T00:00:00+00:00", "updated": "2099-01-01T00:00:00+00:00"}
    (run_dir / "manifest.json").write_text(json.dumps(manifest))
    forty = run_dir / "checkpoints" / "00000040"
    like = checkpoints.read(forty)
    assert all(np.array_equal(a, b) for a, b in zip(checkpoints.restore(forty.parent, like), like, strict=True))
    assert train(*RUN, f"--run_dir={run_dir}")[0] == 0
    assert sha256(run_dir) == sha256(whole) and metrics(run_dir) == metrics(whole)


def test_no_decision_asks_the_clock_on_the_wall():
    """Times of files are looked at nowhere but in the measurement of kills, and dates are only written down."""
    for path in (scripts.ROOT / "experiments").rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"time\.time\(|getmtime|st_ctime|utcnow", text), path
        assert "st_mtime" not in text or path.parts[-2:] == ("faults", "kills.py"), path
        assert not re.search(r"\bif\b.*(datetime\.|_now\(\))", text), path


# --- the flags again ---


def test_a_flagfile_repeats_a_run(tmp_path, whole):
    """With flags that were given, flags that are None, and booleans that are false."""
    lines = (whole / "flags.txt").read_text().splitlines()
    assert {"--nofigures", "--learning_rate=0.0031", "--order_seed=5", "--epochs=60", "--quiet"} <= set(lines)
    names = {line.split("=")[0] for line in lines}
    assert not {"--run_dir", "--output_bias", "--weight_decay", "--data_dir", "--process_id"} & names
    status, _, err = train(f"--flagfile={whole / 'flags.txt'}", f"--run_dir={tmp_path / 'again'}")
    assert status == 0, err
    assert sha256(tmp_path / "again") == sha256(whole)
    manifests = [json.loads((path / "manifest.json").read_text()) for path in (whole, tmp_path / "again")]
    first, second = (dict(manifest["flags"], run_dir=None) for manifest in manifests)
    assert first == second and not first["figures"] and first["output_bias"] is None
    assert (tmp_path / "again" / "flags.txt").read_text().splitlines() == lines


def test_a_flagfile_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "flags.txt").write_bytes(b"--hidden=8\xff")
    scripts.assert_refused(train(f"--flagfile={tmp_path / 'flags.txt'}"), "utf-8")


def test_the_flags_of_the_first_start_stay(tmp_path):
    run = runs.Run(tmp_path / "run", {"status": "new", "flags": {}}, "--hidden=8\n")
    run.create()
    later = runs.Run(tmp_path / "run", run.manifest, "--hidden=9\n")
    os.close(run._lock._file)  # as when its process ends
    later.create()
    assert (tmp_path / "run" / "flags.txt").read_text() == "--hidden=8\n"
    other = runs.Run(tmp_path / "other", {"status": "new", "flags": {}}, "--hidden=8\n", writes=False)
    other.create()
    assert not pathlib.Path(tmp_path / "other").exists()

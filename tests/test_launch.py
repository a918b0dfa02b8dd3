"""The launch scripts, as far as a machine without Slurm or Kubernetes can tell: they run, and they are consistent."""

import contextlib
import functools
import json
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import subprocess
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from python_forks import python
from scripts import OWN, ROOT, run

from twolayer.command import cli

LAUNCH = ROOT / "experiments" / "launch"
KINDS = {"sweep": "sweep", "wide": "train"}  # launch script: experiment script
FLAGS = ("--hidden=16", "--epochs=3", "--nofigures")
LONG = ("--hidden=16", "--epochs=60", "--nofigures", "--checkpoint_every=5")
SWEEPS_OWN = {"sweep", "samples", "share", "together"}

SRUN = """#!/bin/bash
# Two processes of the command, as Slurm starts them; the largest of their statuses.
set -u
here=$(dirname "$0")
printf '%s\n' "$@" > "$here/asked"  # a line each, so that words which fell apart are seen
if [[ -n ${FAKE_STATUS:-} ]]; then exit "$FAKE_STATUS"; fi
while [[ $1 == -* ]]; do shift; done
export SLURM_STEP_NODELIST=127.0.0.1 SLURM_NTASKS=2
tasks=()
for i in 0 1; do
    SLURM_PROCID=$i SLURM_LOCALID=$i "$@" &
    tasks+=($!)
done
echo "${tasks[@]}" > "$here/tasks"
largest=0
for task in "${tasks[@]}"; do
    wait "$task"
    status=$?
    if (( status > largest )); then largest=$status; fi
done
exit "$largest"
"""
SCONTROL = """#!/bin/bash
echo "$@" > "$(dirname "$0")/controlled"
"""


def free_job():
    """A number of a Slurm job such that the port JAX derives from it, number mod 4096 + 61440, is free."""
    while True:
        port = random.randrange(61440, 65536)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port - 61440 + 4096 * 3


class Slurm:
    """A folder of stand-ins for Slurm's commands, and a job in which batch scripts run."""

    def __init__(self, folder):
        self.bin, self.submitted = folder / "bin", folder / "submitted"
        for place in (self.bin, self.submitted):
            place.mkdir()
        for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        (self.bin / "python").symlink_to(python())
        self.job, self.scripts = free_job(), []

    def start(self, kind, *arguments, **variables):
        """The running batch script."""
        kept = {k: v for k, v in os.environ.items() if k not in OWN and not k.startswith(("SLURM_", "TWOLAYER_RUNS"))}
        kept.pop("CUDA_VISIBLE_DEVICES", None)
        ours = {"PATH": f"{self.bin}:{os.environ['PATH']}", "JAX_PLATFORMS": "cpu", "SLURM_JOB_ID": str(self.job)}
        environment = kept | ours | {"SLURM_SUBMIT_DIR": str(self.submitted), "SLURM_CPUS_PER_TASK": "2"} | variables
        command = ["bash", str(LAUNCH / f"{kind}.sbatch"), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.scripts.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return self.scripts[-1]

    def end(self):
        """Kill what a test that failed has left running."""
        if any(script.poll() is None for script in self.scripts):
            for task in (self.said("tasks") or "").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(task), signal.SIGKILL)

    def run(self, kind, *arguments, **variables):
        """(exit status, stdout, stderr) of a batch script."""
        process = self.start(kind, *arguments, **variables)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def run_dir(self, kind):
        return self.submitted / "runs" / f"{kind}-{self.job}"

    def said(self, name):
        """What a stand-in was asked, or None."""
        path = self.bin / name
        return path.read_text().strip() if path.exists() else None


@pytest.fixture
def slurm(tmp_path):
    cluster = Slurm(tmp_path)
    yield cluster
    cluster.end()


# --- Slurm ---


def test_a_sweep_runs_over_the_processes_of_a_job(slurm):
    status, out, err = slurm.run("sweep", "--sweep=seed=0:4", *FLAGS)
    assert status == 0, (out, err)
    run_dir = slurm.run_dir("sweep")
    assert out.splitlines()[-1].startswith("4 networks, ") and out.count("4 networks, ") == 1  # only the first speaks
    assert (run_dir / "summary.json").exists() and slurm.said("controlled") is None
    assert len(pq.read_table(run_dir / "networks.parquet")) == 4
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["mesh"] == {"data": 1, "hidden": 1, "nets": 2} and manifest["status"] == "done"
    assert "--cpus-per-task=2" in slurm.said("asked").split()


def test_a_wide_network_is_split_over_the_processes_of_a_job_and_is_the_same_network(slurm, tmp_path):
    status, out, err = slurm.run("wide", *FLAGS, TWOLAYER_RUNS=str(tmp_path / "elsewhere"))
    assert status == 0, (out, err)
    run_dir = tmp_path / "elsewhere" / f"wide-{slurm.job}"
    assert out.splitlines()[-1].startswith("test loss ") and (run_dir / "summary.json").exists()
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["mesh"] == {"data": 1, "hidden": 2, "nets": 1} and manifest["flags"]["hidden"] == 16
    assert not slurm.run_dir("wide").exists()
    assert run("train", *FLAGS, "--quiet", f"--run_dir={tmp_path / 'one'}", JAX_PLATFORMS="cpu")[0] == 0
    with np.load(run_dir / "params.npz") as two, np.load(tmp_path / "one" / "params.npz") as one:
        assert two["W1"].shape == (16, 64)
        np.testing.assert_allclose(two["W1"], one["W1"], rtol=1e-4, atol=1e-5)


def test_at_the_time_limit_a_job_is_saved_queued_again_and_goes_on_where_it_was(slurm):
    process = slurm.start("wide", *LONG)
    metrics, deadline = slurm.run_dir("wide") / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 10:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    for task in slurm.said("tasks").split():  # Slurm signals the tasks of the steps and not the batch script
        os.kill(int(task), signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == cli.INTERRUPTED, err
    assert slurm.said("controlled") == f"requeue {slurm.job}" and f"saved in {slurm.run_dir('wide')}" in err
    epochs = len(metrics.read_text().splitlines())
    assert 10 <= epochs < 60

    (slurm.bin / "controlled").unlink()
    status, out, err = slurm.run("wide", *LONG, SLURM_RESTART_COUNT="1")
    assert status == 0, (out, err)
    assert slurm.said("controlled") is None
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()] == list(range(1, 61))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "restarts", "again"),
    [(75, None, True), (75, "99", True), (75, "100", False), (0, None, False), (1, None, False), (143, "1", False)],
)
def test_only_an_interrupted_job_is_queued_again_and_not_for_ever(kind, status, restarts, again, slurm):
    counted = {} if restarts is None else {"SLURM_RESTART_COUNT": restarts}
    assert slurm.run(kind, "--epochs=3", FAKE_STATUS=str(status), **counted) == (status, "", "")
    assert slurm.said("controlled") == (f"requeue {slurm.job}" if again else None)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_sbatch_reach_the_script_as_they_are_and_win(kind, slurm):
    given = "--sweep=learning_rate=logspace(-3,-1,5)", "--run_dir=a place", "--hidden=8"
    slurm.run(kind, *given, FAKE_STATUS="0")
    asked = slurm.said("asked").splitlines()
    assert f"experiments.{KINDS[kind]}" in asked and asked[-len(given) :] == list(given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_script_asks_for_what_it_needs(kind):
    text = (LAUNCH / f"{kind}.sbatch").read_text()
    assert subprocess.run(["bash", "-n", LAUNCH / f"{kind}.sbatch"], capture_output=True).stderr == b""
    before = text.split("\nset -euo pipefail\n")[0]  # Slurm reads no #SBATCH line after the first command
    assert all(line.startswith("#") for line in before.splitlines())
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", before, re.MULTILINE))
    assert asked["signal"] == "TERM@60" and "requeue" in asked and asked["open-mode"] == "append"
    assert asked["job-name"] == f"twolayer-{kind}" and "time" in asked and "cpus-per-task" in asked
    # JAX takes the GPU with the process's local number, so a process must see one GPU for each process of its node.
    assert asked["gpus-per-node"] == asked["ntasks-per-node"] and "gpus-per-task" not in asked
    assert len(re.findall(r"^#SBATCH", text, re.MULTILINE)) == len(asked)


# --- Kubernetes ---


def jobset(kind):
    return yaml.safe_load((LAUNCH / f"{kind}.jobset.yaml").read_text())


def parts(manifest):
    """(the one replicated job, its Job's spec, its pods' spec, their container)."""
    (replicated,) = manifest["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    return replicated, job, pod, container


def given(container):
    """The flags of the command; a flag without a value is None."""
    pairs = [argument.removeprefix("--").partition("=") for argument in container["command"][3:]]
    return {name: value if equals else None for name, equals, value in pairs}


@pytest.mark.parametrize("kind", KINDS)
def test_the_pods_of_a_jobset_find_each_other(kind):
    manifest = jobset(kind)
    assert (manifest["apiVersion"], manifest["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    replicated, job, _, container = parts(manifest)
    told = given(container)
    assert replicated["replicas"] == 1 and job["completionMode"] == "Indexed"
    assert job["parallelism"] == job["completions"] == int(told["num_processes"])
    name, port = manifest["metadata"]["name"], container["ports"][0]["containerPort"]
    assert manifest["spec"]["network"] == {"enableDNSHostnames": True}  # so the subdomain is the JobSet's name
    assert told["coordinator_address"] == f"{name}-{replicated['name']}-0-0.{name}:{port}"
    (variable,) = container["env"]
    assert told["process_id"] == f"$({variable['name']})"
    path = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": path}}
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}


@functools.cache
def known_flags():
    """Those of a training run, from a process of its own: in this one, flags of other scripts may have their names."""
    code = "import json; from experiments.runtime import flags; print(json.dumps(flags.names()))"
    done = subprocess.run([python(), "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_of_a_jobset_is_one_that_the_script_knows(kind):
    _, job, _, container = parts(jobset(kind))
    assert container["command"][:3] == ["python", "-m", f"experiments.{KINDS[kind]}"]
    assert all(argument.startswith("--") for argument in container["command"][3:])
    known = known_flags() | (SWEEPS_OWN if kind == "sweep" else set())
    assert set(given(container)) <= known
    assert kind != "wide" or int(given(container)["hidden"]) % job["parallelism"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_jobset_starts_again_after_all_but_what_would_happen_again(kind):
    manifest = jobset(kind)
    _, job, pod, container = parts(manifest)
    assert job["backoffLimit"] == 0 and pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] > 5
    (final,) = job["podFailurePolicy"]["rules"]
    codes = final["onExitCodes"]
    assert final["action"] == "FailJob" and codes["containerName"] == container["name"] and codes["operator"] == "In"
    hopeless = {"sweep": {cli.BAD_INPUT}, "wide": {cli.BAD_INPUT, cli.DIVERGED}}[kind]
    assert set(codes["values"]) == hopeless and cli.INTERRUPTED not in codes["values"]
    policy = manifest["spec"]["failurePolicy"]
    (rule,) = policy["rules"]
    assert rule["action"] == "FailJobSet" and rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", rule["name"]) and policy["maxRestarts"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_jobset_writes_and_reads_outlives_its_pods(kind):
    _, _, pod, container = parts(jobset(kind))
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    assert volume["name"] == mount["name"] and volume["persistentVolumeClaim"]["claimName"] == "twolayer"
    for flag in ("run_dir", "data_dir"):
        assert pathlib.PurePosixPath(given(container)[flag]).is_relative_to(mount["mountPath"])
    text = (LAUNCH / f"{kind}.jobset.yaml").read_text()
    assert re.search(r"image: .*# PLACEHOLDER", text)


# --- what the headers say ---


def header(path):
    """The comment that a file begins with, without its signs."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
    end = next(i for i, line in enumerate(lines) if not line.startswith("#") or line.startswith("#SBATCH"))
    return "\n".join(line[2:] for line in lines[:end])


def commands(path):
    """The indented commands of a header, continued lines as one."""
    joined = header(path).replace("\\\n", "")
    return [line.strip() for line in joined.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("path", sorted(LAUNCH.iterdir()), ids=lambda path: path.name)
def test_the_commands_of_a_header_can_be_given(path):
    found = commands(path)
    submits = [command for command in found if command.startswith(("sbatch ", "kubectl apply -f ", "kubectl delete"))]
    assert submits
    for command in found:
        assert subprocess.run(["bash", "-n", "-c", command], capture_output=True).stderr == b"", command
    for command in submits:
        named = [word for word in shlex.split(command) if "/" in word and not word.startswith("--")]
        assert [ROOT / word for word in named] == [path], command
    kind = path.name.partition(".")[0]
    known = known_flags() | (SWEEPS_OWN if kind == "sweep" else set())
    for command in found:
        if command.startswith("sbatch "):
            after = command.partition(path.name)[2]
            assert set(re.findall(r"--([a-z_]+)=", after)) <= known


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_for_a_machine_without_slurm_runs(kind, tmp_path):
    (command,) = (line for line in commands(LAUNCH / f"{kind}.sbatch") if line.startswith("for i in 0 1"))
    assert command in commands(LAUNCH / f"{kind}.jobset.yaml")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = command.replace("python", shlex.quote(python())).replace(":1234", f":{port}")
    command = command.replace("--run_dir=runs/", f"--nofigures --quiet --run_dir={tmp_path}/")
    environment = {name: value for name, value in os.environ.items() if name not in OWN} | {"JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, timeout=300)
    manifest = json.loads((tmp_path / f"two-{kind}" / "manifest.json").read_text())
    assert manifest["status"] == "done" and len(manifest["devices"]) == 2, ended

"""The launch scripts do what their headers say, as far as a machine without Slurm and Kubernetes can tell."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from scripts import OWN, ROOT, run

from experiments import flags as training_flags

FOLDER = ROOT / "experiments" / "launch"
BATCH, MANIFESTS = sorted(FOLDER.glob("*.sbatch")), sorted(FOLDER.glob("*.yaml"))
SCRIPT = {"sweep": "sweep", "wide": "train"}
QUICK = ("--hidden=16", "--epochs=3", "--nofigures")

# What srun does: the command once for each task, with the variables by which a task knows who it is.
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
export SLURM_STEP_NODELIST=127.0.0.1 SLURM_NTASKS=2 SLURM_STEP_NUM_NODES=1 JAX_PLATFORMS=cpu
for id in 0 1; do SLURM_PROCID=$id SLURM_LOCALID=$id "$@" & pids[$id]=$!; done
status=0
for pid in "${pids[@]}"; do wait $pid || { s=$?; [ $s -gt $status ] && status=$s; }; done
exit $status
"""


def submit(script, tmp_path, *arguments, srun=SRUN):
    """Run a batch script with a Slurm of our own; returns the process and what scontrol was told."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("srun", srun), ("scontrol", f'#!/bin/sh\necho "$@" > {tmp_path}/told\n')):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    environment |= {"PATH": f"{tools}:{pathlib.Path(sys.executable).parent}:{environment['PATH']}"}
    environment |= {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NAME": "job", "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(script), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )
    told = tmp_path / "told"
    return done, told.read_text() if told.exists() else ""


def test_a_wide_network_over_two_tasks_is_the_network_of_one(tmp_path):
    done, told = submit(FOLDER / "wide.sbatch", tmp_path, *QUICK)
    assert done.returncode == 0 and told == "", done.stderr
    assert "test accuracy" in done.stdout
    assert run("train", *QUICK, "--quiet", f"--run_dir={tmp_path / 'one'}")[0] == 0
    two, one = (np.load(path / "params.npz") for path in (tmp_path / "runs" / "job", tmp_path / "one"))
    np.testing.assert_allclose(two["W1"], one["W1"], rtol=1e-3, atol=1e-5)
    assert '"hidden": 2' in (tmp_path / "runs" / "job" / "manifest.json").read_text()


def test_a_sweep_over_two_tasks_has_all_its_networks(tmp_path):
    done, told = submit(FOLDER / "sweep.sbatch", tmp_path, "--sweep=seed=0:4", *QUICK)
    assert done.returncode == 0 and told == "", done.stderr
    assert "4 networks, 1 compilations" in done.stdout
    assert '"nets": 2' in (tmp_path / "runs" / "job" / "manifest.json").read_text()


@pytest.mark.parametrize("script", BATCH, ids=lambda path: path.name)
@pytest.mark.parametrize(("status", "requeued"), [(75, True), (1, False), (3, False), (137, False)])
def test_what_was_saved_is_requeued_and_other_ends_are_passed_on(script, status, requeued, tmp_path):
    done, told = submit(script, tmp_path, srun=f"#!/bin/sh\nexit {status}\n")
    assert done.returncode == status
    assert told == (f"requeue {os.getpid()}\n" if requeued else "")


@pytest.mark.parametrize("script", BATCH, ids=lambda path: path.name)
def test_batch_scripts_are_warned_before_their_time_is_over(script):
    options = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?", script.read_text(), re.MULTILINE)
    given = dict(options)
    assert given["signal"] == "TERM@60" and "requeue" in given and given["open-mode"] == "append"


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_pods_of_a_manifest_are_one_job(path):
    manifest = yaml.safe_load(path.read_text())
    name = manifest["metadata"]["name"]
    (job,) = manifest["spec"]["replicatedJobs"]
    pods = job["template"]["spec"]
    pod = pods["template"]["spec"]
    (container,) = pod["containers"]
    command = container["command"]
    given = {name: value for name, _, value in (text[2:].partition("=") for text in command[3:])}
    assert pods["parallelism"] == pods["completions"] == int(given["num_processes"])
    assert pods["completionMode"] == "Indexed" and pods["backoffLimit"] == 0 and pod["restartPolicy"] == "Never"
    port = container["ports"][0]["containerPort"]
    assert given["coordinator_address"] == f"{name}-{job['name']}-0-0.{name}:{port}"
    (index,) = container["env"]
    assert given["process_id"] == f"$({index['name']})"
    assert "job-completion-index" in index["valueFrom"]["fieldRef"]["fieldPath"]
    assert pod["terminationGracePeriodSeconds"] > 5
    (rule,) = pods["podFailurePolicy"]["rules"]
    assert 75 not in rule["onExitCodes"]["values"] and rule["onExitCodes"]["containerName"] == container["name"]
    assert (
        command[:2] == ["python", "-m"] and command[2].removeprefix("experiments.") == SCRIPT[path.name.split(".")[0]]
    )
    assert set(given) <= {*training_flags.names(), "sweep", "samples", "share", "together"}
    mounted = container["volumeMounts"][0]["mountPath"]
    assert given["run_dir"].startswith(mounted) and given["data_dir"].startswith(mounted)


@pytest.mark.parametrize("path", [*BATCH, *MANIFESTS], ids=lambda path: path.name)
def test_the_command_of_a_header_names_the_file(path):
    name = str(path.relative_to(ROOT))
    assert re.search(rf"^#   (?:sbatch|kubectl apply -f) {re.escape(name)}\b", path.read_text(), re.MULTILINE)


def test_both_have_both():
    assert (
        [path.name.split(".")[0] for path in BATCH] == [path.name.split(".")[0] for path in MANIFESTS] == list(SCRIPT)
    )

"""The examples of CONTRIBUTING.md, run as they stand: an entry is all that a new activation, loss, start, ... takes."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twolayer import autodiff, closed_form, init, updates

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def code(name):
    """The text of an example."""
    return re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", TEXT, re.DOTALL)[1]


def example(name):
    """The entry that an example defines."""
    scope = {}
    exec(code(name), scope)
    return scope["entry"]


def both(**choices):
    """Closed form and autodiff of the same network, on real targets."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = init(keys[0], inputs=5, hidden_size=7, outputs=3, scheme="lecun", dtype=jnp.float64)
    x, y = jax.random.normal(keys[1], (6, 5), jnp.float64), jax.random.normal(keys[2], (6, 3), jnp.float64)
    choices = {"loss": "quadratic", "output": "identity", "reduction": "mean"} | choices
    return (engine(**choices)(params, x, y) for engine in (closed_form, autodiff))


@pytest.mark.parametrize(
    ("name", "argument"), [("activation", "hidden_activation"), ("activation", "output"), ("loss", "loss")]
)
def test_an_entry_has_the_gradient_of_its_own_value(name, argument, float64):
    by_hand, by_jax = both(**{argument: example(name)})
    np.testing.assert_allclose(by_hand[0], by_jax[0], rtol=1e-12)
    for mine, theirs in zip(by_hand[1], by_jax[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_start_draws_what_it_says(key):
    params = init(key, inputs=300, hidden_size=400, outputs=10, scheme=example("start"))
    assert np.var(params.W1) == pytest.approx(3 / 300, rel=0.05) and np.var(params.W2) == pytest.approx(
        3 / 400, rel=0.1
    )


def test_an_optimiser_steps():
    transform = example("optimizer").make(0.9)
    params = jnp.ones(3)
    step, _ = transform.update(jnp.array([1.0, -2.0, 3.0]), transform.init(params), params)
    assert (np.sign(step) == [1, -1, 1]).all() and "momentum" in str(updates.OPTIMIZERS["adam"].transform)


# Each example, the file that it is put into, and the line that it is put behind.
ENTRIES = {
    "activation": ("activations.py", "_ENTRIES = (\n", "{},\n"),
    "loss": ("formulas.py", "_ENTRIES = (\n", "{},\n"),
    "start": ("starts.py", "SCHEMES: dict[str, Scheme] = {\n", '"mine": {},\n'),
    "optimizer": ("updates.py", "OPTIMIZERS: dict[str, Direction] = {\n", '"mine": {},\n'),
    "cause": ("verification/explain/wrong_products.py", "WEIGHTS = (\n", "{},\n"),
}
PAPER = '"""Mine."""\n\nPAPER = {"question": "Is it listed?", "minutes": 1, "rows": 1}\n'
CUBED = """
import numpy as np

def gradients(params, x, y):
    Z1 = x @ params.W1.T + params.b1
    dO2 = (np.maximum(Z1, 0) @ params.W2.T + params.b2 - y) / len(x)
    dZ1 = dO2 @ params.W2 * (Z1 > 0)
    return {"dW2": dO2.T @ np.maximum(Z1, 0), "db2": dO2.sum(0), "dW1": dZ1.T @ x**3, "db1": dZ1.sum(0)}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a module in a copy of the project that has all examples, each in one file; returns status and output."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("twolayer", "experiments"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (file, behind, form) in ENTRIES.items():
        path = root / "twolayer" / file
        before, line, after = path.read_text().partition(behind)
        assert line, f"{file} has no line {behind!r}"
        assert example(name), name  # it runs as it stands, with its imports
        path.write_text(before + line + form.format(code(name).split("entry = ")[1].strip()) + after)
    (root / "twolayer" / "datasets" / "prepared" / "rings.py").write_text(code("rings"))
    (root / "experiments" / "papers" / "mine2026.py").write_text(PAPER)
    (root / "cubed.py").write_text(CUBED)

    def call(module, *flags):
        command = (sys.executable, "-m", f"experiments.{module}", *flags)
        environment = os.environ | {"PYTHONPATH": str(root), "TWOLAYER_DATA_DIR": str(root / "data")}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return call


@pytest.mark.slow
def test_one_entry_is_all_that_training_takes(run):
    names = ("--dataset=rings", "--loss=pseudo_huber", "--activation=arctan_like", "--init=mine", "--optimizer=mine")
    status, said = run("train", *names, "--output=identity", "--hidden=16", "--nofigures", "--quiet", "--run_dir=run")
    assert status == 0 and "test accuracy" in said, said
    with open(ROOT / "twolayer" / "names.py") as file:
        assert "rings" not in file.read()


@pytest.mark.slow
def test_one_entry_is_all_that_its_verification_takes(run):
    names = ("--loss=pseudo_huber", "--activation=arctan_like", "--output=identity")
    status, said = run("verify", *names, "--precisions=float64", "--quiet")
    assert status == 0 and said.startswith("RIGHT"), said


@pytest.mark.slow
def test_one_row_is_all_that_a_cause_takes(run):
    status, said = run(
        "verify", "--derivation=cubed.py", "--loss=quadratic", "--output=identity", "--precisions=float64"
    )
    assert status == 1 and "is cubed" in said, said


@pytest.mark.slow
def test_one_script_is_all_that_a_published_result_takes(run):
    status, said = run("papers")
    assert status == 0 and "Is it listed?" in said, said

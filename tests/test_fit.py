"""Training from Python: the same bits as the script, sweeps that are their single runs, and results one can use."""

import dataclasses
import functools
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import scripts

import twolayer
from twolayer import own, settings
from twolayer.activations import Activation
from twolayer.datasets import DataError, Options
from twolayer.datasets import load as load_data
from twolayer.settings import FLAG_OF

DRAW = np.random.default_rng(5)
X = DRAW.normal(size=(90, 5)).astype(np.float32)
Y = (X @ DRAW.normal(size=(5, 3))).argmax(axis=1)
FEW = {"hidden_size": 8, "epochs": 4, "batch_size": 16}
SWISH = Activation("swish", "Z / (1 + np.exp(-Z))", "(1 + np.exp(-Z) * (1 + Z)) / (1 + np.exp(-Z)) ** 2")


def script(name, *flags):
    """Run a script of experiments/ quietly; returns the ended process."""
    status, out, err = scripts.run(name, "--quiet", "--nofigures", *flags)
    return subprocess.CompletedProcess(flags, status, out, err)


OWN = """
import jax
import jax.numpy as jnp
import optax
from twolayer.activations import Activation
from twolayer.starts import Scheme

swish = Activation("swish", "Z / (1 + np.exp(-Z))", "(1 + np.exp(-Z) * (1 + Z)) / (1 + np.exp(-Z)) ** 2", largest=40.0)
narrow = Scheme(lambda d, K: 1 / d, lambda K, C: 0.1 / K, output_bias=lambda C: 0.1)
direction = optax.scale_by_yogi()
adam = optax.adam(1e-3)
half = Activation("half", "np.tanh(Z)", "1 - O")


def huber(O2, y):
    e = O2 - y
    return jnp.where(abs(e) <= 1, e**2 / 2, abs(e) - 0.5).sum(axis=1), jnp.clip(e, -1, 1)


def wrong(O2, y):
    return huber(O2, y)[0], O2 - y


def flat(O2, y):
    return ((O2 - y) ** 2).sum() / 2, O2 - y


def unknown(O2, y):
    return jax.lax.linalg.schur(O2.T @ O2)[0].sum() + O2.sum(axis=1), O2 - y


def alone(O2, y):
    return ((O2 - y) ** 2).sum(axis=1) / 2


def leaves(O2, y):
    raise SystemExit(0)
"""


def test_fit_is_the_script_bit_for_bit_and_load_is_the_same_network(tmp_path):
    """With mathematics of one's own in all places, names for classes, and standardisation."""
    names = np.array(["ash", "oak", "yew"])[Y]
    np.savez(tmp_path / "a.npz", x=X, y=names)
    (tmp_path / "mine.py").write_text(OWN)
    of = {"loss": "huber", "activation": "swish", "output": "swish", "init": "narrow", "optimizer": "direction"}
    flags = [f"--{kind}={tmp_path / 'mine.py'}:{name}" for kind, name in of.items()]
    sizes = ("--hidden=8", "--epochs=4", "--batch_size=16", "--standardize", f"--dataset={tmp_path / 'a.npz'}")
    done = script("train", *flags, *sizes, f"--run_dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "3 classes ash, oak, yew (found from y)" in done.stdout
    assert done.stdout.count(" is right: ") == 5
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["own"]["loss"]["text"] == OWN and len(manifest["own"]["init"]["sha256"]) == 64

    mine: dict = {}
    exec(OWN, mine)
    entries = {kind: mine[name] for kind, name in of.items()} | {"init": flags[3].removeprefix("--init=")}
    entries["hidden_activation"] = entries.pop("activation")
    fitted = twolayer.fit(X, names, options=Options(standardize=True), **FEW, **entries)
    loaded = twolayer.load(tmp_path / "run")
    for name in ("W1", "b1", "W2", "b2"):
        np.testing.assert_array_equal(getattr(fitted.params, name), getattr(loaded.params, name))
    np.testing.assert_allclose(fitted.metrics["valid_loss"], loaded.metrics["valid_loss"], rtol=1e-6)
    assert loaded.predict(X).tolist() == fitted.predict(X).tolist() and set(loaded.labels) == {"ash", "oak", "yew"}
    again = (tmp_path / "mine.py").read_text().replace("0.5)", "0.50)")
    (tmp_path / "mine.py").write_text(again)
    manifest["status"] = "interrupted"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    changed = script("train", *flags, *sizes, f"--run_dir={tmp_path / 'run'}")
    assert changed.returncode == 1 and "was begun with another text of --loss=" in changed.stderr


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--loss=mine.py:wrong", ":wrong is wrong: the residual: dO2["),
        ("--activation=mine.py:half", ":half is wrong: the derivative: dZ["),
        ("--loss=mine.py:unknown", ":unknown is undecided: schur at mine.py"),
        ("--loss=mine.py:flat", "value must be (3,) and residual (3, 10), they are () and (3, 10)"),
        ("--loss=mine.py:alone", "alone gives an array of shape (3,); wanted is (value (m,), residual (m, C))"),
        ("--loss=mine.py:leaves", "cannot be computed (SystemExit: 0)"),
        ("--optimizer=mine.py:adam", "it has a learning rate in it"),
        ("--init=mine.py:none", "defines no none"),
        ("--output=mine.py:huber", "is function; wanted is a twolayer.activations.Activation"),
        ("--loss=no.py:huber", "cannot be read"),
        ("--target=y", "has no effect on --dataset=digits"),
    ],
)
def test_what_is_wrong_does_not_begin(flag, message, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    done = script("train", flag.replace("=mine", f"={tmp_path}/mine"), f"--run_dir={tmp_path / 'run'}")
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_a_file_that_exits_is_said_in_one_line(name, tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit(0)")
    sweep = ["--sweep=seed=0:2"] * (name == "sweep")
    done = script(name, f"--loss={tmp_path / 'mine.py'}:huber", f"--run_dir={tmp_path / 'run'}", *sweep)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "mine.py cannot be run (SystemExit: 0)" in done.stderr
    with pytest.raises(ValueError, match=r"cannot be run \(SystemExit: 0\)"):
        twolayer.fit(X, Y, loss=f"{tmp_path / 'mine.py'}:huber", **FEW)


def test_an_interrupt_in_a_file_stays_one():
    with pytest.raises(KeyboardInterrupt):
        own.from_text("loss", "mine.py:huber", "raise KeyboardInterrupt")


def test_a_sweep_takes_both_as_choices(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    done = script(
        *("sweep", f"--sweep=loss=quadratic,{tmp_path / 'mine.py'}:huber", "--sweep=seed=0:2", "--hidden=8"),
        *("--dataset=sklearn:iris", "--standardize", "--epochs=2", f"--run_dir={tmp_path / 'run'}"),
    )
    assert done.returncode == 0, done.stderr
    assert "4 networks" in done.stdout and "huber is right" in done.stdout
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["own"]["loss"]["text"] == OWN


def test_networks_of_a_sweep_are_those_of_fit():
    found = twolayer.sweep(X, Y, axes={"loss": ["cross_entropy", "quadratic"], "seed": [0, 3]}, **FEW)
    assert found.points[1] == {"loss": "cross_entropy", "seed": 3} and found.last("valid_loss").shape == (4,)
    for point, result in zip(found.points, found.results, strict=True):
        alone = twolayer.fit(X, Y, order_seed=0, **point, **FEW)
        np.testing.assert_allclose(result.params.W1, alone.params.W1, rtol=1e-4, atol=1e-5)
        assert result.settings.seed == point["seed"] and result.metrics["train_loss"].shape == (4,)
    apart = twolayer.sweep(X, Y, axes={"seed": [0, 3]}, share=False, **FEW)
    alone = twolayer.fit(X, Y, seed=3, **FEW)
    np.testing.assert_allclose(apart.results[1].params.W1, alone.params.W1, rtol=1e-4, atol=1e-5)


def test_a_second_fit_compiles_nothing():
    twolayer.fit(X, Y, **FEW)
    seen = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: seen.append(event))
    twolayer.fit(X, Y, learning_rate=0.02, seed=1, **FEW)
    assert not [event for event in seen if "backend_compile" in event]
    jax.jit(lambda a: a * 3.25)(np.float32(1))
    assert [event for event in seen if "backend_compile" in event]


def test_results_predict_in_the_units_of_the_data():
    y = 300 + 40 * X[:, 0]
    result = twolayer.fit(
        *(X, y), options=Options(standardize=True), loss="quadratic", output="identity", epochs=200, hidden_size=32
    )
    assert result.score(X, y) > 0.85 and abs(result.predict(X).mean() - 300) < 20
    assert result.predict(X).shape == (90,)
    with pytest.raises(ValueError, match="no probabilities"):
        result.probabilities(X)


def test_a_network_that_diverges_says_so_and_keeps_the_last_finite_parameters():
    result = twolayer.fit(X, Y, loss="quadratic", output="identity", optimizer="sgd", learning_rate=1e30, **FEW)
    assert result.status == "diverged" and np.isfinite(result.params.W1).all()
    assert all(len(column) < 4 for column in result.metrics.values())


def test_progress_and_early_stopping():
    seen = []
    result = twolayer.fit(X, Y, early_stopping=1, progress=lambda epoch, row: seen.append((epoch, row)), **FEW)
    assert seen[-1][0] == len(result.metrics["valid_loss"]) and seen[-1][1]["valid_loss"] > 0


MIXED = np.array(["a", 1] * 45, object)
REFUSED = {
    "no loss": (
        lambda: twolayer.fit(X, Y, loss=3),
        ValueError,
        "loss is int; wanted is a name, or a ",
    ),
    "no setting": (lambda: twolayer.fit(X, Y, hiden=3), TypeError, "'hiden' is no setting"),
    "an unknown loss": (lambda: twolayer.fit(X, Y, loss="hinge"), ValueError, "loss='hinge' is not known"),
    "an unknown precision": (lambda: twolayer.fit(X, Y, precision="half"), ValueError, "choose one of: float32"),
    "real targets": (lambda: twolayer.fit(X, X[:, 0]), ValueError, "needs classes; add loss='quadratic'"),
    "a NaN": (lambda: twolayer.fit(X * np.nan, Y), DataError, "row 1, input 0"),
    "an empty axis": (lambda: twolayer.sweep(X, Y, axes={"seed": []}), ValueError, "has no values"),
    "both": (lambda: twolayer.sweep(X, Y, axes={"seed": [0]}, seed=1), ValueError, "beside axes"),
    "no run": (lambda: twolayer.load("/nowhere"), DataError, "is not a finished run"),
    "no path": (lambda: twolayer.load(None), TypeError, "run_dir is NoneType; give the directory of a finished run"),
    "a flag": (lambda: twolayer.fit(X, Y, activation="relu"), TypeError, "'activation' is called hidden_activation"),
    "no options": (lambda: twolayer.fit(X, Y, options=3), TypeError, "options is int; give Options(...) or a mapping"),
    "no option": (lambda: twolayer.fit(X, Y, options={"share": 1}), TypeError, "'share' is no option; there are task"),
    "a wrong option": (lambda: twolayer.fit(X, Y, options={"split_seed": -1}), DataError, "split_seed=-1 cannot be"),
    "a wrong flag": (lambda: twolayer.fit(X, Y, options={"standardize": 3}), DataError, "standardize=3 cannot be"),
    "no part": (lambda: twolayer.fit(X, Y, valid=X), DataError, "valid is ndarray; give a pair of arrays, (x, y)"),
    "progress": (lambda: twolayer.fit(X, Y, progress=3), TypeError, "progress is int; give a function"),
    "mixed classes": (lambda: twolayer.fit(X, MIXED), DataError, "train y holds 1 and 'a'; give numbers alone"),
    "a mixed list": (lambda: twolayer.fit(X, MIXED.tolist()), DataError, "train y holds 1 and 'a'; give numbers alone"),
    "a class missing": (lambda: twolayer.fit(X, [None, "a"] * 45), DataError, "train y holds None; leave out"),
    "complex inputs": (lambda: twolayer.fit(X + 1j, Y), DataError, "train x holds complex numbers; give real ones"),
    "complex targets": (lambda: twolayer.fit(X, X + 1j), DataError, "train y holds complex numbers; give real ones"),
    "ragged": (lambda: twolayer.fit([[1], [1, 2]], [0, 1]), DataError, "train x is no array: its rows differ"),
    "one-hot": (lambda: twolayer.fit(X, np.eye(3)[Y]), ValueError, "add loss='quadratic', or give classes as whole"),
    "one-hot as classes": (
        lambda: twolayer.fit(X, np.eye(3)[Y], options={"task": "classes"}),
        DataError,
        "y has shape (90, 3); give classes as whole numbers or names (n,), y.argmax(axis=1) of one-hot rows",
    ),
    "no axes": (lambda: twolayer.sweep(X, Y, axes=[1]), TypeError, "axes is list; give a mapping"),
    "an axis of one": (lambda: twolayer.sweep(X, Y, axes={"seed": 3}), TypeError, "axes['seed'] is int; give a list"),
    "a text": (lambda: twolayer.sweep(X, Y, axes={"loss": "quadratic"}), TypeError, "axes['loss'] is str; give a list"),
    "a swept setting": (lambda: twolayer.sweep(X, Y, axes={"seed": [0, -1]}), ValueError, "seed=-1 cannot be used"),
}
OUTSIDE = {
    **{"hidden_size": [0, [12]], "epochs": [0, None, 2**31], "seed": [-1, 1.5, 2**40], "order_seed": [-1]},
    **{"learning_rate": [-1, np.nan, np.inf, [0.1], "a", 1j, np.array([0.1])], "momentum": [-7, 1.1]},
    **{"averaging": [-7, 1], "weight_decay": [-7], "init_scale": [-7], "early_stopping": [-7, True], "step_every": [0]},
    **{"step_factor": [2], "warmup_epochs": [-1], "batch_size": [0, 8.0], "output_bias": [np.inf]},
}
for name, value in [*((name, value) for name, some in OUTSIDE.items() for value in some), ("schedule", 3)]:
    call = functools.partial(twolayer.fit, X, Y, **{**FEW, name: value})
    REFUSED[f"{name}={value!r}"] = call, ValueError, f"{name}={value!r} cannot be used; give a "


@functools.cache
def classifier():
    return twolayer.fit(X, Y, **FEW)


@functools.cache
def regressor():
    return twolayer.fit(X, X[:, :2], loss="quadratic", output="identity", **FEW)


REFUSED |= {
    "predict no examples": (lambda: classifier().predict(X[:0]), ValueError, "at least one example, got shape (0, 5)"),
    "predict a text": (lambda: classifier().predict("a"), DataError, "x holds what is no number"),
    "predict a number": (lambda: classifier().predict(3), ValueError, "x must be (examples, inputs)"),
    "predict complex": (lambda: classifier().predict(X + 1j), DataError, "x holds complex numbers"),
    "score a few": (lambda: classifier().score(X, Y[:3]), ValueError, "x has 90 examples and y has shape (3,)"),
    "score one-hot": (lambda: classifier().score(X, np.eye(3)[Y]), ValueError, "for each example is shape (90,)"),
    "score a class": (lambda: classifier().score(X, Y + 1), ValueError, "y has the class 3, and this network knows 0,"),
    "score names": (lambda: classifier().score(X, Y.astype(str)), ValueError, "y has the class '0', and this network"),
    "score one target": (lambda: regressor().score(X, X[:, 0]), ValueError, "y has shape (90,)"),
    "score other targets": (
        lambda: regressor().score(X, X[:3]),
        ValueError,
        "y has shape (3, 5); a row of targets for",
    ),
    "score NaN": (lambda: regressor().score(X, X[:, :2] * np.nan), ValueError, "y must be finite numbers"),
}


def said(case):
    """The error of a case."""
    try:
        REFUSED[case][0]()
    except Exception as error:
        return type(error), str(error)


@functools.cache
def all_said():
    """What users see: the modes of the session would refuse wrong types before the package does."""
    return dict(zip(REFUSED, scripts.mapped(said, REFUSED), strict=True))


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_said_in_one_line(case):
    _, kind, words = REFUSED[case]
    found = all_said()[case]
    assert found and issubclass(found[0], kind) and words in found[1] and "\n" not in found[1], found


def test_settings_and_flags_have_the_same_bounds():
    assert set(OUTSIDE) == set(settings.BOUNDS)
    for name, (least, most) in settings.BOUNDS.items():
        flag = FLAG_OF.get(name, name)
        for end, beyond in ((least, -1), (most, 1)):
            if end is not None:
                assert getattr(dataclasses.replace(settings.DEFAULT, **{name: end}), name) == end
                done = script("train", f"--{flag}={end + beyond}")
                assert done.returncode == 1 and f"flag --{flag}={end + beyond}" in done.stderr, done.stderr


def plain(given):
    return settings.Settings(**given)


def test_numbers_of_other_libraries_are_taken():
    given = {"hidden_size": np.int64(8), "learning_rate": np.float32(0.5), "momentum": np.array(0.5)}
    [found] = scripts.mapped(plain, [given])
    assert found == settings.Settings(hidden_size=8, learning_rate=0.5, momentum=0.5)
    assert type(found.hidden_size) is int and type(found.learning_rate) is float


def test_numbers_in_an_array_of_objects_are_numbers():
    y = np.array((300 + X[:, 0]).tolist(), object)
    assert twolayer.fit(X, y, loss="quadratic", output="identity", **FEW).labels is None
    assert twolayer.fit(X, Y.astype(object), **FEW).labels.dtype.kind == "i"


def twice(O2, y):
    return ((O2 - y) ** 2).sum(axis=1), O2 - y


def refusal(name, wanted):
    """What a function of twolayer says."""
    try:
        getattr(twolayer, name)(X, Y, **wanted, **FEW)
    except ValueError as error:
        return str(error)


def test_a_wrong_loss_of_ones_own_is_not_trained():
    found = scripts.mapped(refusal, ["fit", "sweep"], [{"loss": twice}, {"axes": {"loss": ["quadratic", twice]}}])
    assert all(said.startswith("loss of one's own is wrong: the residual: dO2[") for said in found), found


def test_an_activation_of_ones_own_is_trained_alike_by_both_engines():
    both = [twolayer.fit(X, Y, hidden_activation=SWISH, gradient=g, **FEW) for g in ("closed_form", "autodiff")]
    np.testing.assert_allclose(both[0].params.W1, both[1].params.W1, rtol=1e-4, atol=1e-6)


def test_the_default_start_loses_no_class():
    """What he, a ReLU output and Adam without warm-up did in 20 of 20 networks."""
    data = load_data("digits")
    found = twolayer.sweep(
        data.train.x / 16, data.train.y, valid=(data.valid.x / 16, data.valid.y), axes={"seed": range(5)}, epochs=10
    )
    assert not found.last("lost_classes").any()


def test_the_library_the_script_and_fit_start_from_one_default():
    code = (
        "import dataclasses, inspect; from experiments.runtime.flags import flags as absl_flags\n"
        "from twolayer import loading, network, settings, training\n"
        "own, choices = settings.DEFAULT, training.Choices()\n"
        "assert inspect.signature(network.init).parameters['scheme'].default == own.init == 'alive'\n"
        "names = set(settings.NAMES) & {field.name for field in dataclasses.fields(choices)}\n"
        "assert len(names) > 10 and all(getattr(own, name) == getattr(choices, name) for name in names)\n"
        "flags = {name: absl_flags.FLAGS[loading.FLAG_OF.get(name, name)].default for name in settings.NAMES}\n"
        "assert settings.Settings(**flags) == own\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, check=True)


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, twolayer\n"
        "heavy = {'jax', 'numpy', 'sklearn', 'pyarrow', 'tensorflow_datasets', 'orbax', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules)\n"
        "twolayer.fit, twolayer.sweep, twolayer.load\n"
        "assert not (heavy - {'jax', 'numpy'}) & set(sys.modules)\n"
        "assert set(dir(twolayer)) >= {'fit', 'TwoLayerClassifier', 'closed_form'}\n"
        "import twolayer.verification.judge, twolayer.verification.rounding.program\n"
        "assert not (heavy - {'jax', 'numpy'} | {'scipy'}) & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, check=True)

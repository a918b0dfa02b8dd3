"""The flags of a training run, the directory that they name, and which of them have an effect.

They hold names and numbers only: importing this imports no JAX, so --help is quick.
"""

import hashlib
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from twolayer import own, updates
from twolayer.activations import ACTIVATIONS
from twolayer.command import choices
from twolayer.command.cli import BadInput, bad_input
from twolayer.formulas import FORMULAS, REDUCTIONS
from twolayer.names import DATASETS, GRADIENTS, MNIST_FAMILY, NORMS, OF_OWN_DATA
from twolayer.precisions import PRECISIONS
from twolayer.settings import BOUNDS, DEFAULT, FLAG_OF, is_whole
from twolayer.starts import SCHEMES

# Where these are given decides nothing about the numbers a run produces, so they may differ when it is continued.
PLACES = (
    *("run_dir", "source_dir", "data_dir", "quiet", "figures", "tensorboard"),
    *("checkpoint_every", "checkpoints_kept", "log_seconds", "start_timeout"),
    *("dry_run", "debug_nans", "compile_cache", "profile"),
    *("mesh", "distributed", "coordinator_address", "num_processes", "process_id"),  # up to rounding
)
# Many networks at once have none.
OF_ONE_RUN = ("tensorboard", "debug_nans", "profile", "checkpoint_every", "checkpoints_kept", "start_from")
# What a repetition of a run elsewhere has of its own.
NOT_REPEATED = ("run_dir", "json", "coordinator_address", "num_processes", "process_id", "start_timeout")


def _setting(name: str, text: str, table: Iterable[str] | None = None) -> None:
    """The flag of a setting, with its default and its bounds.

    Args:
      text: what it decides.
      table: of names, if it is one.
    """
    flag, default = FLAG_OF.get(name, name), getattr(DEFAULT, name)
    if table is None:
        define: Callable = flags.DEFINE_integer if is_whole(name) else flags.DEFINE_float
        define(flag, default, text, lower_bound=BOUNDS[name].least, upper_bound=BOUNDS[name].most)
    elif flag in own.FORMS:
        choices.define(flag, default, table, text)
    else:
        flags.DEFINE_enum(flag, default, table, text)


# Data
_EMBEDDED = "digits is embedded; teacher is synthetic regression."
choices.define("dataset", "digits", DATASETS, _EMBEDDED, choices.OWN_DATA)
flags.DEFINE_string("target", None, "One's own table: the column to predict, or several of a regression, a,b.")
flags.DEFINE_enum("task", None, ["classes", "regression"], "One's own data: what y holds [found from y].")
flags.DEFINE_bool("standardize", None, "One's own data: inputs and real targets get mean 0, deviation 1 in training.")
_SHARE = {"lower_bound": 0, "upper_bound": 0.99}
flags.DEFINE_float(
    "valid_share", None, "One's own data: drawn for validation, if it has no such part [0.15].", **_SHARE
)
flags.DEFINE_float("test_share", None, "One's own data: drawn for the test, if it has no such part [0.15].", **_SHARE)
flags.DEFINE_integer("split_seed", None, "One's own data: decides which examples these are [0].", lower_bound=0)
flags.DEFINE_string("source_dir", None, "Folder with the four original .gz archives of an MNIST-family data set.")
flags.DEFINE_string("data_dir", None, "Where downloads go and prepared arrays are kept [~/.cache/twolayer].")
flags.DEFINE_integer("teacher_inputs", 64, "teacher: inputs d.", lower_bound=1)
flags.DEFINE_integer("teacher_hidden", 32, "teacher: hidden units K.", lower_bound=1)
flags.DEFINE_integer("teacher_outputs", 10, "teacher: outputs C; 1 is scalar regression.", lower_bound=1)
flags.DEFINE_integer("teacher_train", 10000, "teacher: training examples.", lower_bound=1)
flags.DEFINE_integer("teacher_valid", 2000, "teacher: validation examples.", lower_bound=1)
flags.DEFINE_integer("teacher_test", 2000, "teacher: test examples.", lower_bound=1)
flags.DEFINE_float("teacher_noise", 0.1, "teacher: standard deviation of the noise.", lower_bound=0)
flags.DEFINE_enum("teacher_output", "relu", ["relu", "identity"], "teacher: activation of its output.")
flags.DEFINE_integer("teacher_seed", 0, "teacher: decides its weights, examples and noise.", lower_bound=0)
flags.DEFINE_integer("train_examples", None, "Train on the first so many examples [all].", lower_bound=1)
flags.DEFINE_integer("valid_examples", None, "Validate on the first so many examples [all].", lower_bound=1)
flags.DEFINE_float(
    "label_noise", 0.0, "Share of the training labels to draw anew from all classes.", lower_bound=0, upper_bound=1
)
flags.DEFINE_integer("label_noise_seed", 0, "Decides which labels, and what they become.", lower_bound=0)

# Distortions of training images, drawn afresh each epoch; see twolayer/distortions.py
flags.DEFINE_float("elastic", 0.0, "Strength alpha of the elastic field [none]; Simard's is 34.", lower_bound=0)
flags.DEFINE_float("elastic_sigma", 4.0, "Pixels: deviation of the field's blur.", lower_bound=0.01, upper_bound=1000)
flags.DEFINE_enum("elastic_norm", "unit", NORMS, "What the field is scaled to before alpha.")
flags.DEFINE_float("rotation", 0.0, "Radians: at most.", lower_bound=0)
flags.DEFINE_float("scaling", 0.0, "Share of the size: at most, in each direction.", lower_bound=0, upper_bound=0.99)
flags.DEFINE_float("shear", 0.0, "Pixels from one row to the next: at most.", lower_bound=0)
flags.DEFINE_float("shift", 0.0, "Pixels: at most, in each direction.", lower_bound=0)

# Network
_setting("hidden_size", "Hidden units K.")
_setting("output", "Activation of the output: relu is the author's equation.", ACTIVATIONS)
_setting("hidden_activation", "Activation of the hidden layer.", ACTIVATIONS)
_setting("init", "Initialisation; alive starts every output of a ReLU layer above zero.", SCHEMES)
_setting("init_scale", "Multiplies all initial weights.")
flags.DEFINE_string("start_from", None, "Finished run to start from; more hidden units are drawn as by --init.")
_setting("output_bias", "Initial b2 [that of --init: 1/C for alive, else 0].")

# Loss and gradient
LOSS_HELP = "quadratic: 1/2 ||O2 - y||^2, y one-hot for classes; binary_cross_entropy: of sigmoids, on identity."
_setting("loss", LOSS_HELP, FORMULAS)
_setting("reduction", "Over the examples of a batch.", REDUCTIONS)
_setting("gradient", "Back-propagation by hand, or by jax.grad.", GRADIENTS)
_setting("precision", "bfloat16 computes in it and keeps float32 parameters.", PRECISIONS)

# Optimisation
_setting("optimizer", "Optimiser.", updates.OPTIMIZERS)
_setting("learning_rate", "Peak learning rate [the optimiser's own].")
_setting("momentum", "Momentum, or beta_1 of Adam's family and Lion.")
_setting("weight_decay", "On W1, W2; decoupled in adamw and lion, else L2 [the optimiser's own].")
_setting("schedule", "Shape of the learning rate.", updates.SCHEDULES)
_setting("warmup_epochs", "Epochs of rising rate [a tenth of the run, at most 1].")
_setting("step_every", "step, inverse_sqrt: epochs between drops.")
_setting("step_factor", "step schedule: what a drop multiplies by.")
_AVERAGING = "Decay of a moving average of the parameters, like 0.999; the average is validated and saved [none]."
_setting("averaging", _AVERAGING)
_setting("batch_size", "Examples a step.")
_setting("epochs", "Passes over the training set.")
_setting("early_stopping", "Epochs without a lower validation loss to stop after [never].")
_setting("seed", "Decides the initial parameters and the data order.")
_setting("order_seed", "Decides the data order, if --seed is not to.")

# Run
MEASURES = ["norms", "sharpness"]
_MEASURE = "After each epoch, beside the scores: norms (of weights and gradients), sharpness (top Hessian eigenvalue)."
flags.DEFINE_list("measure", [], _MEASURE)
flags.register_validator("measure", lambda names: set(names) <= set(MEASURES), f"give some of {','.join(MEASURES)}")
flags.DEFINE_string("run_dir", None, "Where the run goes [runs/, named after the flags].")
_EVERY = "Epochs between checkpoints; a signal saves one too [by time: every 10 s, less often where they are slow]."
flags.DEFINE_integer("checkpoint_every", None, _EVERY, lower_bound=1)
flags.DEFINE_integer("checkpoints_kept", 2, "How many; of a damaged one the one before is used.", lower_bound=1)
flags.DEFINE_bool("figures", True, "Draw the figures at the end.")
flags.DEFINE_bool("tensorboard", False, "Write TensorBoard event files too; needs pip install -e '.[tensorboard]'.")
flags.DEFINE_bool("dry_run", False, "Say what the run would take (shapes, memory, operations), and stop.")
flags.DEFINE_bool("debug_nans", False, "Of a run that diverges, name the step and the first number that is not finite.")
flags.DEFINE_string("compile_cache", None, "Folder to keep compiled programs in; nobody else may have access to it.")
flags.DEFINE_bool("profile", False, "Write a trace of the training for TensorBoard or Perfetto.")
flags.DEFINE_string(
    "mesh",
    None,
    "Devices by what they share: data=2,hidden=4 splits batches in 2 and hidden units in 4; nets splits the networks "
    "of a sweep [one device; all of several processes, by hidden, or by nets].",
)
flags.DEFINE_enum("distributed", "auto", ["auto", "on", "off"], "Whether this is one of several processes.")
flags.DEFINE_string("coordinator_address", None, "HOST:PORT of the first process [Slurm, Open MPI, TPU: detected].")
flags.DEFINE_integer("num_processes", None, "How many processes [detected].", lower_bound=1)
flags.DEFINE_integer("process_id", None, "Which of them this is, from 0 [detected].", lower_bound=0)
flags.DEFINE_integer("start_timeout", 300, "Seconds to wait for the other processes at the start.", lower_bound=1)
flags.DEFINE_bool("quiet", False, "No progress bar, even at a terminal: lines, as in a log.")
flags.DEFINE_float("log_seconds", 30.0, "Seconds between lines of progress where there is no bar.", lower_bound=0.01)


def given(some: Sequence[str]) -> str | None:
    """The first of these flags that is not at its default."""
    return next((name for name in some if flags.FLAGS[name].value != flags.FLAGS[name].default), None)


def names() -> list[str]:
    """The flags defined here, sorted."""
    return sorted(flag.name for flag in flags.FLAGS.flags_by_module_dict()[__name__])


def values() -> dict[str, Any]:
    """Every flag defined here with its value: all that a run is a function of, besides code and machine.

    Raises:
      RuntimeError: the flags have not been read, as in a notebook.
    """
    if not flags.FLAGS.is_parsed():
        raise RuntimeError("this is a script, and no flags were read; in Python call the functions of twolayer instead")
    return {name: flags.FLAGS[name].value for name in names()}


def as_file() -> str:
    """The flags of this script with their values as lines for --flagfile, without those that are not repeated."""
    known = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    lines = [flag.serialize() for flag in sorted(known, key=lambda flag: flag.name) if flag.name not in NOT_REPEATED]
    return "".join(f"{line}\n" for line in lines if line)


def default_path(given: Mapping[str, Any], ignore: Sequence[str] = (), kind: str = "") -> pathlib.Path:
    """A readable name for these flags with a hash of all of them: other flags, another directory.

    Args:
      kind: what it is, if not a run of one network: stands first.
    """
    later = ("target", *OF_OWN_DATA)  # flags that came later count where they are given: older runs are found
    absent = {name for name in later if given.get(name) is None}
    relevant = {name: value for name, value in given.items() if name not in ignore and name not in absent}
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:8]
    names = (pathlib.Path(str(given[name])).name.replace(":", "-") for name in ("dataset", "loss", "output"))
    parts = (kind, *names, f"K{given['hidden']}", f"seed{given['seed']}", digest)
    return pathlib.Path("runs") / "-".join(filter(None, parts))


# What a flag depends on: flags, the flag that decides whether they have an effect, and at which of its values.
USED = (
    (("momentum",), "optimizer", lambda name: updates.find("optimizer", own.entry_of("optimizer", name)).momentum),
    (("step_every",), "schedule", lambda name: name in updates.STEPPED),
    (("step_factor",), "schedule", lambda name: name == "step"),
    ([name for name in names() if name.startswith("teacher_")], "dataset", lambda name: name == "teacher"),
    (("source_dir",), "dataset", lambda name: name in MNIST_FAMILY),
    (("label_noise_seed",), "label_noise", bool),
    (("elastic_sigma", "elastic_norm"), "elastic", bool),
    (("output_bias",), "start_from", lambda path: path is None),
)


def _unused(given: Mapping[str, Any]) -> dict[str, str]:
    """The flags that have been changed and have no effect beside the others, as USED says, each with a sentence."""
    found = {}
    for some, decides, has_effect in USED:
        for name in some:
            changed = name in given and given[name] != flags.FLAGS[name].default
            if changed and not has_effect(given[decides]):
                found[name] = f"--{name} has no effect on --{decides}={given[decides]}; change either, or leave it out"
    return found


def check_used(given: Mapping[str, Any], points: Sequence[Mapping[str, Any]] = ({},)) -> None:
    """Raise BadInput if a swept flag has no effect on one of the networks, or another flag on any of them.

    Args:
      points: the swept values of each network; one network of these flags has none.
    """
    known = {name for some, decides, _ in USED for name in (*some, decides)}
    different = {tuple((name, point[name]) for name in point if name in known): point for point in points}
    with bad_input(ValueError):  # of an optimiser of one's own
        found = [_unused({**given, **point}) for point in different.values()]
    for point, sentences in zip(different.values(), found, strict=True):
        for name in sentences.keys() & point.keys():
            raise BadInput(sentences[name])
    for name in set.intersection(*map(set, found)):
        raise BadInput(found[0][name])

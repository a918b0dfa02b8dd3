"""Strictness for every test: annotated shapes are checked, and nothing is broadcast or rounded in silence."""

import gc
import os
import shutil
import sys
import tempfile

# One folder of compiled programs for all processes of a session, those of the scripts too. JAX reads where it is when
# it is imported, and the workers of a session inherit it.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    PROGRAMS = tempfile.mkdtemp(prefix="twolayer-tests-")
    os.environ |= {"JAX_COMPILATION_CACHE_DIR": PROGRAMS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}
else:
    PROGRAMS = None  # another process of the session, or the user, has made it

# Programs are small here and run a few times. With XLA's optimizations of code they compile for five times as long, and
# in parts, for the threads of a compiler that has the machine to itself, a third longer.
if "XLA_FLAGS" not in os.environ:
    QUICK = "backend_optimization_level=0 cpu_use_fusion_emitters=false cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = " ".join(f"--xla_{flag}" for flag in QUICK.split())

# As many processes as cores: threads of BLAS would only wait for each other, and they wait by spinning.
if "OMP_NUM_THREADS" not in os.environ:
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import jaxtyping

# Before anything imports the package: from here on every call checks its arguments against their annotations. An int
# will do for a float, as it does for type checkers.
jaxtyping.install_import_hook("twolayer", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
_checked = jaxtyping.jaxtyped


# What a verdict calls a hundred thousand times: no annotation in there names a shape, and types are checked by pyright.
# Nor is the command checked, which has streams and no arrays.
UNCHECKED = ("twolayer.command", "twolayer.verification.problem")
UNCHECKED += tuple(f"twolayer.verification.{name}" for name in ("evidence", "explain", "numbers", "programs"))


def _checked_but_for_verdicts(**options):
    """What the hook decorates functions and classes with."""

    def decorate(function):
        return function if function.__module__.startswith(UNCHECKED) else _checked(**options)(function)

    return decorate


jaxtyping.jaxtyped = _checked_but_for_verdicts

import absl.flags  # noqa: E402
import hypothesis  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import pytest  # noqa: E402

_define = absl.flags.FlagValues.__setitem__


def _define_again(self, name, flag):
    """Scripts have flags of one name, and a session imports several scripts for their functions."""
    flag.allow_override = True
    _define(self, name, flag)


absl.flags.FlagValues.__setitem__ = _define_again

jax.config.update("jax_numpy_rank_promotion", "raise")
# The default on GPU (TF32) and TPU (bfloat16) keeps three digits of a float32 product.
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(autouse=True)
def _no_rounded_literals():
    """What one test has met in the code of its functions is nothing to the next; a verdict begins without it too."""
    literals = sys.modules.get("twolayer.verification.numbers.literals")
    if literals is not None:
        literals.rounded.clear()


# The same examples in every run, so a red test stays red; no deadline, because each new shape compiles.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")


# Files whose tests run scripts in processes of their own, or measure: half of all the time, and all of them slow. The
# longest come first: begun first, none of them is worked off by one process at the end.
SLOW = (
    *("test_sweep_script", "test_papers", "test_processes", "test_train", "test_resume", "test_endurance"),
    *("test_benchmark", "test_verify_script", "test_devices", "test_faults", "test_launch", "test_interrupts"),
    *("test_people", "test_own_page", "test_packaging"),
    *("test_accelerator", "test_own_data", "test_papers_nielsen", "test_papers_chizat", "test_papers_safran"),
    *("test_scaling", "test_output_relu", "test_verify_benchmark", "test_speed", "test_fit", "test_predict"),
)

# The longest of the others, which come next for the same reason.
LONG = ("test_verify", "test_sweeps", "test_custom_rules", "test_gradients", "test_training", "test_derivations")


def pytest_configure(config):
    """Workers take files in this order, not by how many tests they have."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config, items):
    """Slow files first. With 64-bit types on everywhere, leave out the tests that switch them on themselves."""
    place = {name: number for number, name in enumerate((*SLOW, *LONG))}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker("slow")
    if jax.config.jax_enable_x64:
        repeated = [item for item in items if "float64" in item.fixturenames]
        items[:] = [item for item in items if item not in repeated]
        config.hook.pytest_deselected(items=repeated)


def pytest_collection_finish():
    """What was imported is searched for cycles no more: it is most of what there is."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    if PROGRAMS:
        shutil.rmtree(PROGRAMS, ignore_errors=True)


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def float64():
    """Switches float64 on where the run has it off."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each precision in turn, whichever is the default of the run."""
    with jax.enable_x64(request.param == "float64" or jax.config.jax_enable_x64):
        yield jnp.dtype(request.param)


@pytest.fixture
def strict_dtypes():
    """Mixing two dtypes raises. Not for whole training steps: optax multiplies integers with floats."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def as_users_call_it(monkeypatch):
    """Without the annotation checks, which would speak before the package's own errors."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)

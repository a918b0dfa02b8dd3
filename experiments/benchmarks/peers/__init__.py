"""Who is timed beside us, by `experiments.benchmarks.speed` and on a device by `accelerator`: classes of this form.

    class Peer:
        def __init__(self, problem): ...    once, not timed warm: data resident, model built, start from problem.W1 ...
        def epoch(self, index): ...         one pass in the order problem.orders[index]; returns when it is finished
        def parameters(self): ...           W1 (K, d), b1 (K,), W2 (C, K), b2 (C,) as NumPy arrays

`epoch` is all that is ever timed, and the gate runs the same `epoch` on a few batches with a ragged last one. Each
competitor has a process of its own, so thread pools do not meet; its library is imported there and nowhere else.
"""

from typing import NamedTuple


class Competitor(NamedTuple):
    """One row of a table, and where its class is."""

    target: str  # module:class
    label: str
    library: str = "jax"  # a name of INSTALL
    output: str | None = None  # the only output activation it has; None is whatever was asked for
    remark: str = ""  # what a reader of its row must know
    networks: int = 1  # trained at once; times are those of one
    limit: float | None = None  # seconds that an answer may take, if not as many as everyone's
    cuda: bool = False  # only there
    flags: str = ""  # XLA_FLAGS of its process


BENCH = "pip install -e '.[bench]'"
INSTALL = {"jax": "pip install -e .", "torch": BENCH}  # what to do where a library is missing
LIMIT_SECONDS = 120.0  # for an answer: to be ready, to train an epoch, to have a turn
IN_JAX, IN_TORCH, PRODUCTS = (f"{__name__}.{name}" for name in ("jax_forms", "torch_forms", "gemms"))
OURS = "ours"
SKIPS = "skips inputs that are always 0"

COMPETITORS: dict[str, Competitor] = {
    OURS: Competitor(f"{IN_JAX}:ClosedForm", "twolayer, closed form", remark=SKIPS),
    "autodiff": Competitor(f"{IN_JAX}:Autodiff", "twolayer, autodiff", remark=SKIPS),
    "dense": Competitor(f"{IN_JAX}:Dense", "twolayer, every input"),
    "jax_loop": Competitor(f"{IN_JAX}:Loop", "JAX, one jitted step at a time"),
    "torch_eager": Competitor(f"{IN_TORCH}:Eager", "PyTorch eager, resident", "torch"),
    "torch_compile": Competitor(f"{IN_TORCH}:Compiled", "PyTorch compiled, resident", "torch", limit=300.0),
    "torch_loader": Competitor(f"{IN_TORCH}:Loader", "PyTorch eager, DataLoader", "torch"),
    "sklearn": Competitor(
        f"{__name__}.sklearn_mlp:Classifier",
        "scikit-learn MLPClassifier",
        output="identity",
        remark="its own network: no output ReLU",
    ),
}

# Many networks at once, timed only if asked for by name.
NETWORKS = 64
TOGETHER: dict[str, Competitor] = {
    "stack": Competitor(f"{IN_JAX}:Stack", f"twolayer, {NETWORKS} networks at once", remark=SKIPS, networks=NETWORKS),
    "torch_vmap": Competitor(f"{IN_TORCH}:Vmap", f"torch.func.vmap, {NETWORKS} at once", "torch", networks=NETWORKS),
}

# The limit: the step's matrix products alone, in each library that may be the fastest at them.
LIMIT = "limit"
GEMMS: dict[str, Competitor] = {
    "numpy": Competitor(f"{PRODUCTS}:NumPy", "products in NumPy"),
    "torch": Competitor(f"{PRODUCTS}:Torch", "products in PyTorch", "torch"),
    "xla": Competitor(f"{PRODUCTS}:XLA", "products in XLA"),
}

# Their fastest row is the one to beat.
TORCH = ("torch_eager", "torch_compile", "torch_loader")

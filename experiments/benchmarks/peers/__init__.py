"""What `experiments.benchmarks.speed` compares: one file per competitor, each with a class of this form.

    class Peer:
        def __init__(self, problem): ...    once, not timed warm: data resident, model built, start from problem.W1 ...
        def epoch(self, index): ...         one pass in the order problem.orders[index]; returns when it is finished
        def parameters(self): ...           W1 (K, d), b1 (K,), W2 (C, K), b2 (C,) as NumPy arrays

`epoch` is all that is ever timed, and the gate runs the same `epoch` on a few batches with a ragged last one. Each
competitor has a process of its own, so thread pools do not meet; its library is imported there and nowhere else.
"""

from typing import NamedTuple


class Competitor(NamedTuple):
    """One row of the table, and where its class is."""

    target: str  # module:class
    label: str
    install: str = "pip install -e ."  # what to do where its library is missing
    output: str | None = None  # the only output activation it has; None is whatever was asked for
    remark: str = ""  # what a reader of its row must know
    networks: int = 1  # trained at once; times are those of one
    limit: float = 120.0  # seconds that an answer may take: to be ready, to train an epoch, to have a turn


BENCH = "pip install -e '.[bench]'"
OURS = "ours"
SKIPS = "skips inputs that are always 0"

COMPETITORS: dict[str, Competitor] = {
    OURS: Competitor("experiments.benchmarks.peers.jax_forms:ClosedForm", "twolayer, closed form", remark=SKIPS),
    "autodiff": Competitor("experiments.benchmarks.peers.jax_forms:Autodiff", "twolayer, autodiff", remark=SKIPS),
    "dense": Competitor("experiments.benchmarks.peers.jax_forms:Dense", "twolayer, every input"),
    "jax_loop": Competitor("experiments.benchmarks.peers.jax_forms:Loop", "JAX, one jitted step at a time"),
    "torch_eager": Competitor("experiments.benchmarks.peers.torch_forms:Eager", "PyTorch eager, resident", BENCH),
    "torch_compile": Competitor(
        "experiments.benchmarks.peers.torch_forms:Compiled", "PyTorch compiled, resident", BENCH, limit=300.0
    ),
    "torch_loader": Competitor("experiments.benchmarks.peers.torch_forms:Loader", "PyTorch eager, DataLoader", BENCH),
    "sklearn": Competitor(
        "experiments.benchmarks.peers.sklearn_mlp:Classifier",
        "scikit-learn MLPClassifier",
        output="identity",
        remark="its own network: no output ReLU",
    ),
}

# Many networks at once, timed only if asked for by name.
NETWORKS = 64
TOGETHER: dict[str, Competitor] = {
    "stack": Competitor(
        "experiments.benchmarks.peers.jax_forms:Stack",
        f"twolayer, {NETWORKS} networks at once",
        remark=SKIPS,
        networks=NETWORKS,
    ),
    "torch_vmap": Competitor(
        "experiments.benchmarks.peers.torch_forms:Vmap",
        f"torch.func.vmap, {NETWORKS} at once",
        BENCH,
        networks=NETWORKS,
    ),
}

# The limit: the step's matrix products alone, in each library that may be the fastest at them.
LIMIT = "limit"
GEMMS: dict[str, Competitor] = {
    "numpy": Competitor("experiments.benchmarks.peers.gemms:NumPy", "products in NumPy"),
    "torch": Competitor("experiments.benchmarks.peers.gemms:Torch", "products in PyTorch", BENCH),
    "xla": Competitor("experiments.benchmarks.peers.gemms:XLA", "products in XLA"),
}

# Their fastest row is the one to beat.
TORCH = ("torch_eager", "torch_compile", "torch_loader")

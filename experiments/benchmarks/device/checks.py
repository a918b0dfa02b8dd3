"""The checks of an accelerator, most worth first: what is called, with which arguments, in whose process, how long.

    a   is it right?        gradients, XLA's known errors, the same bits twice, a checkpoint from a CPU
    b   one network         by width, batch and precision, beside PyTorch eager, compiled, and as CUDA graphs
    c   many networks       beside torch.func.vmap
    d   a wide network      its step, and its memory beside the estimate
    e   the data path       its share of an epoch
    f   a profile           the slowest operations, of ours and of the fastest peer
    l   limits              matrix products alone, and memory copied

The order is that of a machine lent for minutes: what decides first, the rest of each table after that.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

LETTERS = "abcdefl"
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
ROOT, PEERS = "experiments.benchmarks.device", "experiments.benchmarks.peers"


class Case(NamedTuple):
    """One row: a call in the process of a library."""

    check: str  # one of LETTERS
    name: str
    call: str  # module:function
    arguments: dict[str, Any]
    library: str = "jax"  # jax, torch or scripts: the cases of one share a process
    limit: float = 40.0  # seconds
    alone: bool = False  # in a process of its own
    flags: str = ""  # XLA_FLAGS; not empty only with `alone`
    facts: dict[str, Any] = {}  # what the row says besides  # noqa: RUF012


class Sizes(NamedTuple):
    """The sizes of all checks: those of a GPU, or those of a test on a CPU."""

    hidden: tuple[int, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    corners: tuple[tuple[int, int, str], ...]  # hidden, batch and precision of what is looked at closely
    examples: int  # of an epoch
    seconds: float  # that epochs of a case are timed
    gradients: tuple[int, int]  # hidden, batch
    patterns: tuple[tuple[int, int, int], ...]  # m, d, K
    networks: tuple[tuple[int, int], ...]  # N, K of many at once
    wide: int
    square: int  # of the largest product
    megabytes: int  # that no cache holds
    runs: tuple[str, ...]  # flags of the training script: some seconds on a CPU


FULL = Sizes(
    hidden=(128, 800, 4096, 32768),
    batches=(128, 8192),
    precisions=PRECISIONS,
    corners=((128, 128, "float32"), (32768, 8192, "bfloat16")),
    examples=50_000,
    seconds=1.5,
    gradients=(512, 256),
    patterns=((128, 784, 128), (4096, 784, 4096), (512, 2048, 512)),
    networks=((1000, 128), (64, 32)),
    wide=1_000_000,
    square=8192,
    megabytes=1024,
    runs=(
        *("--dataset=teacher", "--teacher_train=50000", "--loss=quadratic", "--hidden=2048"),
        *("--optimizer=sgd", "--learning_rate=0.02", "--epochs=12"),
    ),
)
SMALL = Sizes(
    hidden=(16,),
    batches=(32,),
    precisions=("float32", "bfloat16"),
    corners=((16, 32, "float32"),),
    examples=320,
    seconds=0.05,
    gradients=(16, 8),
    patterns=((16, 48, 16),),
    networks=((3, 16),),
    wide=2000,
    square=64,
    megabytes=1,
    runs=("--hidden=64", "--epochs=400", "--checkpoint_every=25"),
)


class Competitor(NamedTuple):
    """Who takes a step."""

    label: str
    target: str
    library: str = "torch"
    cuda: bool = False  # only there
    flags: str = ""
    limit: float = 40.0


GRAPHED = "--xla_gpu_enable_command_buffer=+WHILE"
OURS = "ours"
COMPETITORS = {
    OURS: Competitor("twolayer", f"{PEERS}.jax_forms:ClosedForm", "jax"),
    "graph": Competitor("PyTorch, a step as a CUDA graph", f"{PEERS}.torch_forms:Graph", cuda=True),
    "eager": Competitor("PyTorch eager", f"{PEERS}.torch_forms:Eager"),
    "compiled": Competitor("torch.compile", f"{PEERS}.torch_forms:Compiled", limit=90),
    "compiled_graph": Competitor("torch.compile as a CUDA graph", f"{PEERS}.torch_forms:CompiledGraph", "torch", True),
    "loop": Competitor("twolayer, its loop as a CUDA graph", f"{PEERS}.jax_forms:ClosedForm", "jax", True, GRAPHED),
    "unrolled": Competitor(
        "twolayer, its loop unrolled into a CUDA graph",
        *(f"{PEERS}.jax_forms:ClosedForm", "jax", True),
        f"{GRAPHED} --xla_gpu_command_buffer_unroll_loops=true",
    ),
}
MANY = {
    OURS: Competitor("twolayer", f"{PEERS}.jax_forms:Stack", "jax", limit=60),
    "vmap": Competitor("torch.func.vmap", f"{PEERS}.torch_forms:Vmap", limit=60),
}


def cases(sizes: Sizes, platform: str) -> list[Case]:
    """All of them in order, without those that need CUDA where there is none; no two have one name."""
    found: dict[tuple[str, str], Case] = {}
    for case in _all(sizes, platform == "gpu"):
        found.setdefault((case.check, case.name), case)
    return list(found.values())


def _all(sizes: Sizes, cuda: bool) -> Iterator[Case]:
    yield from _right(sizes)
    for corner in sizes.corners:
        yield from (_step(sizes, name, *corner) for name in (OURS, "graph", "eager") if _here(name, cuda))
    yield from (_many(sizes, name, *sizes.networks[0], sizes.precisions[-1]) for name in MANY)
    yield from _whole_runs(sizes)
    yield from _limits(sizes)
    yield _wide(sizes, "sgd")
    yield from _inside(sizes, cuda)
    for corner in sizes.corners:
        yield from (_step(sizes, name, *corner) for name in COMPETITORS if _here(name, cuda))
    yield from _tables(sizes, cuda)
    yield _wide(sizes, "adamw")


def _right(sizes: Sizes) -> Iterator[Case]:
    K, m = sizes.gradients
    for precision in (*sizes.precisions, "float64"):
        arguments = {"precision": precision, "hidden": K, "batch_size": m}
        yield Case("a", f"gradients, {precision}", f"{ROOT}.correctness:gradient_errors", arguments, limit=60)
    for name in ("scaled_bias", "transposed_bias"):
        arguments = {"sizes": sizes.patterns}
        yield Case("a", f"XLA's error: {name.replace('_', ' ')}", f"{ROOT}.correctness:{name}", arguments)


def _whole_runs(sizes: Sizes) -> Iterator[Case]:
    for name, words in (("repeated", "the same bits twice"), ("continued", "a checkpoint from a CPU")):
        yield Case("a", words, f"{ROOT}.runs:{name}", {"flags": sizes.runs}, "scripts", limit=90)


def _here(name: str, cuda: bool) -> bool:
    return cuda or not COMPETITORS[name].cuda


def _step(sizes: Sizes, name: str, hidden: int, batch: int, precision: str) -> Case:
    who = COMPETITORS[name]
    arguments = {"target": who.target, "hidden": hidden, "batch_size": batch, "precision": precision}
    arguments |= {"examples": sizes.examples, "seconds": sizes.seconds}
    row = f"{who.label}, K = {hidden}, batch {batch}, {precision}"
    own = {"who": name, "label": who.label}
    return Case(
        "b", row, f"{ROOT}.steps:time_steps", arguments, who.library, who.limit, bool(who.flags), who.flags, own
    )


def _many(sizes: Sizes, name: str, networks: int, hidden: int, precision: str) -> Case:
    who, batch = MANY[name], sizes.batches[0]
    arguments = {"target": who.target, "hidden": hidden, "batch_size": batch, "precision": precision}
    arguments |= {"networks": networks, "examples": sizes.examples, "seconds": sizes.seconds}
    row = f"{who.label}, {networks} networks, K = {hidden}, batch {batch}, {precision}"
    own = {"who": name, "label": who.label}
    return Case("c", row, f"{ROOT}.steps:time_steps", arguments, who.library, who.limit, facts=own)


def _limits(sizes: Sizes) -> Iterator[Case]:
    for hidden, batch, precision in sizes.corners:
        arguments = {"hidden": hidden, "batch_size": batch, "precision": precision}
        name = f"products, K = {hidden}, batch {batch}, {precision}"
        yield Case("l", name, f"{ROOT}.steps:products", arguments, limit=60)
    for precision in sizes.precisions:
        arguments = {"size": sizes.square, "megabytes": sizes.megabytes, "precision": precision}
        yield Case("l", f"rates, {precision}", f"{ROOT}.steps:rates", arguments)


def _wide(sizes: Sizes, optimizer: str) -> Case:
    arguments = {"hidden": sizes.wide, "batch_size": sizes.batches[0], "precision": "bfloat16", "optimizer": optimizer}
    name = f"K = {sizes.wide}, bfloat16, {optimizer}"
    return Case("d", name, f"{ROOT}.runs:wide", arguments, limit=90, alone=True)


def _inside(sizes: Sizes, cuda: bool) -> Iterator[Case]:
    shapes = [dict(zip(("hidden", "batch_size", "precision"), corner, strict=True)) for corner in sizes.corners]
    for shape in shapes:
        own = shape | {"examples": sizes.examples}
        row = f"K = {shape['hidden']}, batch {shape['batch_size']}, {shape['precision']}"
        yield Case("f", f"twolayer, {row}", f"{ROOT}.inside:profile", own)
        yield Case("e", row, f"{ROOT}.inside:data_path", own)
        peer = COMPETITORS["graph" if cuda else "eager"]
        yield Case("f", f"{peer.label}, {row}", f"{ROOT}.inside:torch_profile", own | {"target": peer.target}, "torch")
    N, K = sizes.networks[0]
    own = shapes[0] | {"hidden": K, "networks": N, "precision": sizes.precisions[-1], "examples": sizes.examples}
    yield Case("f", f"twolayer, {N} networks, K = {K}, {own['precision']}", f"{ROOT}.inside:profile", own, limit=60)


def _tables(sizes: Sizes, cuda: bool) -> Iterator[Case]:
    """The rest of the tables: ours and the quick peers first, torch.compile for one precision at the end."""
    quick, slow = (OURS, "graph", "eager"), ("compiled", "compiled_graph")
    for names, precisions in ((quick, sizes.precisions), (slow, ("bfloat16",))):
        for precision in precisions:
            for batch in sizes.batches:
                for hidden in sizes.hidden:
                    yield from (_step(sizes, name, hidden, batch, precision) for name in names if _here(name, cuda))
        for networks, hidden in sizes.networks:
            for precision in sizes.precisions:
                yield from (_many(sizes, name, networks, hidden, precision) for name in MANY)

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

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from experiments.benchmarks.peers import IN_JAX, IN_TORCH, OURS, Competitor

LETTERS = "abcdefl"
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
ROOT = "experiments.benchmarks.device"


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


class Shape(NamedTuple):
    """A network, a batch and a precision."""

    hidden: int
    batch_size: int
    precision: str

    def __str__(self) -> str:
        return f"K = {self.hidden}, batch {self.batch_size}, {self.precision}"


class Sizes(NamedTuple):
    """The sizes of all checks: those of a GPU, or those of a test on a CPU."""

    hidden: tuple[int, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    corners: tuple[Shape, ...]  # what is looked at closely
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
    corners=(Shape(128, 128, "float32"), Shape(32768, 8192, "bfloat16")),
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
    corners=(Shape(16, 32, "float32"),),
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


GRAPHED = "--xla_gpu_enable_command_buffer=+WHILE"
UNROLLED = f"{GRAPHED} --xla_gpu_command_buffer_unroll_loops=true"
OURS_AS_A_GRAPH = {"target": f"{IN_JAX}:ClosedForm", "cuda": True}
COMPETITORS = {
    OURS: Competitor(f"{IN_JAX}:ClosedForm", "twolayer"),
    "graph": Competitor(f"{IN_TORCH}:Graph", "PyTorch, a step as a CUDA graph", "torch", cuda=True),
    "eager": Competitor(f"{IN_TORCH}:Eager", "PyTorch eager", "torch"),
    "compiled": Competitor(f"{IN_TORCH}:Compiled", "torch.compile", "torch", limit=90),
    "compiled_graph": Competitor(f"{IN_TORCH}:CompiledGraph", "torch.compile as a CUDA graph", "torch", cuda=True),
    "loop": Competitor(label="twolayer, its loop as a CUDA graph", flags=GRAPHED, **OURS_AS_A_GRAPH),
    "unrolled": Competitor(label="twolayer, its loop unrolled into a CUDA graph", flags=UNROLLED, **OURS_AS_A_GRAPH),
}
MANY = {
    OURS: Competitor(f"{IN_JAX}:Stack", "twolayer", limit=60),
    "vmap": Competitor(f"{IN_TORCH}:Vmap", "torch.func.vmap", "torch", limit=60),
}


def cases(sizes: Sizes, platform: str) -> list[Case]:
    """All of them in order, without those that need CUDA where there is none; no two have one name."""
    cuda, found = platform == "gpu", {}
    for case in _all(sizes, cuda):
        if cuda or not (case.check == "b" and COMPETITORS[case.facts["who"]].cuda):
            found.setdefault((case.check, case.name), case)
    return list(found.values())


def _all(sizes: Sizes, cuda: bool) -> Iterator[Case]:
    yield from _right(sizes)
    for shape in sizes.corners:
        yield from (_step(sizes, name, shape) for name in (OURS, "graph", "eager"))
    yield from (_many(sizes, name, *sizes.networks[0], sizes.precisions[-1]) for name in MANY)
    for name, words in (("repeated", "the same bits twice"), ("continued", "a checkpoint from a CPU")):
        yield Case("a", words, f"{ROOT}.correctness:{name}", {"flags": sizes.runs}, "scripts", limit=90)
    yield from _limits(sizes)
    yield _wide(sizes, "sgd")
    yield from _inside(sizes, "graph" if cuda else "eager")
    for shape in sizes.corners:
        yield from (_step(sizes, name, shape) for name in COMPETITORS)
    yield from _tables(sizes)
    yield _wide(sizes, "adamw")


def _right(sizes: Sizes) -> Iterator[Case]:
    K, m = sizes.gradients
    for precision in (*sizes.precisions, "float64"):
        shape = Shape(K, m, precision)._asdict()
        yield Case("a", f"gradients, {precision}", f"{ROOT}.correctness:gradient_errors", shape, limit=60)
    for name in ("scaled_bias", "transposed_bias"):
        arguments = {"sizes": sizes.patterns}
        yield Case("a", f"XLA's error: {name.replace('_', ' ')}", f"{ROOT}.correctness:{name}", arguments)


def _step(sizes: Sizes, name: str, shape: Shape) -> Case:
    return _timed("b", sizes, name, COMPETITORS[name], shape)


def _many(sizes: Sizes, name: str, networks: int, hidden: int, precision: str) -> Case:
    return _timed("c", sizes, name, MANY[name], Shape(hidden, sizes.batches[0], precision), networks)


def _timed(check: str, sizes: Sizes, name: str, who: Competitor, shape: Shape, networks: int = 1) -> Case:
    arguments = {"target": who.target, **shape._asdict(), "networks": networks}
    arguments |= {"examples": sizes.examples, "seconds": sizes.seconds}
    row = f"{who.label}, {f'{networks} networks, ' * (networks > 1)}{shape}"
    place = {"library": who.library, "alone": bool(who.flags), "flags": who.flags, "limit": who.limit or 40.0}
    return Case(check, row, f"{ROOT}.steps:time_steps", arguments, **place, facts={"who": name, "label": who.label})


def _limits(sizes: Sizes) -> Iterator[Case]:
    for shape in sizes.corners:
        yield Case("l", f"products, {shape}", f"{ROOT}.steps:products", shape._asdict(), limit=60)
    for precision in sizes.precisions:
        arguments = {"size": sizes.square, "megabytes": sizes.megabytes, "precision": precision}
        yield Case("l", f"rates, {precision}", f"{ROOT}.steps:rates", arguments)


def _wide(sizes: Sizes, optimizer: str) -> Case:
    arguments = Shape(sizes.wide, sizes.batches[0], "bfloat16")._asdict() | {"optimizer": optimizer}
    name = f"K = {sizes.wide}, bfloat16, {optimizer}"
    return Case("d", name, f"{ROOT}.steps:wide", arguments, limit=90, alone=True)


def _inside(sizes: Sizes, quickest: str) -> Iterator[Case]:
    """Where the time goes, of ours and of the quickest peer."""
    peer = COMPETITORS[quickest]
    for shape in sizes.corners:
        own = shape._asdict() | {"examples": sizes.examples}
        yield Case("f", f"twolayer, {shape}", f"{ROOT}.inside:profile", own)
        yield Case("e", str(shape), f"{ROOT}.inside:data_path", own)
        of_peer = own | {"target": peer.target}
        yield Case("f", f"{peer.label}, {shape}", f"{ROOT}.inside:torch_profile", of_peer, "torch")
    N, K = sizes.networks[0]
    own = sizes.corners[0]._replace(hidden=K, precision=sizes.precisions[-1])._asdict()
    own |= {"networks": N, "examples": sizes.examples}
    yield Case("f", f"twolayer, {N} networks, K = {K}, {own['precision']}", f"{ROOT}.inside:profile", own, limit=60)


def _tables(sizes: Sizes) -> Iterator[Case]:
    """The rest of the tables: ours and the quick peers first, torch.compile for one precision at the end."""
    quick, slow = (OURS, "graph", "eager"), ("compiled", "compiled_graph")
    for names, precisions in ((quick, sizes.precisions), (slow, ("bfloat16",))):
        for precision, batch, hidden in itertools.product(precisions, sizes.batches, sizes.hidden):
            yield from (_step(sizes, name, Shape(hidden, batch, precision)) for name in names)
        for networks, precision in itertools.product(sizes.networks, sizes.precisions):
            yield from (_many(sizes, name, *networks, precision) for name in MANY)

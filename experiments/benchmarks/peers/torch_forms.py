"""PyTorch in the forms that its users write: eager, compiled, with a DataLoader, and many networks at once by vmap.

Eager: float32 tensors resident in memory, autograd, no module, no optimiser. Of the eager forms tried on 2 CPU cores
this one is the fastest. nn.Sequential with torch.optim.SGD, whether by loop, foreach or fused, takes 15 to 20 % longer
at K = 32 and 128; x[rows] takes longer than index_select.

Compiled: torch.compile of the whole step, gradient and update included. Of the forms tried this one is the fastest.
Compiling only the model or the loss, with autograd and the optimiser outside, is slower than eager here; gathering the
batch inside the compiled step is slower too; a C++ wrapper (`cpp_wrapper`) gains nothing. Needs a C++ compiler.

Loader: as PyTorch's own MNIST example writes it, nn modules, torch.optim.SGD, and a DataLoader that collates examples.
No worker processes, the DataLoader's default: they would send each batch through shared memory, and both cores are
training already.

On a GPU (`DEVICE`) tensors lie there, "max-autotune" would take minutes for each size and is left out, and the whole
step, gather included, can be recorded once as a CUDA graph: a step is one launch and a copy of rows. What keeps small
networks slow on a GPU is the time that the host takes to launch each operation. A graph has none of it. `CompiledGraph`
records the step of torch.compile, whose fused operations are fewer as well.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Sampler, TensorDataset

from experiments.benchmarks.peers.problem import Problem

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # the environment decides: CUDA_VISIBLE_DEVICES


class Eager:
    """A step is a gather, a forward pass, torch.autograd.grad and an update in place."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.y, self.orders = resident(problem)
        self.params = [torch.tensor(start, device=DEVICE, requires_grad=True) for start in problem.start]
        self.batch_size, self.learning_rate, self.output = problem.batch_size, problem.learning_rate, problem.output

    def epoch(self, index: int) -> None:
        for rows in self.orders[index].split(self.batch_size):
            self.step(self.x.index_select(0, rows), self.y.index_select(0, rows))
        finish()

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        gradients = torch.autograd.grad(loss(self.params, x, y, self.output), self.params)
        with torch.no_grad():
            self.descend(gradients)

    def descend(self, gradients: Sequence[torch.Tensor]) -> None:
        for parameter, gradient in zip(self.params, gradients, strict=True):
            parameter.sub_(gradient, alpha=self.learning_rate)

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(parameter.detach().cpu().numpy() for parameter in self.params)


def resident(problem: Problem) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, y and the orders on the device, x as the network sees it; sets the precision of the matrix products."""
    torch.set_float32_matmul_precision("high" if problem.precision == "tensorfloat32" else "highest")
    x = torch.from_numpy(problem.features()).to(DEVICE)
    x = x.bfloat16() if problem.precision == "bfloat16" else x
    return x, torch.from_numpy(problem.y).long().to(DEVICE), torch.from_numpy(problem.orders).long().to(DEVICE)


def finish() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def loss(params: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor, output: str) -> torch.Tensor:
    """Mean cross-entropy of the network, computed in the type of x; parameters and their gradients keep their own."""
    W1, b1, W2, b2 = (parameter.to(x.dtype) for parameter in params)
    hidden = torch.relu(functional.linear(x, W1, b1))
    outputs = functional.linear(hidden, W2, b2)
    return functional.cross_entropy((torch.relu(outputs) if output == "relu" else outputs).float(), y)


class Compiled(Eager):
    """The eager form with its step compiled for the two batch sizes, the whole and the ragged one."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.params = [parameter.detach() for parameter in self.params]
        torch._dynamo.reset()  # or the ninth size in one process would be refused
        mode = "max-autotune" if DEVICE == "cpu" else "default"
        self.compiled = torch.compile(self._update, mode=mode, dynamic=False, fullgraph=True)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        with torch.no_grad():
            self.compiled(self.params, x, y)

    def _update(self, params: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> None:
        gradients = torch.func.grad(lambda params: loss(params, x, y, self.output))(params)
        for parameter, gradient in zip(params, gradients, strict=True):
            parameter.sub_(gradient, alpha=self.learning_rate)


class Loader:
    """The example's loop, on tensors that are in memory and scaled already."""

    def __init__(self, problem: Problem) -> None:
        (K, d), C = problem.W1.shape, len(problem.b2)
        last = [nn.ReLU()] if problem.output == "relu" else []
        self.model = nn.Sequential(nn.Linear(d, K), nn.ReLU(), nn.Linear(K, C), *last)
        with torch.no_grad():
            for parameter, start in zip(self.model.parameters(), problem.start, strict=True):
                parameter.copy_(torch.tensor(start))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=problem.learning_rate)
        self.order = _Given(problem.orders)
        examples = TensorDataset(torch.from_numpy(problem.features()), torch.from_numpy(problem.y).long())
        self.batches = DataLoader(examples, problem.batch_size, sampler=self.order)

    def epoch(self, index: int) -> None:
        self.order.index = index
        for x, y in self.batches:
            self.optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(parameter.detach().numpy() for parameter in self.model.parameters())


class _Given(Sampler):
    """The order of one epoch, where the example shuffles."""

    def __init__(self, orders: np.ndarray) -> None:
        self.orders, self.index = orders.tolist(), 0

    def __iter__(self) -> Iterator[int]:
        return iter(self.orders[self.index])

    def __len__(self) -> int:
        return len(self.orders[self.index])


class Vmap(Eager):
    """As PyTorch's own tutorial on ensembles; the first network starts where the problem says."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        generator = torch.Generator().manual_seed(problem.seed)
        self.params = []
        for start in map(torch.tensor, problem.start):
            others = start + 0.01 * torch.randn((problem.networks, *start.shape), generator=generator)
            others[0] = start
            self.params.append(others.to(DEVICE))
        self.gradients = torch.func.vmap(
            torch.func.grad(lambda params, x, y: loss(params, x, y, problem.output)), in_dims=(0, None, None)
        )

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.descend(self.gradients(self.params, x, y))

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(parameter[0].cpu().numpy() for parameter in self.params)


GRAPHS = DEVICE == "cuda"  # whether steps can be recorded
WARM_UP = 3  # steps before the recording, as PyTorch asks for


class Recorded(Eager):
    """The epoch of a graph, for a class that has a step. A ragged last batch is a step without it."""

    def __init__(self, problem: Problem) -> None:
        if not GRAPHS:
            raise RuntimeError("a CUDA graph needs a CUDA device")
        super().__init__(problem)
        self.rows = self.orders[0][: self.batch_size].clone()
        start = [parameter.detach().clone() for parameter in self.params]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._whole_step(self.rows)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._whole_step(self.rows)
        with torch.no_grad():
            for parameter, value in zip(self.params, start, strict=True):
                parameter.copy_(value)

    def epoch(self, index: int) -> None:
        for rows in self.orders[index].split(self.batch_size):
            if len(rows) == self.batch_size:
                self.rows.copy_(rows)
                self.graph.replay()
            else:
                self._whole_step(rows)
        finish()

    def _whole_step(self, rows: torch.Tensor) -> None:
        self.step(self.x.index_select(0, rows), self.y.index_select(0, rows))


class Graph(Recorded, Eager):
    """The eager step, recorded as a CUDA graph."""


class CompiledGraph(Recorded, Compiled):
    """The compiled step, recorded as a CUDA graph."""

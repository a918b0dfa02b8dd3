"""PyTorch as its own MNIST example writes it: nn modules, torch.optim.SGD, and a DataLoader that collates examples.

No worker processes, the DataLoader's default: they would send each batch through shared memory, and both cores are
training already.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from experiments.benchmarks.peers.problem import Problem


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

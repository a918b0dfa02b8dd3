"""PyTorch with many networks at once: torch.func.vmap over the gradient of one, on resident tensors."""

import numpy as np
import torch

from experiments.benchmarks.peers.problem import Problem
from experiments.benchmarks.peers.torch_eager import DEVICE, finish, loss, resident


class Vmap:
    """As PyTorch's own tutorial on ensembles; the first network starts where the problem says."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.y, self.orders = resident(problem)
        self.batch_size, self.learning_rate = problem.batch_size, problem.learning_rate
        generator = torch.Generator().manual_seed(problem.seed)
        self.params = []
        for start in map(torch.tensor, problem.start):
            others = start + 0.01 * torch.randn((problem.networks, *start.shape), generator=generator)
            others[0] = start
            self.params.append(others.to(DEVICE))
        self.gradients = torch.func.vmap(
            torch.func.grad(lambda params, x, y: loss(params, x, y, problem.output)), in_dims=(0, None, None)
        )

    def epoch(self, index: int) -> None:
        for rows in self.orders[index].split(self.batch_size):
            gradients = self.gradients(self.params, self.x.index_select(0, rows), self.y.index_select(0, rows))
            for parameter, gradient in zip(self.params, gradients, strict=True):
                parameter.sub_(gradient, alpha=self.learning_rate)
        finish()

    def parameters(self) -> tuple[np.ndarray, ...]:
        return tuple(parameter[0].cpu().numpy() for parameter in self.params)

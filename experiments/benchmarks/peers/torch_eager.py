"""PyTorch without a compiler, at its fastest: tensors resident on the device, autograd, no module, no optimiser.

Of the eager forms tried on 2 CPU cores this one is the fastest. nn.Sequential with torch.optim.SGD, whether by loop,
foreach or fused, takes 15 to 20 % longer at K = 32 and 128; x[rows] takes longer than index_select.
"""

import numpy as np
import torch
from torch.nn import functional

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

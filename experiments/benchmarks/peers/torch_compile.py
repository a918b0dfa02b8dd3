"""PyTorch compiled: torch.compile of the whole step, gradient and update included, on resident tensors.

Of the forms tried this one is the fastest. Compiling only the model or the loss, with autograd and the optimiser
outside, is slower than eager here; gathering the batch inside the compiled step is slower too; a C++ wrapper
(`cpp_wrapper`) gains nothing. Needs a C++ compiler. On a GPU "max-autotune" would take minutes for each size.
"""

import torch

from experiments.benchmarks.peers.problem import Problem
from experiments.benchmarks.peers.torch_eager import DEVICE, Eager, loss


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

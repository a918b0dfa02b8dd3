"""PyTorch with its whole step, gather included, recorded once as a CUDA graph: a step is one launch and a copy of rows.

What keeps small networks slow on a GPU is the time that the host takes to launch each operation. A graph has none of
it. `CompiledGraph` records the step of torch.compile, whose fused operations are fewer as well.
"""

import torch

from experiments.benchmarks.peers.problem import Problem
from experiments.benchmarks.peers.torch_compile import Compiled
from experiments.benchmarks.peers.torch_eager import DEVICE, Eager, finish

WARM_UP = 3  # steps before the recording, as PyTorch asks for


class Recorded:
    """The epoch of a graph, for a class that has a step. A ragged last batch is a step without it."""

    def __init__(self, problem: Problem) -> None:
        if DEVICE != "cuda":
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
    """Of the eager step."""


class CompiledGraph(Recorded, Compiled):
    """Of the compiled step."""

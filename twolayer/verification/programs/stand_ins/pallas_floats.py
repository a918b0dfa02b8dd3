"""Pallas kernels on plain floats, block by block: what jax_floats.py has for `jax.experimental.pallas`."""

import contextvars
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

_PROGRAM: contextvars.ContextVar[tuple[tuple[int, ...], tuple[int, ...]]] = contextvars.ContextVar("program")


class BlockSpec(NamedTuple):
    """Which block of an array a program of the grid gets; a size None is one entry, without its axis."""

    block_shape: Sequence[int | None] | None = None
    index_map: Callable[..., Any] | None = None


class Shape(NamedTuple):
    """jax.ShapeDtypeStruct."""

    shape: tuple[int, ...]
    dtype: Any = np.float64


class Ref:
    """A block that a kernel reads and writes."""

    def __init__(self, block: np.ndarray):
        self.block, self.shape, self.dtype, self.ndim = block, block.shape, block.dtype, block.ndim

    def __getitem__(self, key: Any) -> Any:
        return np.array(self.block[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.block[key] = value

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        return np.array(self.block)


def pallas_call(
    kernel: Callable, out_shape: Any, *, grid: Any = (), in_specs: Any = None, out_specs: Any = None, **options: Any
) -> Callable:
    """The kernel once for each program of the grid, in order; beyond the end of an array a block holds NaN."""
    grid = (grid,) if isinstance(grid, int) else tuple(grid)
    several = isinstance(out_shape, (list, tuple)) and not isinstance(out_shape, Shape)
    shapes: list[Any] = list(out_shape) if several else [out_shape]
    own = out_specs if several else [out_specs]

    def call(*arrays: Any) -> Any:
        outputs = [np.full(one.shape, np.nan) for one in shapes]
        given = [*map(np.array, arrays), *outputs]
        specs = [*(in_specs or [None] * len(arrays)), *(own or [None] * len(outputs))]
        for index in np.ndindex(*grid):
            token = _PROGRAM.set((index, grid))
            try:
                places = [_place(array, spec, index) for array, spec in zip(given, specs, strict=True)]
                blocks = [_block(array, *place) for array, place in zip(given, places, strict=True)]
                kernel(*(Ref(block.reshape(shape)) for block, (_, _, shape) in zip(blocks, places, strict=True)))
            finally:
                _PROGRAM.reset(token)
            for output, block, (starts, _, _) in list(zip(given, blocks, places, strict=True))[len(arrays) :]:
                inside = _inside(output, starts, block.shape)
                output[inside] = block[tuple(slice(0, s.stop - s.start) for s in inside)]
        return (tuple if isinstance(out_shape, tuple) else list)(outputs) if several else outputs[0]

    return call


def _place(array: np.ndarray, spec: Any, index: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    """Where a block begins, its sizes, and its shape as the kernel sees it."""
    if spec is None or spec.block_shape is None:
        return [0] * array.ndim, list(array.shape), list(array.shape)
    at = spec.index_map(*index) if spec.index_map else (0,) * array.ndim
    at = at if isinstance(at, tuple) else (at,)
    sizes = [1 if n is None else n for n in spec.block_shape]
    starts = [int(i) * n for i, n in zip(at, sizes, strict=True)]
    return starts, sizes, [n for n in spec.block_shape if n is not None]


def _inside(array: np.ndarray, starts: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(a, min(a + n, most)) for a, n, most in zip(starts, sizes, array.shape, strict=True))


def _block(array: np.ndarray, starts: Sequence[int], sizes: Sequence[int], _: Any) -> np.ndarray:
    part = array[_inside(array, starts, sizes)]
    block = np.full(sizes, np.nan) if array.dtype.kind == "f" else np.zeros(sizes, array.dtype)
    block[tuple(map(slice, part.shape))] = part
    return block


PALLAS = types.SimpleNamespace(
    pallas_call=pallas_call, BlockSpec=BlockSpec, cdiv=lambda a, b: -(-a // b),
    program_id=lambda axis: _PROGRAM.get()[0][axis], num_programs=lambda axis: _PROGRAM.get()[1][axis],
    when=lambda condition: lambda function: function() if condition else None,
    ds=lambda start, size: slice(int(start), int(start) + size),
)  # fmt: skip

"""The selective scan on the CPU, compiled by numba: one pass, states in vector registers.

Rows (the channels of all images) are independent, except that the gradients of B and C are sums
over the rows of a group. The rows of a group are split into parts, and each part is one task for a
pool of ``torch.get_num_threads()`` threads. Each part has its own partial sums, added up at the
end, so that results depend on the number of threads but not on timing.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from common.errors import DeviceError
from fusion.scan import threads
from fusion.scan.numba_gated import Stream
from fusion.scan.numba_kernels import CHUNK, LANES, Floats, backward, forward
from fusion.scan.numba_map import scan_map

__all__ = ["problem", "scan_map", "selective_scan", "stream"]

_TASK = 1 << 16  # fewest state updates worth a thread, about 40 us

stream = Stream  # begins a gated scan


def problem() -> str | None:
    """None: irvis requires numba."""
    return None


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """See ``fusion.scan.selective_scan``; raises for float64 and for tensors on a GPU."""
    if u.device.type != "cpu" or u.dtype == torch.float64:
        raise DeviceError(
            f"scan backend 'numba' works in float32 on the CPU, not in {u.dtype} on {u.device}: "
            "choose auto or reference"
        )
    none = torch.zeros(A.shape[0])
    prepared = (
        _plain(u),  # [b, d, l]
        _plain(delta),  # [b, d, l]
        _plain(_blocks(A)),  # [d, blocks, LANES]
        _plain(_blocks(B.transpose(2, 3)).transpose(2, 3)),  # [b, g, blocks, l, LANES]
        _plain(_blocks(C.transpose(2, 3)).transpose(2, 3)),  # [b, g, blocks, l, LANES]
        none if D is None else _plain(D),  # [d]
        none if delta_bias is None else _plain(delta_bias),  # [d]
    )
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in prepared):
        y: Tensor = _Scan.apply(*prepared, delta_softplus)
    else:
        y, _ = _forward(prepared, delta_softplus, keep=False)
    return y.to(u.dtype)


def _plain(values: Tensor) -> Tensor:
    return values.to(torch.float32).contiguous()


def _blocks(values: Tensor) -> Tensor:
    """[..., n] as [..., blocks, LANES], padded with zeros."""
    padding = -values.shape[-1] % LANES
    padded = functional.pad(values, (0, padding)) if padding else values
    return torch.unflatten(padded, -1, (-1, LANES))


class _Scan(torch.autograd.Function):
    """The scan of prepared tensors."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:  # noqa: ANN401
        *prepared, ctx.softplus = arguments
        y, kept = _forward(prepared, ctx.softplus, keep=True)
        ctx.save_for_backward(*prepared, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        *prepared, kept = ctx.saved_tensors
        return (*_backward(prepared, ctx.softplus, kept, _plain(dy)), None)


def _forward(prepared: Sequence[Tensor], softplus: bool, *, keep: bool) -> tuple[Tensor, Tensor]:
    """The result [b, d, l] and the states before each chunk [b, d, chunks, blocks, LANES]."""
    u, delta, A, B, C, D, bias = prepared
    y = torch.empty_like(u)  # [b, d, l]
    chunks = ceil(u.shape[2] / CHUNK) if keep else 0
    kept = u.new_empty(*u.shape[:2], chunks, *A.shape[1:])  # [b, d, chunks, blocks, LANES]
    by_row = [_array(tensor) for tensor in (u, delta, y, kept)]
    by_channel = [_array(tensor) for tensor in (A, D, bias)]
    by_group = [_array(tensor) for tensor in (B, C)]

    def run(image: int, group: int, _part: int, rows: slice) -> None:
        u_, delta_, y_, kept_ = (array[image, rows] for array in by_row)
        A_, D_, bias_ = (array[rows] for array in by_channel)
        B_, C_ = (array[image, group] for array in by_group)
        forward(u_, delta_, A_, B_, C_, D_, bias_, softplus, y_, kept_)

    tasks = _Tasks(u, B)
    threads.run(tasks.threads, run, tasks)
    return y, kept


def _backward(
    prepared: Sequence[Tensor], softplus: bool, kept: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    """The gradients of the prepared tensors."""
    u, delta, A, B, C, D, bias = prepared
    tasks = _Tasks(u, B)
    images = len(u)
    du, ddelta = torch.empty_like(u), torch.empty_like(u)  # [b, d, l]
    dA = A.new_zeros(images, *A.shape)  # [b, d, blocks, LANES]
    dD, dbias = D.new_zeros(images, *D.shape), D.new_zeros(images, *D.shape)  # [b, d]
    dB = B.new_zeros(tasks.parts, *B.shape)  # [parts, b, g, blocks, l, LANES]
    dC = B.new_zeros(tasks.parts, *B.shape)
    by_row = [_array(tensor) for tensor in (u, delta, kept, dy, du, ddelta, dA, dD, dbias)]
    by_channel = [_array(tensor) for tensor in (A, D, bias)]
    by_group = [_array(tensor) for tensor in (B, C)]
    by_part = [_array(tensor) for tensor in (dB, dC)]

    def run(image: int, group: int, part: int, rows: slice) -> None:
        u_, delta_, kept_, dy_, du_, ddelta_, *own = (array[image, rows] for array in by_row)
        A_, D_, bias_ = (array[rows] for array in by_channel)
        B_, C_ = (array[image, group] for array in by_group)
        dB_, dC_ = (array[part, image, group] for array in by_part)
        given = (u_, delta_, A_, B_, C_, D_, bias_, softplus, kept_, dy_)
        dA_, dD_, dbias_ = own
        backward(*given, du_, ddelta_, dA_, dB_, dC_, dD_, dbias_)

    threads.run(tasks.threads, run, tasks)
    return du, ddelta, dA.sum(0), dB.sum(0), dC.sum(0), dD.sum(0), dbias.sum(0)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().numpy()
    return array


class _Tasks:
    """The tasks of a scan: ``parts`` ranges of adjacent rows per image and group."""

    def __init__(self, u: Tensor, B: Tensor) -> None:
        """Split the scan of ``u`` [b, d, l] with ``B`` [b, g, blocks, l, LANES]."""
        self.images, self.groups, blocks = B.shape[:3]
        self.rows = u.shape[1] // self.groups  # per group
        work = u.numel() * blocks * LANES  # state updates
        self.threads = threads.count(work, _TASK)
        # two tasks per thread, to balance threads of different speed
        self.parts = min(self.rows, ceil(2 * self.threads / (self.images * self.groups)))

    def __iter__(self) -> Iterator[tuple[int, int, int, slice]]:
        """Image, group, part, and the part's channels."""
        for image in range(self.images):
            for group in range(self.groups):
                for part in range(self.parts):
                    first, end = (
                        group * self.rows + self.rows * edge // self.parts
                        for edge in (part, part + 1)
                    )
                    yield image, group, part, slice(first, end)

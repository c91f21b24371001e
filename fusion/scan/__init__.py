"""The selective scan (Mamba's S6); each backend is a module of this folder.

A backend module has a ``selective_scan`` with the signature below but without ``backend``, and a
``problem`` that says why it cannot run on this machine. The backend is chosen and logged once per
name and type of device.
"""

from torch import Tensor

from fusion.scan.backends import BACKENDS, choose, problem
from fusion.scan.es2d import es2d_scan
from fusion.scan.gated import gated_scan

__all__ = ["BACKENDS", "es2d_scan", "gated_scan", "problem", "selective_scan"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Scan h_t = exp(delta_t A) h_(t−1) + delta_t B_t u_t, y_t = <C_t, h_t> + D u_t from h_0 = 0.

    The recurrence is Mamba's (Gu and Dao, 2023, with its simplified discretization of B). Shapes
    are mamba_ssm's: b batch, d channels, g groups of d / g adjacent channels, n state, l tokens.

    Args:
        u: float [b, d, l], the input.
        delta: float [b, d, l], the step; see ``delta_bias`` and ``delta_softplus``.
        A: float [d, n], negative for a state that decays.
        B: float [b, g, n, l].
        C: float [b, g, n, l].
        D: float [d], the skip; None for none.
        delta_bias: float [d], added to ``delta``; None for none.
        delta_softplus: Whether softplus is applied to the (biased) step.
        backend: A name of ``BACKENDS``, or "auto": numba on the CPU, triton on CUDA.

    Returns:
        float [b, d, l] of the dtype of ``u``. State and accumulation are float32, or float64 if
        ``u`` is (reference backend only). Differentiable in all tensors.

    Raises:
        errors.DeviceError: The backend is unknown, or cannot run on this machine or with these
            tensors.
    """
    return choose(backend, u).scan(u, delta, A, B, C, D, delta_bias, delta_softplus)

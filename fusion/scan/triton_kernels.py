# Kernels are typed by Triton, not by annotations.
# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator,no-untyped-def"
# ruff: noqa: ANN001, ANN201, ANN202
"""The Triton kernels of the selective scan, and of its gradient.

One program scans one channel of one image, a tile of BLOCK_L tokens at a time. Within a tile the
recurrence h -> a h + b is an associative scan over the pairs (a, b).
"""

import triton
import triton.language as tl

_LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _combine(a1, b1, a2, b2):
    """The map h -> a1 h + b1 followed by h -> a2 h + b2."""
    return a1 * a2, a2 * b1 + b2


@triton.jit
def _softplus(x):
    """max(x, 0) + log(1 + z), z = exp(−|x|), with Kahan's correction for the rounding of 1 + z."""
    z = tl.exp(-tl.abs(x))
    w = 1.0 + z
    log1p = tl.where(w == 1.0, z, tl.log(w) * z / tl.where(w == 1.0, 1.0, w - 1.0))
    return tl.maximum(x, 0.0) + log1p


@triton.jit
def _place(image, channel, channels, t, length, height, width, MAP: tl.constexpr):
    """Index of the result of token ``t``; the order in a map is that of ``es2d.gather``."""
    if MAP:
        inner = channels // 4
        k = channel // inner
        across = k % 2 == 0  # row by row
        i = tl.where(across, t // (width // 2), t % (height // 2))
        j = tl.where(across, t % (width // 2), t // (height // 2))
        pixel = (2 * i + k % 2) * width + 2 * j + k // 2
        return (image * height * width + pixel) * inner + channel % inner
    return (image * channels + channel) * length + t


@triton.jit
def forward_kernel(
    u, delta, A, B, C, D, bias, y, kept,
    channels, groups, length, state, height, width,
    SOFTPLUS: tl.constexpr, MAP: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Write the result and, in ``kept``, the state before each tile."""
    channel = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    row = image * channels + channel
    shared = (image * groups + channel // (channels // groups)) * state * length
    n = tl.arange(0, BLOCK_N)
    is_state = n < state
    rate = tl.load(A + channel * state + n, is_state, 0.0) * _LOG2_E  # [N]
    skip, shift = tl.load(D + channel), tl.load(bias + channel)
    before = tl.zeros([BLOCK_N], tl.float32)
    tiles = tl.cdiv(length, BLOCK_L)
    for tile in range(tiles):
        t = tile * BLOCK_L + tl.arange(0, BLOCK_L)
        is_token = t < length
        both = is_token[:, None] & is_state[None, :]
        lines = shared + n[None, :] * length + t[:, None]  # [L, N]
        tl.store(kept + (row * tiles + tile) * state + n, before, is_state)
        x = tl.load(u + row * length + t, is_token, 0.0).to(tl.float32)  # [L]
        step = tl.load(delta + row * length + t, is_token, 0.0).to(tl.float32) + shift
        if SOFTPLUS:
            step = _softplus(step)
        step = tl.where(
            is_token, step, 0.0
        )  # step 0 leaves the state unchanged after the last token
        into = tl.load(B + lines, both, 0.0).to(tl.float32)  # [L, N]
        out_of = tl.load(C + lines, both, 0.0).to(tl.float32)  # [L, N]
        decay = tl.exp2(step[:, None] * rate[None, :])
        inflow = (step * x)[:, None] * into
        since, fresh = tl.associative_scan((decay, inflow), 0, _combine)
        h = fresh + since * before[None, :]  # [L, N]
        result = tl.sum(h * out_of, 1) + skip * x
        places = _place(image, channel, channels, t, length, height, width, MAP)
        tl.store(y + places, result, is_token)
        before = tl.sum(tl.where(tl.arange(0, BLOCK_L)[:, None] == BLOCK_L - 1, h, 0.0), 0)


@triton.jit
def backward_kernel(
    u, delta, A, B, C, D, bias, kept, dy, du, ddelta, dA, dB, dC, dD, dbias,
    channels, groups, length, state, height, width,
    SOFTPLUS: tl.constexpr, MAP: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Write the gradients; those of B and C are added to ``dB`` and ``dC``.

    The gradient of h_t is m_t = C_t dy_t + a_(t+1) m_(t+1), a scan in reverse order.
    """
    channel = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    row = image * channels + channel
    shared = (image * groups + channel // (channels // groups)) * state * length
    n = tl.arange(0, BLOCK_N)
    is_state = n < state
    rate = tl.load(A + channel * state + n, is_state, 0.0)  # [N]
    skip, shift = tl.load(D + channel), tl.load(bias + channel)
    after = tl.zeros([BLOCK_N], tl.float32)  # m of the token after the tile
    to_rate = tl.zeros([BLOCK_N], tl.float32)
    to_skip = tl.zeros([BLOCK_L], tl.float32)
    to_shift = tl.zeros([BLOCK_L], tl.float32)
    tiles = tl.cdiv(length, BLOCK_L)
    for back in range(tiles):
        tile = tiles - 1 - back
        t = tile * BLOCK_L + tl.arange(0, BLOCK_L)
        is_token = t < length
        is_next = t + 1 < length
        both = is_token[:, None] & is_state[None, :]
        lines = shared + n[None, :] * length + t[:, None]  # [L, N]
        before = tl.load(kept + (row * tiles + tile) * state + n, is_state, 0.0)  # [N]
        x = tl.load(u + row * length + t, is_token, 0.0).to(tl.float32)  # [L]
        raw = tl.load(delta + row * length + t, is_token, 0.0).to(tl.float32) + shift
        step = raw
        later = tl.load(delta + row * length + t + 1, is_next, 0.0).to(tl.float32) + shift
        if SOFTPLUS:
            step = _softplus(step)
            later = _softplus(later)
        step = tl.where(is_token, step, 0.0)
        later = tl.where(is_next, later, 0.0)
        places = _place(image, channel, channels, t, length, height, width, MAP)
        slant = tl.load(dy + places, is_token, 0.0).to(tl.float32)  # [L]
        into = tl.load(B + lines, both, 0.0).to(tl.float32)  # [L, N]
        out_of = tl.load(C + lines, both, 0.0).to(tl.float32)  # [L, N]
        inflow = (step * x)[:, None] * into
        decay = tl.exp2(step[:, None] * (rate * _LOG2_E)[None, :])
        since, fresh = tl.associative_scan((decay, inflow), 0, _combine)
        h = fresh + since * before[None, :]  # [L, N]
        decay = tl.exp2(later[:, None] * (rate * _LOG2_E)[None, :])  # of the next token
        until, fresh = tl.associative_scan(
            (decay, slant[:, None] * out_of), 0, _combine, reverse=True
        )
        m = fresh + until * after[None, :]  # [L, N]
        after = tl.sum(tl.where(tl.arange(0, BLOCK_L)[:, None] == 0, m, 0.0), 0)
        through = m * (h - inflow)  # m_t a_t h_(t-1)
        to_inflow = tl.sum(m * into, 1)  # [L]
        to_step = tl.sum(through * rate[None, :], 1) + x * to_inflow  # [L]
        if SOFTPLUS:
            to_step = to_step * tl.sigmoid(raw)
        tl.store(du + row * length + t, skip * slant + step * to_inflow, is_token)
        tl.store(ddelta + row * length + t, to_step, is_token)
        tl.atomic_add(dB + lines, (step * x)[:, None] * m, both)
        tl.atomic_add(dC + lines, slant[:, None] * h, both)
        to_rate += tl.sum(step[:, None] * through, 0)
        to_skip += slant * x
        to_shift += tl.where(is_token, to_step, 0.0)
    tl.store(dA + row * state + n, to_rate, is_state)
    tl.store(dD + row, tl.sum(to_skip, 0))
    tl.store(dbias + row, tl.sum(to_shift, 0))

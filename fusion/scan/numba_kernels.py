"""The compiled loops of the numba backend: the scan of some rows of one group, and its gradient.

A row is one channel of one image. Tokens are processed in chunks of CHUNK, and all rows of a chunk
one after another, so that the data shared by the rows (B, C and their gradients) stays in the L1
cache. The state is split into blocks of LANES numbers that fit one or two vector registers. The
loops over LANES and over the tokens of a chunk have no branches, so that they are vectorised.

The state before each chunk is kept for the gradient; states within a chunk are recomputed.
"""

import numpy as np
from numpy.typing import NDArray

from common.compiled import compiled

CHUNK = 64  # tokens
LANES = 16  # numbers of a state block; a smaller state is padded with zeros, which stay zero

Floats = NDArray[np.float32]

# float32 constants: a Python number would promote the arithmetic to float64
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_LOG2_E = np.float32(np.log2(np.e))
# range of exp2, beyond which it is 0 or infinity; 127 is the bias of the exponent
_LEAST, _MOST, _BIAS, _HALF = (np.float32(v) for v in (-127, 128, 127, 0.5))
# (2^f − 1) / f for |f| <= 1/2, lowest power first; relative error of 2^f 2e-9 before rounding
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(c)
    for c in (
        6.93147203e-1,
        2.40226479e-1,
        5.55033247e-2,
        9.61843736e-3,
        1.33988744e-3,
        1.53533619e-4,
    )
)
# (artanh(s) / s − 1) / s^2 in powers of s^2 for 0 <= s <= 1/3, relative error of artanh 5e-9
_Q0, _Q1, _Q2, _Q3 = (
    np.float32(c) for c in (3.33332080e-1, 2.00107640e-1, 1.40009030e-1, 1.40059930e-1)
)


# without "reassoc", because the order of operations was chosen for its rounding
_exact = compiled(fastmath={"contract"}, error_model="numpy")
# sums over the state may be reordered; NaN and infinity are honoured in both
_loops = compiled(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


@_exact
def _exp2(x: np.float32) -> np.float32:
    x = _LEAST if x < _LEAST else x
    x = _MOST if x > _MOST else x
    exponent = np.int32(x + (_BIAS + _HALF))  # rounds to nearest: the sum is positive
    f = x - (np.float32(exponent) - _BIAS)
    p = _ONE + f * (_P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5)))))
    return p * np.int32(exponent << np.int32(23)).view(np.float32)


@_exact
def _softplus(x: np.float32) -> np.float32:
    """max(x, 0) + log(1 + z) with z = exp(−|x|); log(1 + z) = 2 artanh(z / (2 + z))."""
    z = _exp2(-abs(x) * _LOG2_E)
    s = z / (_TWO + z)
    v = s * s
    log1p = _TWO * s * (_ONE + v * (_Q0 + v * (_Q1 + v * (_Q2 + v * _Q3))))
    return (x if x > _ZERO else _ZERO) + log1p


@_exact
def _sigmoid(x: np.float32) -> np.float32:
    return _ONE / (_ONE + _exp2(-x * _LOG2_E))


@_loops
def forward(
    u: Floats,
    delta: Floats,
    A: Floats,
    B: Floats,
    C: Floats,
    D: Floats,
    bias: Floats,
    softplus: bool,
    y: Floats,
    kept: Floats,
) -> None:
    """Scan rows that share B and C.

    Args:
        u: [rows, l].
        delta: [rows, l].
        A: [rows, blocks, LANES].
        B: [blocks, l, LANES].
        C: [blocks, l, LANES].
        D: [rows].
        bias: [rows], added to ``delta``.
        softplus: Whether the step is softplus(delta + bias).
        y: [rows, l], output.
        kept: [rows, chunks, blocks, LANES], output: the state before each chunk of CHUNK tokens;
            [rows, 0, blocks, LANES] to keep none.
    """
    rows, length = u.shape
    blocks = A.shape[1]
    keep = kept.shape[1] > 0
    states = np.zeros((rows, blocks, LANES), np.float32)
    step = np.empty(CHUNK, np.float32)
    inflow = np.empty(CHUNK, np.float32)
    out = np.empty(CHUNK, np.float32)
    rate = np.empty(LANES, np.float32)
    state = np.empty(LANES, np.float32)
    for chunk in range((length + CHUNK - 1) // CHUNK):
        begin = chunk * CHUNK
        count = min(CHUNK, length - begin)
        for row in range(rows):
            shift, skip = bias[row], D[row]
            for t in range(count):
                step[t] = delta[row, begin + t] + shift
            if softplus:
                for t in range(count):
                    step[t] = _softplus(step[t])
            for t in range(count):
                inflow[t] = step[t] * u[row, begin + t]
                out[t] = skip * u[row, begin + t]
            for block in range(blocks):
                for j in range(LANES):
                    state[j] = states[row, block, j]
                    rate[j] = A[row, block, j] * _LOG2_E
                    if keep:
                        kept[row, chunk, block, j] = state[j]
                for t in range(count):
                    total = _ZERO
                    for j in range(LANES):
                        h = _exp2(step[t] * rate[j]) * state[j] + inflow[t] * B[block, begin + t, j]
                        state[j] = h
                        total += h * C[block, begin + t, j]
                    out[t] += total
                for j in range(LANES):
                    states[row, block, j] = state[j]
            for t in range(count):
                y[row, begin + t] = out[t]


# The buffers of ``backward`` are parts of one array [7, CHUNK, LANES], so that the compiler knows
# that they do not overlap. The first four are shared by the rows; the last uses three lines only.
_B, _C, _DB, _DC, _DECAY, _BEFORE, _LINES = range(7)
_STATE, _RATE, _GAIN = range(3)


@_loops
def backward(
    u: Floats,
    delta: Floats,
    A: Floats,
    B: Floats,
    C: Floats,
    D: Floats,
    bias: Floats,
    softplus: bool,
    kept: Floats,
    dy: Floats,
    du: Floats,
    ddelta: Floats,
    dA: Floats,
    dB: Floats,
    dC: Floats,
    dD: Floats,
    dbias: Floats,
) -> None:
    """The gradient of ``forward``; ``dx`` is the gradient of ``x``, with the same shape.

    ``du`` and ``ddelta`` are overwritten, the other gradients are added to.
    With a_t = exp(delta_t A) and m_t the gradient of h_t: m_t = C_t dy_t + a_(t+1) m_(t+1).
    """
    rows, length = u.shape
    blocks = A.shape[1]
    onward = np.zeros((rows, blocks, LANES), np.float32)  # a_(t+1) m_(t+1)
    step = np.empty(CHUNK, np.float32)
    slope = np.empty(CHUNK, np.float32)  # derivative of the step with respect to delta
    w = np.empty((7, CHUNK, LANES), np.float32)
    for chunk in range((length + CHUNK - 1) // CHUNK - 1, -1, -1):
        begin = chunk * CHUNK
        count = min(CHUNK, length - begin)
        for block in range(blocks):
            for t in range(count):
                for j in range(LANES):
                    w[_B, t, j] = B[block, begin + t, j]
                    w[_C, t, j] = C[block, begin + t, j]
                    w[_DB, t, j] = _ZERO
                    w[_DC, t, j] = _ZERO
            for row in range(rows):
                shift, skip = bias[row], D[row]
                if block == 0:
                    to_D = _ZERO
                    for t in range(count):
                        to_D += u[row, begin + t] * dy[row, begin + t]
                        du[row, begin + t] = skip * dy[row, begin + t]
                        ddelta[row, begin + t] = _ZERO
                    dD[row] += to_D
                for t in range(count):
                    step[t] = delta[row, begin + t] + shift
                    slope[t] = _ONE
                if softplus:
                    for t in range(count):
                        slope[t] = _sigmoid(step[t])
                        step[t] = _softplus(step[t])
                for j in range(LANES):
                    w[_LINES, _STATE, j] = kept[row, chunk, block, j]
                    w[_LINES, _RATE, j] = A[row, block, j] * _LOG2_E
                for t in range(count):
                    dt, slant = step[t], dy[row, begin + t]
                    inflow = dt * u[row, begin + t]
                    for j in range(LANES):
                        a = _exp2(dt * w[_LINES, _RATE, j])
                        h = a * w[_LINES, _STATE, j] + inflow * w[_B, t, j]
                        w[_DECAY, t, j] = a
                        w[_BEFORE, t, j] = w[_LINES, _STATE, j]
                        w[_LINES, _STATE, j] = h
                        w[_DC, t, j] += slant * h
                for j in range(LANES):
                    w[_LINES, _STATE, j] = onward[row, block, j]
                    w[_LINES, _RATE, j] = A[row, block, j]
                    w[_LINES, _GAIN, j] = _ZERO
                to_bias = _ZERO
                for t in range(count - 1, -1, -1):
                    dt, x, slant = step[t], u[row, begin + t], dy[row, begin + t]
                    inflow = dt * x
                    to_inflow = _ZERO
                    to_step = _ZERO
                    for j in range(LANES):
                        m = w[_LINES, _STATE, j] + slant * w[_C, t, j]
                        back = m * w[_DECAY, t, j]
                        through = back * w[_BEFORE, t, j]
                        w[_LINES, _STATE, j] = back
                        w[_LINES, _GAIN, j] += dt * through
                        w[_DB, t, j] += inflow * m
                        to_step += through * w[_LINES, _RATE, j]
                        to_inflow += m * w[_B, t, j]
                    to_delta = slope[t] * (to_step + x * to_inflow)
                    du[row, begin + t] += dt * to_inflow
                    ddelta[row, begin + t] += to_delta
                    to_bias += to_delta
                for j in range(LANES):
                    onward[row, block, j] = w[_LINES, _STATE, j]
                    dA[row, block, j] += w[_LINES, _GAIN, j]
                dbias[row] += to_bias
            for t in range(count):
                for j in range(LANES):
                    dB[block, begin + t, j] += w[_DB, t, j]
                    dC[block, begin + t, j] += w[_DC, t, j]

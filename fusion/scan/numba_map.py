"""ES2D for inference on the CPU: the scan of a whole feature map by a kernel of its own.

The kernel differs from that of ``numba_kernels`` in what it vectorises over: LANES neighbouring
channels instead of the state. Channels last, a token's channels lie side by side, so a map needs no
transposition, the sum over the state no sum across a register, and results go straight to the
pixels that the tokens came from. The step is worked out on the way, from its R low-rank numbers.
There is no gradient; training goes the way of ``fusion.scan.es2d``.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor

from fusion.scan import threads
from fusion.scan.numba_kernels import Floats, _compiled, _exp2, _softplus

CHUNK = 64  # tokens
LANES = 64  # channels at a time: four registers of AVX-512, so that the processor has enough to do
_TASK = 1 << 16  # state updates: a smaller task is not worth handing to a thread
_ZERO, _LOG2_E = np.float32(0), np.float32(np.log2(np.e))

Numbers = NDArray[Any]  # float32, or bfloat16 as uint16, which numpy has for it

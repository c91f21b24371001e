"""The setting of which values of an infrared image become black and white."""

from typing import Annotated

from pydantic import AfterValidator, Field

_End = Annotated[int | float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


def _ordered(limits: tuple[int | float, int | float]) -> tuple[int | float, int | float]:
    if limits[0] >= limits[1]:
        raise ValueError("must be two counts, low < high, in the file's own unit")
    return limits


IrRange = Annotated[tuple[_End, _End], AfterValidator(_ordered)]

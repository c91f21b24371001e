"""The setting of fusers whose network scans."""

from typing import Annotated, Literal

from pydantic import Field

Scan = Annotated[
    Literal["auto", "numba", "triton", "mamba_ssm", "reference"],
    Field(description="backend of the selective scan"),
]

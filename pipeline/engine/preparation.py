"""What is done to an admitted pair before it is fused: its faults, and how far it is misaligned."""

from dataclasses import replace

from pipeline.config.sections import PerturbConfig
from pipeline.frames import Item
from pipeline.geometry.misalignment import misalignment
from pipeline.geometry.perturb import Perturb
from pipeline.geometry.registration import Register
from pipeline.images import to_grey


class Preparation:
    """Prepares items; pairs that an earlier run did need none of it."""

    def __init__(self, perturb: PerturbConfig, register: Register | None) -> None:
        """Prepare nothing yet.

        Args:
            perturb: The faults that pairs are given, if any.
            register: What put the infrared image on the visible one; None without a calibration.
        """
        self._perturb = Perturb(perturb) if perturb.changes else None
        self._covered = None if register is None else register.covered

    def __call__(self, item: Item) -> Item:
        """The item with its faults and, where both cameras show something, its misalignment."""
        if self._perturb is not None:
            item = self._perturb(item)
        if item.dead is not None:
            return item
        _, ir, vis = item.pair.whole()
        measured = misalignment(ir=to_grey(ir.image), vis=to_grey(vis.image), covered=self._covered)
        return replace(item, misalignment=measured)

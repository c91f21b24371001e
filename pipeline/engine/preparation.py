"""Prepares an admitted pair for fusion: perturbs it and measures its misalignment."""

from dataclasses import replace

from pipeline.config.sections import PerturbConfig
from pipeline.frames import Item
from pipeline.geometry.misalignment import misalignment
from pipeline.geometry.perturb import Perturb
from pipeline.geometry.registration import Register
from pipeline.images import to_grey


class Preparation:
    """Perturbs items and measures their misalignment."""

    def __init__(self, perturb: PerturbConfig, register: Register | None) -> None:
        """Begin.

        Args:
            perturb: The perturbation; nothing is done if it changes nothing.
            register: The registration of the pairs; None without a calibration.
        """
        self._perturb = Perturb(perturb) if perturb.changes else None
        self._covered = None if register is None else register.covered

    def __call__(self, item: Item) -> Item:
        """The perturbed item with its misalignment, which stays None if a camera is dead."""
        if self._perturb is not None:
            item = self._perturb(item)
        if item.dead is not None:
            return item
        _, ir, vis = item.pair.whole()
        measured = misalignment(ir=to_grey(ir.image), vis=to_grey(vis.image), covered=self._covered)
        return replace(item, misalignment=measured)

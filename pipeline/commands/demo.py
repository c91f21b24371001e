"""`irvis demo`: runs the default configuration on a chosen generated drive."""

import argparse
from collections.abc import Mapping

from pipeline.commands._arguments import KEYS
from pipeline.commands.run import run_configuration
from pipeline.config.config import DEFAULT

SCENES: Mapping[str, tuple[str, ...]] = {
    "afternoon": (),  # as configured: from a hot afternoon into the night
    "heat": ("source.time=afternoon",),
    "day": ("source.time=day",),
    "dusk": ("source.time=dusk_to_night",),
    "night": ("source.time=night",),
    "fog": ("source.time=day", "source.weather=fog"),
    "rain": ("source.time=dusk", "source.weather=rain"),
    "crowd": ("source.time=night", "source.traffic=dense"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the drive and overrides."""
    parser.add_argument(
        "--scene",
        choices=list(SCENES),
        default="afternoon",
        help="default: a hot afternoon until the night",
    )
    parser.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. source.seed=3")


def run(parsed: argparse.Namespace) -> None:
    """Run the default configuration on the chosen drive."""
    run_configuration(DEFAULT, [*overrides_of(parsed.scene), *parsed.overrides])


def overrides_of(scene: str) -> list[str]:
    """The overrides of ``configs/demo.yaml`` for a scene.

    Args:
        scene: One of ``SCENES``.
    """
    name = [] if scene == "afternoon" else [f"run.name=demo-{scene}"]
    return [*name, *SCENES[scene]]

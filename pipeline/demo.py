"""`irvis demo`: the default configuration on a drive of one's choice."""

from collections.abc import Mapping

SCENES: Mapping[str, tuple[str, ...]] = {
    "dusk": (),  # the configuration's own: from dusk into night
    "day": ("source.time=day",),
    "night": ("source.time=night",),
    "fog": ("source.time=day", "source.weather=fog"),
    "rain": ("source.time=dusk", "source.weather=rain"),
    "crowd": ("source.time=night", "source.traffic=dense"),
}


def overrides_of(scene: str) -> list[str]:
    """What a scene changes in ``configs/demo.yaml``.

    Args:
        scene: One of ``SCENES``.
    """
    name = [] if scene == "dusk" else [f"run.name=demo-{scene}"]
    return [*name, *SCENES[scene]]

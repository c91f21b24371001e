"""The runs of a sweep: from `key=v1,v2` overrides to named, validated configurations."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from common.errors import ConfigError
from pipeline.config import config
from pipeline.config.config import Config

OWN = ("run", "run.name", "run.dir", "run.resume")  # settings of the sweep, the same for all runs
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Point:
    """One run of a sweep.

    Attributes:
        values: Its value of each swept key, as written.
        name: Unique name of its folder.
        config: The validated configuration.
    """

    values: Mapping[str, str]
    name: str
    config: Config


def plan(path: Path, overrides: Sequence[str]) -> list[Point]:
    """The runs of a sweep; the values of the last swept key change fastest.

    Raises:
        ConfigError: No key has several values, one of the values is wrong, or a run would have no
            scores.
    """
    keys = [override.partition("=")[0] for override in overrides]
    choices = [_choices(override) for override in overrides]
    swept = {key: several for key, several in zip(keys, choices, strict=True) if len(several) > 1}
    _check_swept(keys, swept)
    points: list[Point] = []
    for settings in itertools.product(*choices):
        pairs = zip(keys, settings, strict=True)
        values = {key: setting.partition("=")[2] for key, setting in pairs if key in swept}
        try:
            checked = config.load(path, settings)
            _check_scored(checked)
        except ConfigError as error:
            raise ConfigError(f"with {label(values)}: {error}") from error
        points.append(Point(values, _name(values, {point.name for point in points}), checked))
    return points


def label(values: Mapping[str, str]) -> str:
    """The values of a point in one line, as written."""
    return " ".join(f"{key}={text}" for key, text in values.items())


def _choices(override: str) -> list[str]:
    """Split an override into one per value, each as written.

    `k=4,0` has two values, `k=[4,0]` has one, `k=[4,0],[8,0]` has two: YAML's flow style.
    """
    key, _, text = override.partition("=")
    try:
        listed = yaml.compose(f"[{text}]", yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return [override]  # validation of the configuration reports the error
    if not isinstance(listed, yaml.SequenceNode) or len(listed.value) < 2:
        return [override]
    marks = [(node.start_mark.index - 1, node.end_mark.index - 1) for node in listed.value]
    return [f"{key}={text[start:end]}" for start, end in marks]


def _check_swept(keys: Sequence[str], swept: Mapping[str, Sequence[str]]) -> None:
    if not swept:
        raise ConfigError(
            "no key has several values; write e.g. perturb.ir_noise=0,10,20, or use `irvis run` "
            "for one run"
        )
    for key, values in swept.items():
        if keys.count(key) > 1:
            raise ConfigError(f"{key} stands twice; give all its values at once: {key}=v1,v2")
        if key in OWN:
            raise ConfigError(f"{key}: belongs to the whole sweep; give it one value")
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ConfigError(f"{twice[0]} stands twice; leave one of them out")


def _check_scored(checked: Config) -> None:
    """A sweep compares scores."""
    if checked.detector is None:
        raise ConfigError("detector: there is none, so nothing would be scored; add detector.kind")
    if not checked.is_scored:
        raise ConfigError("sinks: none writes the scores; add sinks.results.kind=results")


def _name(values: Mapping[str, str], taken: set[str]) -> str:
    """A unique file name made of the values, in characters that are safe in shells."""
    parts = (
        f"{key}={re.sub(r'[^A-Za-z0-9_.,=+-]+', '_', text).strip('_')}"
        for key, text in values.items()
    )
    name = re.sub(r"[^A-Za-z0-9_.,=+-]+", "_", "+".join(parts))[:LONGEST_NAME]
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)

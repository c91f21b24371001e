"""The table of an ablation: each statistic of each arm, alone and less that of others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from common.cells import cell, plain
from common.files import write_json, write_text
from eval.average_precision import STATISTICS
from eval.quality.comparison import judge_quality
from pipeline.run_folder.names import ABLATION, ABLATION_TABLE, QUALITY
from training.ablation_config import Config

SCHEMA = 1

Json = dict[str, Any]


def summarize(config: Config, results: Mapping[str, Any], scored: Path) -> Json:
    """The content of ``ablation.json``.

    Args:
        config: Of the ablation.
        results: ``results.json`` of the scored run.
        scored: Its folder, which has ``quality.csv`` if the images were measured.

    Returns:
        Plain values. ``arms``, variants first: of a variant its ``changes``, ``steps``, ``seed``
        and ``weights_sha256``, and of all ``scores``, by statistic of ``results.json``: ``value``,
        ``ci95`` and ``less``, by arm of ``against``: ``difference``, ``ci95`` and ``verdict``.
    """
    quality = _quality(scored, config)
    arms = {}
    for name in results["arms"]:
        scores = {**_detection(results, name, config), **quality.get(name, {})}
        arms[name] = {**_training(config, results, name), "scores": scores}
    return {
        "schema": SCHEMA,
        "base": config.base,
        "against": list(config.against),
        "fingerprint": results["protocol"]["fingerprint"],
        "pairs": results["frames"]["paired"],
        "objects": results["objects"]["scored"],
        "arms": arms,
        "warnings": results["warnings"],
    }


def write(folder: Path, results: Mapping[str, Any]) -> None:
    """Write ``ablation.json`` and ``ablation.csv``."""
    write_json(folder / ABLATION, results, indent=1)
    columns = ["arm", "statistic", "value", "low", "high"]
    for other in results["against"]:
        less = f"less_{other}"
        columns += [less, f"{less}_low", f"{less}_high", f"{less}_verdict"]
    table = pd.DataFrame(_rows(results), columns=columns)
    write_text(folder / ABLATION_TABLE, table.map(cell).to_csv(index=False))


def _training(config: Config, results: Mapping[str, Any], name: str) -> Json:
    """What was trained; nothing for an arm of ``scoring``."""
    variant = config.variants.get(name)
    if variant is None:
        return {}
    return {
        "changes": dict(variant.changes),
        "steps": variant.config.schedule.steps,
        "seed": variant.config.schedule.seed,
        "weights_sha256": results["protocol"]["arms"][name]["weights_sha256"],
    }


def _detection(results: Mapping[str, Any], name: str, config: Config) -> Json:
    """The scores of an arm's detections; nothing without detector or labels."""
    part = results["arms"][name]["detection"]
    if part is None:
        return {}
    compared = results["comparisons"].get(name, {})
    return {
        key: {
            "value": part["yolo"][key],
            "ci95": part["ci95"][key],
            "less": {o: compared[o][key] for o in config.against if o in compared},
        }
        for key in STATISTICS
    }


def _quality(scored: Path, config: Config) -> Json:
    """The scores of each arm's images; nothing if they weren't measured."""
    path = scored / QUALITY
    if not path.is_file():
        return {}
    measured = pd.read_csv(path, dtype={"arm": str, "key": str}, keep_default_na=False,
                           na_values={})  # fmt: skip
    tables = {
        plain(str(arm)): part.drop(columns="arm").set_index("key").apply(pd.to_numeric)
        for arm, part in measured.groupby("arm", sort=False)
    }
    return judge_quality(tables, [other for other in config.against if other in tables])


def _rows(results: Mapping[str, Any]) -> Iterator[Json]:
    """The rows of ``ablation.csv``."""
    for arm, part in results["arms"].items():
        for statistic, score in part["scores"].items():
            low, high = score["ci95"] or (None, None)
            row = {
                "arm": arm, "statistic": statistic,
                "value": score["value"], "low": low, "high": high,
            }  # fmt: skip
            for other, entry in score["less"].items():
                less, (low, high) = f"less_{other}", entry["ci95"] or (None, None)
                row |= {
                    less: entry["difference"], f"{less}_low": low, f"{less}_high": high,
                    f"{less}_verdict": entry["verdict"],
                }  # fmt: skip
            yield row

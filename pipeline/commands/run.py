"""`irvis run`: runs one configuration."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.report.mask_tables import mask_sections, scored_masks
from eval.report.tables import own_labels_notes
from eval.report.verdict import verdict
from pipeline.commands import _terminal
from pipeline.commands._arguments import add_configuration, configuration
from pipeline.commands._sections import print_section
from pipeline.commands._terminal import (
    console,
    detector_text,
    print_lines,
    score_tables,
    time_table,
)
from pipeline.config import config
from pipeline.engine import runner
from pipeline.engine.runner import Outcome
from pipeline.run_folder.names import QUALITY
from pipeline.run_folder.summary import bottleneck, coverage, labels_json

SECTIONS = """\
sections of a configuration, each with an override:
  run           name and folder               run.name=first
  source        where the pairs come from     source.ir=DIR source.vis=DIR source.labels=DIR
  registration  warps infrared to visible     registration.calibration=FILE
  perturb       disturbs all pairs alike      perturb.shift=[4,0]
  arms          what the detector sees        arms.lap.kind=laplacian    arms.late=null
  detector      finds the objects             detector.weights=yolov5n.pt    detector=null
  segmenter     finds the class of pixels     segmenter.kind=unet arms.ir.segmenter.weights=FILE
  evaluation    how they are scored           evaluation.classes=[person,car]
  compute       device, batch, dtype          compute.device=cuda
  sinks         what is written               sinks.detections.kind=parquet
  engine        who computes (in compute)     compute.engine.kind=ray
irvis kinds lists what there is for each, irvis kinds arms fusionmamba the settings of a kind."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configuration and its overrides."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = SECTIONS
    add_configuration(parser, "arms.lap.kind=laplacian")


def run(parsed: argparse.Namespace) -> None:
    """Run the configuration."""
    run_configuration(*configuration(parsed))


def run_configuration(path: Path, overrides: Sequence[str]) -> None:
    """Run a configuration file with overrides and print the results."""
    checked = config.load(path, overrides)
    with _terminal.progress() as show:
        outcome = runner.run(checked, show, show.note)
    print_report(outcome)


def print_report(outcome: Outcome) -> None:
    """Print the headline, the tables of arms, notes and the run folder."""
    out = console()
    out.print(headline(outcome), highlight=False, markup=False)
    if outcome.results is not None:
        arms, times = outcome.results["arms"], outcome.timing["arms_ms_per_pair"]
        if scored_masks(outcome.results):
            for section in mask_sections(outcome.results):
                print_section(section)
            print_lines("", verdict(outcome.results).text)
        elif any(part["detection"] for part in arms.values()):
            for table in score_tables(outcome.results, times):
                out.print(table)
            print_lines(verdict(outcome.results).text)
        elif outcome.results["protocol"]["detector"] is not None:
            out.print("The source has no labels: detections and times, but no scores.")
            out.print(time_table(times))
        if any(part["quality"] for part in arms.values()):
            out.print(f"Image quality: irvis show has the means, {QUALITY} each image.")
    print_lines(*_notes(outcome), bottleneck(outcome.timing), f"Run folder: {outcome.folder}")


def headline(outcome: Outcome) -> str:
    """The share of the input that was processed, and the time it took."""
    summary, seconds = outcome.summary, outcome.timing["wall_s"]
    objects = {"scored": summary.objects, "labelled": summary.labelled_objects}
    speed = outcome.timing["pairs"] / seconds
    text = coverage(summary.frames, objects, labels_json(summary.classes, summary.labels))
    return f"{text}; {seconds:.1f} s, {speed:.1f} pairs/s"


def _notes(outcome: Outcome) -> Iterator[str]:
    if outcome.results is None:
        return
    for warning in outcome.results["warnings"]:
        yield f"Warning: {warning}"
    for note in (outcome.results["labels"] or {}).get("notes", []):
        yield f"Note: {note}"
    for note in own_labels_notes(outcome.results):
        yield f"Note: {note}"
    protocol = outcome.results["protocol"]
    detector = protocol["detector"]
    if detector is None:
        return
    changed = f", modified ({', '.join(protocol['modified'])})" if protocol["modified"] else ""
    scored = any(arm["detection"] for arm in outcome.results["arms"].values())
    yield (
        f"Protocol {protocol['preset']}{changed}: {detector_text(detector)}"
        + ("; P, R, mAP: YOLO convention" if scored else "")
    )

"""Fusion quality on real data: `python benchmarks/fusion_quality.py [--shared ../shared]`.

Fuses msrs/test, tno, the 40 RoadScene pairs of the dev set and the medical pairs of the shared data
with every arm below, and prints the paper's five metrics in one table per data set, with the row
"Ours" of Tables 1 to 6 of Xie et al., Visual Intelligence, 2024. The paper's figures are of the
whole test sets and of unpublished metric code; ours are of the available pairs.
"""

import argparse
import os
import tempfile
from pathlib import Path

from pipeline.config import config
from pipeline.engine import runner

METRICS = {"vif": "VIF", "scd": "SCD", "qabf": "Qabf", "ms_ssim": "MS-SSIM", "fmi": "FMI"}
ARMS = {
    "tiny": {"kind": "fusionmamba", "weights": "tiny"},
    "gate_unet": {"kind": "gate_unet", "weights": "gate_unet"},
    "tiny-paper": {"kind": "fusionmamba", "weights": "tiny-paper"},
    "average": {"kind": "average"},
    "maximum": {"kind": "maximum"},
    "laplacian": {"kind": "laplacian"},
}
# name: (infrared or MRI, visible or coloured, prefix of the stems, the paper's figures)
SETS = {
    "TNO (Table 1)": ("tno/ir", "tno/vi", "", (0.7717, 1.8314, 0.5468, 0.9331, 0.8858)),
    "MSRS test (Table 2)": (
        "msrs/test/ir", "msrs/test/vi", "", (0.8579, 1.6866, 0.5979, 0.7361, 0.9269)),
    "RoadScene, dev part (Table 3)": (
        "dev/ir", "dev/vi", "roadscene_", (0.5722, 1.5810, 0.4321, 0.6739, 0.9162)),
    "MRI-CT (Table 4)": (
        "medical/MRI_CT/MRI", "medical/MRI_CT/CT", "", (0.5750, 1.5884, 0.6429, 0.9462, 0.8624)),
    "MRI-PET (Table 5)": (
        "medical/MRI_PET/MRI", "medical/MRI_PET/PET", "", (0.6920, 1.3906, 0.7406, 0.9362, 0.8616)),
    "MRI-SPECT (Table 6)": (
        "medical/MRI_SPECT/MRI", "medical/MRI_SPECT/SPECT", "",
        (0.7891, 1.2106, 0.7080, 0.9545, 0.8901)),
}  # fmt: skip


def chosen(folder: Path, prefix: str, into: Path) -> Path:
    """Make a folder of links to the files with a prefix."""
    into.mkdir()
    for path in sorted(folder.resolve().iterdir()):
        if path.name.startswith(prefix):
            (into / path.name).symlink_to(path)
    return into


def measure(ir: Path, vis: Path, prefix: str) -> tuple[int, dict[str, dict[str, float]]]:
    """The number of pairs, and the mean metrics of each arm."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        source = {
            "kind": "image_folder",
            "ir": str(chosen(ir, prefix, work / "ir")),
            "vis": str(chosen(vis, prefix, work / "vis")),
        }
        settings = {
            "run": {"dir": str(work / "run"), "on_bad_pair": "fail"},
            "source": source,
            "arms": ARMS,
            "evaluation": {"quality": True},
            "compute": {"batch": 1},
            "sinks": {"results": {"kind": "results"}},
        }
        outcome = runner.run(config.check(settings), lambda done, total: None)
    assert outcome.results is not None
    arms = {arm: part["quality"] for arm, part in outcome.results["arms"].items()}
    return outcome.summary.frames["paired"], arms


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Fusion quality on real data.")
    default = Path(os.environ.get("IRVIS_SHARED", "../shared"))
    parser.add_argument("--shared", type=Path, default=default, help="folder with data/")
    data = parser.parse_args().shared / "data"
    for name, (ir, vis, prefix, paper) in SETS.items():
        pairs, arms = measure(data / ir, data / vis, prefix)
        print(f"\n{name}, {pairs} pairs\n")
        print(f"| arm | {' | '.join(METRICS.values())} |")
        print("|---|" + "---|" * len(METRICS))
        for arm, values in arms.items():
            print(f"| {arm} | {' | '.join(f'{values[key]:.3f}' for key in METRICS)} |", flush=True)
        print(f"| *the paper's FusionMamba* | {' | '.join(f'*{v:.3f}*' for v in paper)} |")


if __name__ == "__main__":
    main()

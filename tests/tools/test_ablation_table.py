"""The tables of an ablation that was made up."""

import json
import sys

from tools.ablation_table import main, tables

METRICS = ("map50", "map50_95", "vif", "scd", "qabf", "ms_ssim", "fmi")


def score(value, **less):
    return {"value": value, "ci95": [value - 0.1, value + 0.1], "less": less}


def results(*keys):
    better = {"difference": 0.2, "ci95": [0.05, 0.35], "verdict": "better"}
    unknown = {"difference": -0.01, "ci95": [-0.05, 0.03], "verdict": "no evidence"}
    full = {key: score(0.5, mean=better) for key in keys}
    other = {key: score(0.25, full=unknown, mean=better) for key in keys}
    arms = {"full": {"scores": full}, "no_ldc": {"scores": other}}
    return {"against": ["full", "mean"], "arms": arms}


def test_rows_are_arms():
    maps, quality = "\n".join(tables(results(*METRICS))).strip().split("\n\n")
    better, unknown = "+0.200 (+0.050 to +0.350) **better**", "-0.010 (-0.050 to +0.030)"
    assert maps.splitlines() == [
        "| arm | mAP@.5 | less full | less mean | mAP@.5:.95 | less full | less mean |",
        "|---|---|---|---|---|---|---|",
        "| full" + 2 * f" | 0.500 (0.400 to 0.600) |  | {better}" + " |",
        "| no_ldc" + 2 * f" | 0.250 (0.150 to 0.350) | {unknown} | {better}" + " |",
    ]
    assert quality.splitlines() == [
        "| arm | VIF | SCD | Qabf | MS-SSIM | FMI |",
        "|---|---|---|---|---|---|",
        "| full" + 5 * " | 0.500" + " |",
        "| no_ldc" + 5 * f" | 0.250, less full {unknown}" + " |",
    ]


def test_without_detector_there_is_one_table():
    assert "mAP" not in "\n".join(tables(results(*METRICS[2:])))


def test_a_folder_is_read(tmp_path, monkeypatch, capsys):
    (tmp_path / "ablation.json").write_text(json.dumps(results(*METRICS)))
    monkeypatch.setattr(sys, "argv", ["ablation_table", str(tmp_path)])
    main()
    assert capsys.readouterr().out.splitlines() == list(tables(results(*METRICS)))

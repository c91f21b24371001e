"""The tables of a fine-tuning that was made up."""

import json
import subprocess
import sys

import pytest

from tools.finetune_table import main, tables

BETTER = {"difference": 0.2, "ci95": [0.05, 0.35], "verdict": "better"}
UNKNOWN = {"difference": -0.01, "ci95": [-0.05, 0.03], "verdict": "no evidence"}


def scores(value):
    return {key: {"value": value, "ci95": [value - 0.1, value + 0.1]} for key in KEYS}


def trained(value):
    return {key: {**part, "seeds": [value - 0.01, value + 0.01]}
            for key, part in scores(value).items()}  # fmt: skip


KEYS = ("map50", "map50_95")


def test_rows_are_arms_and_tables_statistics(tmp_path, monkeypatch, capsys):
    both = dict.fromkeys(KEYS, BETTER)
    unknown = dict.fromkeys(KEYS, UNKNOWN)
    summary = {
        "arms": {
            "stacked": {"frozen": None, "trained": trained(0.75), "ms": 12.4},
            "late": {"frozen": scores(0.5), "trained": trained(0.7), "ms": None},
        },
        "gains": {"late": both},
        "differences": {"stacked": {"late": unknown}, "late": {"stacked": unknown}},
    }
    lines = list(tables(summary, "late"))
    expected = [
        "| arm | ms | frozen | trained | by seed | trained less frozen | less late |",
        "|---|---|---|---|---|---|---|",
        "| stacked | 12 | – | 0.750 (0.650 to 0.850) | 0.740 0.760 |  "
        "| -0.010 (-0.050 to +0.030) |",
        "| late | – | 0.500 (0.400 to 0.600) | 0.700 (0.600 to 0.800) | 0.690 0.710 "
        "| +0.200 (+0.050 to +0.350) **better** |  |",
    ]
    assert lines == ["", "mAP@.5", "", *expected, "", "mAP@.5:.95", "", *expected]
    (tmp_path / "finetune.json").write_text(json.dumps({"pairs": 5, "seeds": 3, **summary}))
    monkeypatch.setattr(sys, "argv", ["finetune_table", str(tmp_path)])
    main()
    assert capsys.readouterr().out.splitlines() == ["5 pairs, 3 seeds", *lines]
    monkeypatch.setattr(sys, "argv", ["finetune_table", str(tmp_path), "--against=ir"])
    with pytest.raises(SystemExit):
        main()
    assert "no arm ir; choose from stacked, late" in capsys.readouterr().err


def test_it_is_called_as_its_first_line_says():
    command = [sys.executable, "tools/finetune_table.py", "--help"]
    assert "--against" in subprocess.run(command, check=True, capture_output=True, text=True).stdout

"""What an attack found, by kind: files that are hostile or damaged end in one line and code 2."""

import csv
import io
import json
import os
import shutil
import sys

import pytest
import yaml

from pipeline import cli
from pipeline.config import config
from pipeline.engine import runner
from tests.helpers import toys

ROW = b"0 0.5 0.5 0.2 0.2\n"


def refused(capsys, *arguments):
    """The line that a command says."""
    assert cli.main([str(a) for a in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("irvis: ")
    return line


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with a report, one of its keys a formula."""
    folder = tmp_path_factory.mktemp("attack")
    root = toys.write_pairs(folder / "pairs")
    for name, end in (("ir", "png"), ("vi", "png"), ("labels", "txt")):
        (root / name / f"000.{end}").rename(root / name / f"=1+1.{end}")
    (root / "vi" / "001.png").write_bytes(b"")
    settings = toys.settings(root)
    settings["run"] = {"dir": str(folder / "run"), "on_bad_pair": "skip"}
    settings["sinks"]["report"] = {"kind": "report"}
    return runner.run(config.check(settings), lambda done, total: None).folder


@pytest.fixture
def run(made, here):
    return shutil.copytree(made, here / "run")


def test_formulas_in_tables_are_text_and_read_back(made):
    with (made / "pairs.csv").open(newline="") as file:
        assert "'=1+1" in [row["key"] for row in csv.DictReader(file)]
    with (made / "ledger.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["key"] == "001"
    images = json.loads((made / "ground_truth.json").read_text())["images"]
    assert "=1+1" in [image["key"] for image in images]


def test_pipes_are_refused(pairs, capsys):
    for path in (pairs / "ir" / "000.png", pairs / "labels" / "000.txt"):
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        (pairs.parent / "toy.yaml").write_text(yaml.safe_dump(toys.settings(pairs)))
        assert f"{path}: cannot be read: it is a pipe or a device" in refused(
            capsys, "run", "toy.yaml"
        )
        path.unlink()
        path.write_bytes(content)


def test_a_dangling_link_as_runs(pairs, capsys):
    (pairs.parent / "toy.yaml").write_text(yaml.safe_dump(toys.settings(pairs)))
    (pairs.parent / "runs").symlink_to("/nonexistent/disk")
    for command in (("run",), ("sweep", "perturb.ir_noise=0,1")):
        line = refused(capsys, command[0], "toy.yaml", *command[1:])
        assert "runs is a link to /nonexistent/disk, which doesn't exist" in line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("inputs.json", b""),
        ("inputs.json", b"\xff"),
        ("config.yaml", b"a: !!int ''"),
        ("config.yaml", b"[1, 2"),
        ("config.yaml", b"- 1"),
        ("config.yaml", b"sinks: 1"),
        ("frames.jsonl", b"{}\n" * 4),
        ("frames.jsonl", b'{"key": \xff\n' * 4),
        ("predictions/ir.log", b"\0"),
        ("table.parts/000000-000003.parquet", b"PAR1"),
        ("video/film.parts/000000-000003.mp4", b"\0\0\0\x20ftypisom"),
        ("mot/detections.jsonl", b"{}\n" * 4),
        ("mot/detections.jsonl", b'{"time_ns": null, "boxes": {"ir": []}}\n' * 4),
        ("mot/detections.jsonl", b'{"time_ns": 1, "boxes": \xff\n' * 4),
        ("pairs.jsonl", b"[\n" * 4),
    ],
)
def test_a_damaged_unfinished_run_is_found_before_anything_is_computed(
    pairs, capsys, name, content, monkeypatch
):
    settings = toys.settings(pairs)
    kinds = {"table": "parquet", "film": "video", "mot": "mot", "pairs": "jsonl"}
    settings["sinks"] |= {name: {"kind": kind} for name, kind in kinds.items()}
    (pairs.parent / "toy.yaml").write_text(yaml.safe_dump(settings))

    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(runner, "CHECKPOINT", 1)
    with pytest.raises(KeyboardInterrupt):
        runner.run(config.check(settings), stop)
    partial = pairs.parent / "runs" / "toy.partial"
    with (partial / "progress.log").open("ab") as file:
        file.write(b"\xff\xfe\n" + b"1" * 5001 + b"\n12")
    (partial / name).write_bytes(content)
    monkeypatch.setattr(runner.Compute, "run", lambda *_: pytest.fail("computed"))
    line = refused(capsys, "run", "toy.yaml", "run.resume=true")
    assert name.rpartition("/")[2] in line


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "name", ["results.json", "timing.json", "curves.json", "gallery", "ledger.csv"]
)
@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        lambda path: path.write_bytes(b"\xff\xfe\x00" * 100),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text('{"schema": 1, "stages": {}, "number": "x", "arms": 3}'),
    ],
)
def test_a_report_of_damaged_files(run, capsys, name, damage):
    path = next(run.glob("gallery/*.json")) if name == "gallery" else run / name
    damage(path)
    if name == "ledger.csv" and damage is cut_short:
        assert cli.main(["report", str(run)]) == 0  # a table with fewer rows
    else:
        assert path.name in refused(capsys, "report", run)


def test_a_report_of_edited_numbers(run, capsys):
    change(run / "timing.json", wall_s=0)
    assert "timing.json: wall_s" in refused(capsys, "report", run)
    change(run / "timing.json", wall_s=1, parts={"a": 3})
    assert "timing.json: parts.a" in refused(capsys, "report", run)
    shutil.copy(run / "results.json", "results.json")
    change(run / "results.json", comparisons={"fused": {"nobody": {}}})
    assert "the comparisons of 'fused' are none of these arms" in refused(capsys, "report", run)


def test_names_are_no_markup(run, capsys):
    results = json.loads((run / "results.json").read_text())
    for part in results["arms"].values():
        part["detection"] = None
    (run / "results.json").write_text(json.dumps(results | {"comparisons": {}}))
    change(run / "timing.json", arms_ms_per_pair={"[/x]": {"[b]fuse": 1.0}})
    assert cli.main(["show", str(run)]) == 0
    assert "[/x]" in capsys.readouterr().out


def test_output_that_is_ascii_or_has_surrogates(run, monkeypatch):
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"warnings": ["é \ud800"]}))
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    assert cli.main(["show", str(run)]) == 0
    assert rb"Warning: \xe9 \ud800" in written.getvalue()


def test_a_reader_that_has_enough(run, monkeypatch, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w"))
    assert cli.main(["show", str(run)]) == 0


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")],
)
def test_too_little_memory_is_one_line(run, capsys, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("pipeline.commands.show.print_report", fail)
    assert "not enough memory" in refused(capsys, "show", run)
    missing = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: (_ for _ in ()).throw(missing))
    assert "not enough memory" in refused(capsys, "show", run)


@pytest.mark.parametrize(
    "overrides",
    [
        ("source.kind=video", "source.ir=rtsp://u:S3CRET@h/x", "source.vis=rtsp://u:S3CRET@h/y"),
        ("source.root=[rtsp://u:S3CRET@h/x]",),
        ("source.root=[rtsp://u:S3CRET@h/x",),
        ("source.root=rtsp://u:S3CRET@h/x",),
        ("source.root={rtsp://u:S3CRET@h/x: !!int x}",),
        ("arms.fused.kind=rtsp://u:S3CRET@h",),
    ],
)
def test_no_message_shows_a_password(pairs, capsys, overrides):
    (pairs.parent / "toy.yaml").write_text(yaml.safe_dump(toys.settings(pairs)))
    line = refused(capsys, "run", "toy.yaml", *overrides)
    assert "S3CRET" not in line
    with pytest.raises(SystemExit):
        cli.main(["show", "x", "rtsp://u:S3CRET@h"])
    assert "S3CRET" not in capsys.readouterr().err


def test_small_files_of_large_values(pairs, capsys):
    bomb = "a: &a0 [x]\n" + "".join(f"b{i}: &a{i + 1} [{f'*a{i},' * 9}]\n" for i in range(30))
    (pairs.parent / "bomb.yaml").write_text(f"{bomb}source: *a30\narms: 1\n")
    assert len(refused(capsys, "run", "bomb.yaml")) < 2100
    merge = "a: &a0 {x: 1}\n" + "".join(
        f"b{i}: &a{i + 1} {{<<: [{f'*a{i},' * 9}]}}\n" for i in range(30)
    )
    (pairs.parent / "merge.yaml").write_text(merge)
    assert "source is missing" in refused(capsys, "run", "merge.yaml")

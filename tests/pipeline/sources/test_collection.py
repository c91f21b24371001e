"""Several recordings and folders as one source, on one machine and cut into shards."""

import json
from itertools import pairwise

import av
import pytest
import yaml
from PIL import Image, ImageOps

from common.errors import DataError
from tests.helpers import toys, workers
from tests.helpers.runs import execute, files, read_csv, read_json

TOY = "tests.helpers.toy_recording"


def table(folder, *rows):
    path = folder / "table.yaml"
    path.write_text(yaml.safe_dump(list(rows)))
    return path


def run(folder, path, engine=None, **more):
    """Batches of two pairs, shards of two stills."""
    compute = {"device": "cpu", "batch": 2, "engine": {"shard": 2, **(engine or {})}}
    source = {"kind": "collection", "table": str(path)}
    run = {"dir": str(folder), "on_bad_pair": "skip"}
    return execute(toys.settings("", source=source, compute=compute, run=run, **more))


def same(one, other):
    a, b = files(one.folder), files(other.folder)
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name] and name != "config.yaml"] == []


@pytest.fixture
def drives(tmp_path):
    """Three recordings, with a dead camera, frames without partner, and one that is damaged."""
    return table(
        tmp_path,
        {"name": "monday", "kind": TOY, "frames": 7},
        {"name": "tuesday", "kind": TOY, "frames": 25, "vis": {"frozen": [2, 16]}},
        {"name": "wednesday", "kind": TOY, "frames": 5, "ir": {"missing": [1], "lost": [3]}},
    )


SINKS = {
    "results": {"kind": "results"},
    "lines": {"kind": "jsonl"},
    "tracks": {"kind": "mot", "arms": ["ir"]},
    "film": {"kind": "video", "arms": ["ir"]},
}


def test_recordings_one_after_the_other_are_as_each_alone(drives, tmp_path):
    outcome = run(tmp_path / "all", drives, sinks=SINKS)
    lines = [json.loads(line) for line in (outcome.folder / "lines.jsonl").open()]
    rows = read_csv(outcome.folder / "ledger.csv")
    for entry in yaml.safe_load(drives.read_text()):
        name = entry.pop("name")
        alone = execute(
            toys.settings(
                "", source=entry, sinks=SINKS,
                compute={"device": "cpu", "batch": 2}, run={"dir": str(tmp_path / name)},
            )
        )  # fmt: skip
        mine = [line for line in lines if line["key"].startswith(f"{name}/")]
        first = lines.index(mine[0])
        for line in mine:
            line["key"] = line["key"].partition("/")[2]
            line["number"] -= first
        expected = [json.loads(line) for line in (alone.folder / "lines.jsonl").open()]
        assert mine == expected
        ledger = [
            {column: text.replace(f"{name}/", "") for column, text in row.items()}
            for row in rows
            if name in row["key"]
        ]
        assert ledger == read_csv(alone.folder / "ledger.csv")
        assert outcome.results["sync"][name] == alone.results["sync"]
    assert outcome.summary.frames["fallback"] == 5  # of frozen ones from the tenth on


def test_shards_of_a_collection_have_the_same_bytes(drives, tmp_path):
    toys.write_pairs(tmp_path / "stills", 5, labels=False)
    rows = yaml.safe_load(drives.read_text())
    rows.insert(1, {"name": "stills", "kind": "msrs", "root": "stills"})
    path = table(tmp_path, *rows)
    workers.COMPUTED.clear()
    here = run(tmp_path / "here", path, sinks=SINKS)
    there = run(tmp_path / "there", path, {"kind": "tests.helpers.workers"}, sinks=SINKS)
    same(here, there)
    assert sorted(workers.COMPUTED) == list(range(6))  # three recordings, three shards of stills
    assert here.summary == there.summary


def test_warnings_that_need_all_stills_are_where_one_process_has_them(tmp_path):
    """After those of the recording before them, and before those of the next one."""
    toys.write_pairs(tmp_path / "stills", 5, labels=False)
    for path in (tmp_path / "stills" / "ir").iterdir():
        ImageOps.colorize(Image.open(path), "black", "red").save(path)
    path = table(
        tmp_path,
        {"name": "monday", "kind": TOY, "frames": 5, "ir": {"missing": [1]}},
        {"name": "stills", "kind": "msrs", "root": "stills"},
        {"name": "tuesday", "kind": TOY, "frames": 7, "ir": {"missing": [1, 2]}},
    )
    here = run(tmp_path / "here", path)
    there = run(tmp_path / "there", path, {"kind": "tests.helpers.workers"})
    same(here, there)
    said = [text.partition(" ")[0] for text in here.results["warnings"][-3:]]
    assert said == ["1", f"{tmp_path / 'stills' / 'ir' / '000.png'}:", "2"]


def test_tracks_and_films_begin_anew_with_each_recording(drives, tmp_path):
    outcome = run(tmp_path / "all", drives, sinks=SINKS)
    keys = [image["key"] for image in read_json(outcome.folder / "ground_truth.json")["images"]]
    tracks = {}
    for line in (outcome.folder / "tracks" / "ir.txt").open():
        frame, track = line.split(",")[:2]
        tracks.setdefault(track, set()).add(keys[int(frame) - 1].partition("/")[0])
    assert all(len(names) == 1 for names in tracks.values())
    with av.open(str(outcome.folder / "video" / "film.mp4")) as film:
        times = [float(frame.time) for frame in film.decode(video=0)]
    steps = [round(b - a, 3) for a, b in pairwise(times)]
    assert len(times) == len(keys)
    assert set(steps) <= {0.1, 0.2, 0.3}  # ten frames a second, of which some are missing


def test_labelled_folders_are_counted_together(tmp_path):
    toys.write_pairs(tmp_path / "a", 3)
    toys.write_pairs(tmp_path / "b", 4)
    path = tmp_path / "table.csv"
    path.write_text("name,kind,root\na,msrs,a\nb,msrs,b\n")
    here = run(tmp_path / "here", path)
    there = run(tmp_path / "there", path, {"kind": "tests.helpers.workers"})
    same(here, there)
    assert here.results["objects"] == {"scored": 7, "labelled": 7}
    assert here.results["labels"]["counted"] == {"person": 7}
    assert here.results["sync"] is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lists nothing; give name, kind and settings"),
        ("name,kind,root\na,msrs,a\na,msrs,a\n", "the name 'a' occurs twice"),
        ("name,kind,root\n,msrs,a\n", r"table\.csv:2: name is missing"),
        ("name,kind,root\na/b,msrs,a\n", r"table\.csv:2: name: .*match pattern"),
        ("name,kind,root\na,msr,a\n", r"table\.csv:2: a\.kind: unknown 'msr'"),
        (
            "name,kind,root,rot\na,msrs,a,b\n",
            r"table\.csv:2: unknown key a\.rot; did you mean 'root'",
        ),
        ("name,kind,root\na,msrs,a,b\n", r"table\.csv:2: has 4 cells, the header 3"),
        ("name,kind,root\na,msrs,s3://a/b\n", r"table\.csv:2: a\.root: 's3://a/b' is an address"),
        ("name,kind,table\na,collection,a\n", "a collection can't be in another one"),
        ("name,kind,root\na,msrs,nowhere\n", r"a: source\.root: .*nowhere is no folder"),
        ("name,kind,root\na,msrs,a\nb,msrs,b\n", "must have labels or none"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path, text, reason):
    toys.write_pairs(tmp_path / "a", 1)
    toys.write_pairs(tmp_path / "b", 1, labels=False)
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(DataError, match=reason) as told:
        run(tmp_path / "run", tmp_path / "table.csv")
    assert str(told.value).startswith(str(tmp_path / "table.csv"))
    assert not (tmp_path / "run.partial").exists()


@pytest.mark.parametrize("content", ["a: 1", "[1]"])
def test_what_is_wrong_with_a_list(tmp_path, content):
    (tmp_path / "table.yaml").write_text(content)
    with pytest.raises(DataError, match=r"table\.yaml.*: must be a (list|map)"):
        run(tmp_path / "run", tmp_path / "table.yaml")

import pytest

from common.errors import ConfigError, DataError
from common.files import writing
from pipeline.run_folder.sink_files import Lines, Parts, read_lines
from tests.helpers.stand import full_disk


def test_lines_beyond_the_last_checkpoint_are_cut_off(tmp_path):
    path = tmp_path / "folder" / "lines"
    first = Lines(path, "sink", 0)
    for value in ("1", '{"a": "ü"}', "[2]"):
        first.write(value)
    path.write_bytes(path.read_bytes() + b'{"half a li')
    again = Lines(path, "sink", 2)
    again.write("7")
    again.close()
    assert list(read_lines(path)) == [1, {"a": "ü"}, 7]


@pytest.mark.parametrize("content", [None, "", "1\n", "1\n2"])
def test_lines_that_are_missing_are_no_resume_and_stay(tmp_path, content):
    path = tmp_path / "lines"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"sinks\.sink: has not received .* 2 pairs.*sink=null"):
        Lines(path, "sink", 2)
    assert content is None or path.read_text() == content


def test_what_the_disk_takes_of_a_line_is_written(tmp_path):
    lines = Lines(tmp_path / "lines", "sink", 0)
    with full_disk(10), pytest.raises(DataError, match=r"lines: cannot be written \(File too la"):
        lines.write("x" * 100)
    lines.close()
    assert (tmp_path / "lines").read_text() == "x" * 10


def make(parts, first, last):
    parts.begin(first).write_text(f"{first} ")
    parts.end(last)


def copy(parts, path):
    path.write_text("".join(part.read_text() for part in parts))


def test_parts_become_one_file_in_order(tmp_path):
    parts = Parts(tmp_path / "x.txt", "sink", 0)
    for first, last in ((0, 63), (64, 999_999), (1_000_000, 1_000_000), (1_000_001, 1_000_009)):
        make(parts, first, last)
    parts.join(copy)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "0 64 1000000 1000001 "


@pytest.mark.parametrize(("done", "kept"), [(0, []), (4, ["000000-000003.txt"])])
def test_parts_beyond_the_last_checkpoint_are_removed(tmp_path, done, kept):
    parts = Parts(tmp_path / "x.txt", "sink", 0)
    make(parts, 0, 3)
    make(parts, 4, 7)
    parts.begin(8).write_text("half")
    (tmp_path / "x.parts" / "whole.txt").write_text("half")
    again = Parts(tmp_path / "x.txt", "sink", done)
    assert [path.name for path in again.whole] == kept
    assert sorted(path.name for path in (tmp_path / "x.parts").iterdir()) == kept


@pytest.mark.parametrize("done", [2, 6, 12, 16])
def test_parts_that_are_missing_are_no_resume_and_stay(tmp_path, done):
    parts = Parts(tmp_path / "x.txt", "sink", 0)
    for first, last in ((0, 3), (8, 11), (12, 15)):
        make(parts, first, last)
    with pytest.raises(ConfigError, match=rf"sinks\.sink: has not received the first {done} pairs"):
        Parts(tmp_path / "x.txt", "sink", done)
    assert len(list((tmp_path / "x.parts").iterdir())) == 3


def test_the_system_names_the_reason(tmp_path):
    with (
        pytest.raises(DataError, match=r"y: cannot be written \(No such file or directory\)"),
        writing(tmp_path / "y"),
    ):
        (tmp_path / "no" / "y").write_text("")

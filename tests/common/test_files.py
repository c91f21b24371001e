"""The one reader and the one writer of state: pipes, sizes, encodings, tags, kills."""

import json
import os
from pathlib import Path

import pytest
import yaml

from common import files
from common.errors import DataError
from common.files import check_file, decode_xml, load_json, load_yaml, parse_yaml, read_text


def test_only_drafts_are_removed(tmp_path):
    (tmp_path / "below").mkdir()
    drafts = [".a.json.17.draft", "below/.b.csv.4.draft"]
    kept = [".draft", ".a.json.draft", "a.17.draft", ".a.17.draft.txt", "below/c.draft"]
    for name in (*drafts, *kept):
        (tmp_path / name).write_text("")
    files.remove_drafts(tmp_path)
    left = (p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert sorted(left) == sorted(kept)


def test_only_regular_files_are_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, what in (
        (pipe, "a pipe or a device"),
        (tmp_path, "a folder"),
        (tmp_path / "x", "exist"),
    ):
        for read in (check_file, read_text, load_json, load_yaml):
            with pytest.raises(DataError, match=what):
                read(path)


def test_what_is_too_large_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    with path.open("wb") as file:
        file.truncate(3 * files.MEGABYTE)
    with pytest.raises(DataError, match=r"has 3 MB, over the limit of 1 MB"):
        load_yaml(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "cannot be read as text"),
        (b'{"a": 1,}', "a.json:1: not JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"1" * 5001, "cannot be read as JSON"),
        (b"", "not JSON"),
    ],
)
def test_json_that_is_none(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=reason) as raised:
        load_json(tmp_path / "a.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["!!int ''", "!!bool x", "!!timestamp x", "!!set [1]", "!!float x", "!!binary ü", "!!omap 1",
     "!!pairs x", "!!int 0x", "[", "{a: b: c}", "*x", "\x00", "1" * 5001, "[" * 1000,
     "!!python/x 1", "2001-99-99", "{[]: 1}", "!!null {a: 1}", "'"],
)  # fmt: skip
def test_yaml_that_is_none(text):
    with pytest.raises(ValueError, match=r"^.{1,200}$"):
        parse_yaml(f"a: {text}" if len(text) > 1 else text)


def test_no_secret_in_what_is_wrong_with_yaml(tmp_path):
    (tmp_path / "a.yaml").write_text("source: {ir: rtsp://u:S3CRET@host: [}")
    with pytest.raises(DataError, match="line 1") as raised:
        load_yaml(tmp_path / "a.yaml")
    assert "S3CRET" not in str(raised.value)


def test_a_file_is_the_old_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    link = tmp_path / "link"
    link.symlink_to(path)
    monkeypatch.setattr(
        files.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(DataError, match="full"):
        files.write_json(path, {"a": 2})
    monkeypatch.undo()
    assert json.loads(path.read_text()) == {"a": 1}
    files.write_json(link, {"a": "\ud800"})
    assert link.is_symlink()
    assert json.loads(path.read_text()) == {"a": "\ud800"}
    files.write_text(path, "\ud800")
    assert path.read_text() == "\\ud800"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "link"]


def test_yaml_is_yaml():
    value = {"a": [1, None, {"b": "ü"}]}
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "big5", "Shift_JIS", "EUC-KR"])
def test_xml_in_encodings_that_expat_lacks(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><a>人</a>'
    assert decode_xml(text.encode(encoding)) == text


def test_other_xml_is_left_to_expat():
    for data in (b"<a/>", b'<?xml version="1.0" encoding="utf-8"?><a/>', b"\xff", b""):
        assert decode_xml(data) is data
    with pytest.raises(LookupError):
        decode_xml(b'<?xml version="1.0" encoding="klingon"?><a/>')


def test_a_home_that_nobody_has_is_a_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert files.expand("~/a.pt") == Path("/home/me/a.pt")
    assert files.expand("~no-such-user/a.pt") == Path("~no-such-user/a.pt")

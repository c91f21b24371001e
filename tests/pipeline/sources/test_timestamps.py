import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from pipeline.sources._timestamps import image_times, video_times


def write(folder, text):
    path = folder / "times.csv"
    path.write_text(text)
    return path


def test_nanoseconds_and_seconds_are_exact(here):
    assert video_times(write(here, "frame,time_ns\n0,-5\n1,1700000000123456789\n")) == [
        -5, 1_700_000_000_123_456_789,
    ]  # fmt: skip
    assert video_times(write(here, "frame,time_s\n0,0.1\n1,1700000000.123456789\n")) == [
        100_000_000, 1_700_000_000_123_456_789,
    ]  # fmt: skip


def test_other_columns_spaces_blank_lines_and_a_mark_at_the_front(here):
    path = here / "times.csv"
    path.write_bytes(b'\xef\xbb\xbfnote, time_ns ,frame\r\nx, 3 ,0\r\n\r\n"a, b",3,1\r\n')
    assert video_times(path) == [3, 3]


def test_names_keep_their_order(here):
    times = image_times(write(here, "time_ns,name\n1,b.png\n2,a.png\n"))
    assert list(times.items()) == [("b.png", 1), ("a.png", 2)]


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1).map(sorted))
def test_what_was_written_is_read(tmp_path_factory, times):
    rows = "".join(f"{i},{time}\n" for i, time in enumerate(times))
    path = write(tmp_path_factory.getbasetemp(), "frame,time_ns\n" + rows)
    assert video_times(path) == times


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "frame,time\n0,0\n",
            r"line 1: needs the columns frame and time_ns or time_s, has frame, ",
        ),
        ("", "line 1: .* has none"),
        ("frame,time_ns\n", "lists no frames"),
        ("frame,time_ns\n0,0\n2,5\n", "line 3: frame '2' where 1 follows"),
        ("frame,time_ns\n1,0\n", "line 2: frame '1' where 0 follows"),
        ("frame,time_ns\n0,0\n1\n", "line 3: time_ns must be whole nanoseconds, not ''"),
        ("frame,time_ns\n0,1.5\n", "line 2: time_ns must be whole nanoseconds, not '1.5'"),
        ("frame,time_ns\n0,nan\n", "line 2: .*'nan'"),
        ("frame,time_ns\n0,9223372036854775808\n", "line 2: "),
        ("frame,time_s\n0,1e3\n", "line 2: time_s must be seconds like 12.345, not '1e3'"),
        ("frame,time_s\n0,99999999999\n", "line 2: "),
        ("frame,time_ns\n0,5\n1,5\n2,4\n", "line 4: time_ns 4 is before the line above"),
        ('frame,time_ns\n0,"5\n', "not a CSV file"),
    ],
)
def test_mistakes_are_named_with_their_line(here, text, message):
    with pytest.raises(DataError, match=r"times\.csv.*" + message):
        video_times(write(here, text))


def test_a_name_twice_and_files_that_cannot_be_read(here):
    with pytest.raises(DataError, match=r"line 3: 'a\.png' was listed before"):
        image_times(write(here, "name,time_ns\na.png,0\na.png,1\n"))
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        image_times(here / "nowhere.csv")
    (here / "times.csv").write_bytes(b"name,time_ns\n\xff,0\n")
    with pytest.raises(DataError, match="not a CSV file"):
        image_times(here / "times.csv")

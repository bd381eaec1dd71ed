from __future__ import annotations

from pathlib import Path

import pytest

from metricface.data.tables import read_table
from metricface.errors import DataError

LAYOUT = "The columns are path, split."


def written(folder: Path, content: bytes) -> Path:
    (folder / "t.csv").write_bytes(content)
    return folder / "t.csv"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_rows_know_their_lines(mark: bytes, end: bytes, tmp_path: Path) -> None:
    lines = [b"split,path,note", b'val,"a, ""b"".jpg",x', b"", b"train,\xc3\xa9.jpg"]
    table = read_table(written(tmp_path, mark + end.join(lines)), ("path", "split"), LAYOUT)
    assert list(table.columns) == ["split", "path", "note"]
    assert [(row.line, dict(row.values)) for row in table.rows] == [
        (2, {"split": "val", "path": 'a, "b".jpg', "note": "x"}),
        (4, {"split": "train", "path": "é.jpg", "note": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{file}:1: no column 'path'. The columns are path, split."),
        (b"path;split\na;b\n", "{file}:1: no column 'path' (got path;split). The columns are path, split."),
        (b"path,split,path\na,b,c\n", "{file}:1: the column 'path' is there twice. Take one out."),
        (b"path,split\n", "{file}: lists no photo."),
        (b"path,split\na,b\nc, d,e\n", "{file}:3: has more values than the 2 columns of line 1. Put a value with a c"),
        (b'path,split\n"a,b\nc,d\n', "{file}: not a CSV file in UTF-8 (unexpected end of data)."),
        (b"path,split\n\xe9,b\n", "{file}: not a CSV file in UTF-8 ('utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    file = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_table(file, ("path", "split"), LAYOUT)
    assert str(caught.value).startswith(message.format(file=file))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read \(No such file or directory\)\."):
        read_table(tmp_path / "gone.csv", ("path",), LAYOUT)
    with pytest.raises(DataError, match=r": cannot be read \(Is a directory\)\."):
        read_table(tmp_path, ("path",), LAYOUT)

from __future__ import annotations

from metricface.recipe.toml_lines import key_lines

TEXT = """\
[foo.bar]
a = 1
[[loss]]
x.y = [
  1,
]
[[loss]]
[loss.deep]
b = 2
[sampler.x]
[sampler]
"""


def test_lines_end_where_toml_ends_them() -> None:
    text = '# a\u2028b\x85\r\n[run]\r\nname = "a\u2028b"\r\nseed = 1\r\n'
    assert key_lines(text) == {("run",): 2, ("run", "name"): 3, ("run", "seed"): 4}


def test_every_header_its_prefixes_and_every_key_have_a_line() -> None:
    assert key_lines(TEXT) == {
        ("foo",): 1,
        ("foo", "bar"): 1,
        ("foo", "bar", "a"): 2,
        ("loss",): 3,
        ("loss", 0): 3,
        ("loss", 0, "x"): 4,
        ("loss", 0, "x", "y"): 4,
        ("loss", 1): 7,
        ("loss", 1, "deep"): 8,
        ("loss", 1, "deep", "b"): 9,
        ("sampler", "x"): 10,
        ("sampler",): 11,
    }

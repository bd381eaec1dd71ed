from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from metricface.data.making.choice import Choice, Draw, Photo, choose, read_choice
from metricface.errors import DataError, UsageError


def people(root: Path, **photos: int) -> Path:
    for person, count in photos.items():
        (root / person).mkdir(parents=True)
        for number in range(count):
            (root / person / f"{number}.jpg").touch()
    return root


def of(source: Path, choice: Choice) -> tuple[Sequence[Photo], list[str]]:
    """Return the photos, and the notices without the folder."""
    return choice.photos, [notice.removeprefix(f"{source}: ") for notice in choice.notices]


def drawn(source: Path, *, seed: int = 0, **numbers: int) -> dict[str, set[str]]:
    splits: dict[str, set[str]] = {"train": set(), "val": set()}
    for photo in choose(source, Draw(**numbers), seed=seed).photos:
        splits[photo.split].add(photo.person)
    return splits


TEN = {f"p{number}": 3 for number in range(10)}


def test_a_fifth_is_val_and_nobody_is_in_both(tmp_path: Path) -> None:
    splits = drawn(people(tmp_path, **TEN, lonely=1))
    assert len(splits["val"]) == 2
    assert splits["train"] == set(TEN) - splits["val"]


def test_the_numbers_asked_for_are_met(tmp_path: Path) -> None:
    people(tmp_path, **TEN)
    splits = drawn(tmp_path, train_people=4, val_people=5)
    assert [len(splits["train"]), len(splits["val"])] == [4, 5]
    assert not splits["train"] & splits["val"]
    assert [len(split) for split in drawn(tmp_path, train_people=9).values()] == [9, 1]
    assert [len(split) for split in drawn(tmp_path, val_people=7).values()] == [3, 7]


def test_the_seed_draws(tmp_path: Path) -> None:
    people(tmp_path, **TEN)
    assert drawn(tmp_path, seed=1) == drawn(tmp_path, seed=1)
    assert len({frozenset(drawn(tmp_path, seed=seed)["val"]) for seed in range(8)}) > 3


def test_limits_per_person(tmp_path: Path) -> None:
    people(tmp_path, few=2, some=3, many=9)
    photos, notices = of(tmp_path, choose(tmp_path, Draw(min_per_person=3, limit_per_person=4)))
    assert notices == ["1 person has fewer photos than --min-per-person and is left out"]
    assert sorted((photo.person, photo.name) for photo in photos) == [
        *(("many", f"{number}.jpg") for number in range(4)),
        *(("some", f"{number}.jpg") for number in range(3)),
    ]


def test_only_photos_count_and_one_of_each_name(tmp_path: Path) -> None:
    people(tmp_path, ann=2, bob=2)
    (tmp_path / "ann" / "0.png").touch()
    (tmp_path / "ann" / "notes.txt").touch()
    (tmp_path / "ann" / "._1.jpg").touch()
    (tmp_path / "ann" / "distortion").mkdir()
    (tmp_path / "ann" / "distortion" / "0_noisy.jpg").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README.md").touch()
    for name in ("IMG_1.HEIC", "IMG_2.heic", "nothing"):
        (tmp_path / "bob" / name).touch()
    (tmp_path / "loose.jpg").touch()
    people(tmp_path, eve=1)
    photos, notices = of(tmp_path, choose(tmp_path))
    assert sorted(photo.name for photo in photos if photo.person == "ann") == ["0.jpg", "1.jpg"]
    assert notices == [
        "1 photo lies in no person's folder and is left out",
        "1 person has fewer photos than --min-per-person and is left out",
        "1 folder inside a person's folder is not read",
        "1 photo shares name and person with a photo of another suffix and is left out. "
        "Rename it if it is another photo",
        "left out as no photos: 2 .heic, 1 .md, 1 .txt, 1 without a suffix. Convert .heic to JPEG to have them read",
    ]


def test_too_few_people_are_refused_with_their_number(tmp_path: Path) -> None:
    people(tmp_path, ann=2, bob=2, eve=1)
    with pytest.raises(DataError) as caught:
        choose(tmp_path, Draw(train_people=2, val_people=1))
    assert str(caught.value) == (
        f"{tmp_path}: 2 of 3 people have 2 photos or more, too few for 2 to train on and 1 to evaluate on. "
        "Ask for fewer, or lower --min-per-person."
    )
    with pytest.raises(DataError, match="0 of 3 people have 5 photos or more, too few for 1 to train on and 1"):
        choose(tmp_path, Draw(min_per_person=5))


def test_too_few_people_with_photos_of_another_kind_say_so(tmp_path: Path) -> None:
    for person in ("ann", "bob"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "1.heic").touch()
    with pytest.raises(
        DataError, match=r"lower --min-per-person\. Left out as no photos: 2 \.heic\. Convert \.heic to"
    ):
        choose(tmp_path)


def test_a_missing_folder_and_a_number_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder\."):
        choose(tmp_path / "nowhere")
    for name in ("train_people", "val_people", "min_per_person", "limit_per_person"):
        with pytest.raises(UsageError) as caught:
            Draw(**{name: 0})
        assert str(caught.value) == f"--{name.replace('_', '-')}: must be at least 1 (got 0)."


def table(folder: Path, *rows: str, header: str = "split,person,photo") -> Path:
    path = folder / "split.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8-sig")
    return path


def test_a_table_is_taken_as_it_is(tmp_path: Path) -> None:
    people(tmp_path, ann=2, bob=2)
    photos, notices = of(tmp_path, read_choice(tmp_path, table(tmp_path, "test,bob,1.jpg", "train,ann,0.jpg")))
    assert notices == [
        f"{tmp_path}/split.csv: makes splits besides train and val, which recipes do not read: test (1 photo)."
    ]
    assert [(photo.split, photo.person, photo.name) for photo in photos] == [
        ("test", "bob", "1.jpg"),
        ("train", "ann", "0.jpg"),
    ]
    assert photos[0].path == tmp_path / "bob" / "1.jpg"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("train,eve,0.jpg", "no such person (looked for {root}/eve/0.jpg)."),
        ("train,ann,7.jpg", "no such photo (looked for {root}/ann/7.jpg)."),
        ("val,ann,1.jpg", "ann is in train already and cannot be in val too."),
        ("train,ann,0.png", "ann has a photo '0' already, in line 2."),
        ("train,../ann,0.jpg", "person must be a plain name (got '../ann')."),
        ("train,..,0.jpg", "person must be a plain name (got '..')."),
        ("train,ann,/etc/passwd", "photo must be a plain name (got '/etc/passwd')."),
        ("train,ann,..\\x.jpg", "photo must be a plain name (got '..\\\\x.jpg')."),
        ("../train,ann,1.jpg", "split must be a plain name (got '../train')."),
        ("train,ann", "photo must be a plain name (got '')."),
    ],
)
def test_a_row_that_will_not_do_is_named(row: str, message: str, tmp_path: Path) -> None:
    people(tmp_path, ann=2, bob=2)
    path = table(tmp_path, "train,ann,0.jpg", row)
    with pytest.raises(DataError) as caught:
        read_choice(tmp_path, path)
    assert str(caught.value) == f"{path}:3: {message.format(root=tmp_path)}"


def test_a_table_without_its_columns_or_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"split\.csv:1: no column 'photo' \(got split, person, file\)\. The columns are split, person, photo\.",
    ):
        read_choice(tmp_path, table(tmp_path, header="split,person,file"))
    with pytest.raises(DataError, match=r"split\.csv: lists no photo\."):
        read_choice(tmp_path, table(tmp_path))
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read \(No such file or directory\)\."):
        read_choice(tmp_path, tmp_path / "gone.csv")
    (tmp_path / "latin.csv").write_bytes(b"split,person,photo\ntrain,\xe9,x.jpg\n")
    with pytest.raises(DataError, match=r"latin\.csv: not a CSV file in UTF-8"):
        read_choice(tmp_path, tmp_path / "latin.csv")

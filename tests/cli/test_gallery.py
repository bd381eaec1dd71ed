"""`metricface eval --gallery --probe` on folders of one's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.build.model_folder import load_model
from metricface.cli.app import app
from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.components.registry import installed_registries
from metricface.data.gallery_and_probes import GalleryAndProbes
from metricface.data.photos import Photos
from metricface.evaluation.subject import ModelSubject


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """run/ (a model that identifies), plain/ (one without evaluators), gallery/ of six people, probe/ of three and two.

    One probe of person_0 is a photo of the gallery.
    """
    folder = tmp_path_factory.mktemp("folders")
    tree = make_tree(folder / "tree", train=8, val=3)
    done = metricface("run", write_recipe(folder, tree), "--set", "train.epochs=1", "--out", folder / "run")
    assert done.exit_code == 0, done.output
    shutil.copytree(folder / "run" / "model", folder / "plain")
    description = json.loads((folder / "plain" / "model.json").read_text())
    del description["description_sha256"]
    (folder / "plain" / "model.json").write_text(json.dumps({**description, "evaluate": []}))
    for person in range(6):
        shutil.copytree(tree / "train" / f"person_{person}", folder / "gallery" / f"person_{person}")
    for person in range(3):
        probes = folder / "probe" / f"person_{person}"
        (folder / "gallery" / f"person_{person}" / "photo_2.png").unlink()
        probes.mkdir(parents=True)
        shutil.copy(tree / "train" / f"person_{person}" / "photo_2.png", probes)
        shutil.copytree(tree / "train" / f"person_{person}" / "distortion", probes / "distortion")
    for person in (8, 9):
        shutil.copytree(tree / "val" / f"person_{person}", folder / "probe" / f"person_{person}")
    shutil.copy(folder / "gallery" / "person_0" / "photo_0.png", folder / "probe" / "person_0")
    return folder


def arguments(folders: Path, model: str = "run") -> tuple[object, ...]:
    return ("eval", folders / model, "--gallery", folders / "gallery", "--probe", folders / "probe")


def test_known_people_are_ranked_and_unknown_ones_counted_apart(folders: Path) -> None:
    done = metricface(*arguments(folders), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["identification"]
    assert set(found) == {"gallery-probe", "similarity"}
    reading = found["gallery-probe"]
    assert reading["n"] == 3 * (1 + 6) + 1
    assert {row: figures["n"] for row, figures in reading["by_condition"].items()} == {
        "clean": 4,
        "blurred": 9,
        "noisy": 9,
    }
    assert reading["rank5"] >= reading["rank1"]
    assert reading["counts"] == {
        "gallery_people": 6,
        "gallery_photos": 3 * 2 + 3 * 3,
        "unknown_people": 2,
        "unknown_probes": 18,
        "distorted_gallery_photos_left_out": 36,
        "photos_without_role": 0,
    }
    similarity = found["similarity"]["by_similarity"]
    assert (similarity["genuine"]["n"], similarity["unknown"]["n"]) == (22, 18)
    assert "1 probe is a photo of the gallery too, byte for byte" in done.stderr


def test_the_figures_are_those_of_a_loop_over_the_models_embeddings(folders: Path) -> None:
    reading = json.loads(metricface(*arguments(folders), "--json").stdout)["identification"]
    loaded = load_model(folders / "run", installed_registries())
    parts = [IdentityFolder(root=folders / name, split="") for name in ("gallery", "probe")]
    photos = Photos(GalleryAndProbes(*parts), loaded.preprocessing, 2**30)
    vectors = ModelSubject(loaded.model, photos, loaded.preprocessing).embed(photos).vectors
    clean: dict[str, list[np.ndarray]] = {}
    for item, vector in zip(photos.items, vectors, strict=True):
        if item.attributes["role"] == "gallery" and item.condition == "clean":
            clean.setdefault(item.identity, []).append(vector)
    hits, unknown = [], []
    for item, vector in zip(photos.items, vectors, strict=True):
        if item.attributes["role"] == "probe":
            cosines = {person: vector @ sum(mine) / np.linalg.norm(sum(mine)) for person, mine in clean.items()}
            best = max(cosines, key=cosines.get)
            if item.identity in clean:
                hits.append(best == item.identity)
            else:
                unknown.append(cosines[best])
    assert reading["gallery-probe"]["rank1"] == pytest.approx(np.mean(hits))
    assert reading["similarity"]["by_similarity"]["unknown"]["median"] == pytest.approx(np.median(unknown), abs=1e-5)


def test_a_model_without_evaluators_can_identify_and_the_table_is_for_reading(folders: Path, tmp_path: Path) -> None:
    done = metricface(*arguments(folders, "plain"), "--outcomes", tmp_path)
    assert done.exit_code == 0, done.output
    assert "# identification: 8 people, 91 photos of gallery gallery, probes probe" in done.stdout
    assert "| similarity | n | mean | q01 |" in done.stdout
    lines = (tmp_path / "outcomes" / "identification.csv").read_text().splitlines()
    assert lines[0] == "reading,path,person,condition,rank,nearest,own_cosine,nearest_cosine,margin"
    assert len(lines) == 1 + 22
    assert lines[1].startswith("gallery-probe,person_0/photo_0.png,person_0,clean,")


def short(done: Result) -> dict[str, object]:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["identification"]


def test_probes_named_one_by_one_give_the_figures_of_their_folder(folders: Path) -> None:
    ours = short(metricface(*arguments(folders), "--json"))
    files = sorted(folders.glob("probe/**/*.png"))
    model, gallery = folders / "run", folders / "gallery"
    whole = ("eval", model, "--gallery", gallery, "--json", "--batch-size")
    pattern = short(metricface(*whole, 1, "--probe", folders / "probe" / "**" / "*.png"))
    written_out = short(metricface(*whole, 50, "--device", "cpu", "--probe", *files))
    repeated = short(metricface(*whole, 7, *(word for file in files for word in ("--probe", file))))
    people = short(metricface(*whole, 64, "--probe", *sorted(folders.glob("probe/*"))))
    for theirs in (pattern, written_out, repeated, people):
        assert theirs["gallery-probe"] == ours["gallery-probe"]
        for row in ("genuine", "unknown"):
            assert theirs["similarity"]["by_similarity"][row] == pytest.approx(
                ours["similarity"]["by_similarity"][row], abs=1e-5
            )


def test_probes_in_a_flat_folder_are_known_by_the_beginning_of_their_names(folders: Path, tmp_path: Path) -> None:
    for person in range(2):
        shutil.copy(folders / "probe" / f"person_{person}" / "photo_2.png", tmp_path / f"person_{person}_x.png")
    shutil.copy(folders / "probe" / "person_8" / "photo_0.png", tmp_path / "stranger.png")
    done = metricface("eval", folders / "run", "--gallery", folders / "gallery", "--probe", tmp_path, "--json")
    counts = short(done)["gallery-probe"]
    assert (counts["n"], counts["counts"]["unknown_probes"]) == (2, 1)
    assert f"the beginning of the name for {tmp_path}/person_0_x.png (person_0) and 1 more" in done.stderr
    (tmp_path / "flat").mkdir()
    (tmp_path / "stranger.png").rename(tmp_path / "flat" / "stranger.png")
    done = metricface("eval", folders / "run", "--gallery", folders / "gallery", "--probe", tmp_path / "flat")
    assert (done.exit_code, "no photo is of a person of the gallery (got flat; the gallery" in done.stderr) == (3, True)


def test_outcomes_that_are_there_are_kept_unless_forced(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "outcomes"
    written.mkdir()
    (written / "verification.csv").write_text("mine")
    call = (*arguments(folders), "--outcomes", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("metricface.deploy.evaluate.evaluate_model", None)  # it is refused before any work
        done = metricface(*call)
    assert (done.exit_code, done.stdout, done.stderr) == (
        2,
        "",
        f"error: {written}: holds outcomes already (verification.csv). Name another folder, or replace them with "
        "--force.\n",
    )
    assert (written / "verification.csv").read_text() == "mine"
    assert metricface(*call, "--force").exit_code == 0
    assert [path.name for path in written.iterdir()] == ["identification.csv"]


def test_what_cannot_be_computed_with_is_one_line(folders: Path) -> None:
    for option, value, message in (
        ("--device", "cuda:99", "error: --device: 'cuda:99' is not on this machine ("),
        ("--batch-size", "0", "invalid value for '--batch-size': Input should be greater than or equal to 1"),
        ("--batch-size", "many", "invalid value for '--batch-size'"),
    ):
        done = metricface(*arguments(folders), option, value)
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.output
        assert message in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("--gallery", "g"),
            "--gallery: stands alone. Name the other folder with --probe, or use --data for one of both.",
        ),
        (
            ("--probe", "p"),
            "--probe: stands alone. Name the other folder with --gallery, or use --data for one of both.",
        ),
        (
            ("--gallery", "g", "--probe", "p", "--data", "d"),
            "--data: cannot stand beside --gallery and --probe (got d). Omit one or the other.",
        ),
        (("other",), "other: one MODEL only. Photos to identify follow --probe, beside --gallery."),
    ],
)
def test_one_folder_without_the_other_is_a_mistake_of_usage(given: tuple[str, ...], message: str) -> None:
    done = metricface("eval", "model", *given)
    assert (done.exit_code, done.stderr) == (2, f"error: {message}\n")


def test_folders_that_nobody_can_be_identified_with_are_refused(folders: Path, tmp_path: Path) -> None:
    done = metricface("eval", folders / "run", "--gallery", tmp_path / "none", "--probe", folders / "probe")
    assert (done.exit_code, f"{tmp_path}/none: no such folder." in done.stderr) == (3, True)
    shutil.copytree(folders / "gallery" / "person_0", tmp_path / "one" / "person_0")
    done = metricface("eval", folders / "run", "--gallery", tmp_path / "one", "--probe", folders / "probe")
    assert (done.exit_code, "(got 1 with the role gallery)" in done.stderr) == (3, True)

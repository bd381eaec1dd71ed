"""embed, index build, index search and index bench, as a user types them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.task_b_tree import RECIPE, make_tree, photo, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.data.embedding_file import read_embeddings
from metricface.deploy import embed as embed_module
from metricface.deploy.embed import embed
from metricface.evaluation.subject import ModelSubject


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_of(done: Result, code: int) -> str:
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    return line.removeprefix("error: ")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tree/ of people, run/ with a model, other/ with another one, val.npz."""
    folder = tmp_path_factory.mktemp("index")
    tree = make_tree(folder / "tree", train=4, val=8, photos=4)
    for name, seed in (("run", 0), ("other", 1)):
        recipe = write_recipe(folder, tree)
        more = ("--set", "train.epochs=1", "--set", f"run.seed={seed}")
        done = metricface("run", recipe, *more, "--out", folder / name)
        assert done.exit_code == 0, done.output
        done = metricface("embed", folder / name, tree, "-o", folder / f"{name}.npz")
        assert done.exit_code == 0, done.output
    return folder


def test_a_file_holds_what_a_model_gives_of_a_split_and_what_is_known_of_it(made: Path) -> None:
    stored = read_embeddings(made / "run.npz")
    from metricface.build.components import component
    from metricface.build.model_folder import load_model
    from metricface.components.registry import installed_registries
    from metricface.data.photos import Photos
    from metricface.recipe.schema import ComponentSpec

    registries, loaded = installed_registries(), load_model(made / "run")
    folder = ComponentSpec("dataset", "identity-folder")
    dataset = component(registries, folder, root=made / "tree", split="val")
    photos = Photos(dataset, loaded.preprocessing, 2**30)
    peer = ModelSubject(loaded.model, photos, loaded.preprocessing).embed(photos)
    np.testing.assert_allclose(stored.embeddings.vectors, peer.vectors, atol=1e-5)
    np.testing.assert_allclose(stored.embeddings.norms, peer.norms, rtol=1e-4)
    for name in ("labels", "conditions", "severities", "sources", "paths"):
        np.testing.assert_array_equal(getattr(stored.embeddings, name), getattr(peer, name))
    assert stored.embeddings.condition_names == peer.condition_names == ("clean", "blurred", "noisy")
    assert stored.contract.split("-")[1:3] == ["16d", "32px"]
    assert stored.contract != read_embeddings(made / "other.npz").contract


def test_splits_and_manifests_are_embedded_too(made: Path, tmp_path: Path) -> None:
    done = metricface("embed", made / "run", made / "tree", "--split", "train", "-o", tmp_path / "t.npz", "--json")
    assert json.loads(done.stdout)["people"] == 4
    manifest = made / "tree" / "m.csv"
    manifest.write_text("path,split,identity\nval/person_4/photo_0.png,val,Ann\nval/person_5/photo_0.png,val,Bob\n")
    done = metricface("embed", made / "run", manifest, "-o", tmp_path / "m.npz")
    assert done.exit_code == 0, done.output
    few, all_ = (read_embeddings(path).embeddings for path in (tmp_path / "m.npz", made / "run.npz"))
    assert few.label_names == ("Ann", "Bob")
    place = {path.rpartition("/tree/")[2]: row for row, path in enumerate(all_.paths.tolist())}
    rows = [place[f"val/person_{person}/photo_0.png"] for person in (4, 5)]
    np.testing.assert_allclose(few.vectors, all_.vectors[rows], atol=1e-5)


def test_what_is_embedded_is_not_embedded_again(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_module, "SHARD", 10)
    parts, calls, ends = tmp_path / "parts", [], [4]
    real = embed_module.embed_photos

    def counting(model, photos, *rest, **more):
        calls.append(len(photos))
        if len(calls) in ends:
            raise KeyboardInterrupt
        return real(model, photos, *rest, **more)

    monkeypatch.setattr(embed_module, "embed_photos", counting)
    with pytest.raises(KeyboardInterrupt):
        embed(made / "run", made / "tree", shards=parts)
    ends.clear()
    (parts / "000000010.npz").write_bytes(b"half")  # not whole: done again
    found = embed(made / "run", made / "tree", shards=parts)
    assert (found.done_before, found.photos, calls[:4]) == (20, 96, [10] * 4)
    whole = read_embeddings(made / "run.npz")
    np.testing.assert_allclose(found.stored.embeddings.vectors, whole.embeddings.vectors, atol=1e-5)
    assert found.stored.contract == whole.contract
    other = embed(made / "other", made / "tree", shards=parts)  # another model: nothing of it is taken over
    assert other.done_before == 0


def test_a_photo_that_cannot_be_read_is_left_out_and_told(made: Path, tmp_path: Path) -> None:
    for person in range(25):
        (tmp_path / "photos" / f"p{person}").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "photos" / f"p{person}" / "0.png"), photo(person, 0))
    (tmp_path / "photos" / "p3" / "1.png").write_bytes(b"no photo")
    done = metricface("embed", made / "run", tmp_path / "photos", "-o", tmp_path / "e.npz")
    assert done.exit_code == 0, done.output
    assert "1 of 26 photos cannot be read and is left out" in done.stderr
    assert len(read_embeddings(tmp_path / "e.npz").embeddings.paths) == 25
    assert not list(tmp_path.glob("*.parts"))


def test_embed_refuses_before_any_work(made: Path, tmp_path: Path) -> None:
    assert error_of(metricface("embed", made / "run", made / "tree", "-o", tmp_path / "e.npy"), 2) == (
        f"{tmp_path}/e.npy: embeddings are written as .npz. Name it e.npz."
    )
    (tmp_path / "e.npz").touch()
    assert error_of(metricface("embed", made / "run", made / "tree", "-o", tmp_path / "e.npz"), 2) == (
        f"{tmp_path}/e.npz: is there already. Name another file, or replace it with --force."
    )
    assert "no such file or folder" in error_of(metricface("embed", made / "run", "none", "-o", tmp_path / "f.npz"), 2)
    (tmp_path / "g.npz.parts").mkdir()
    (tmp_path / "g.npz.parts" / "mine.txt").touch()
    said = error_of(metricface("embed", made / "run", made / "tree", "-o", tmp_path / "g.npz"), 2)
    assert said.endswith("g.npz.parts: is in the way, and was not made by metricface embed. Move it.")
    assert (tmp_path / "g.npz.parts" / "mine.txt").exists()


@pytest.mark.parametrize("settings", [("exact",), ("hnsw", "--set", "neighbours=8"), ("sq8",)])
def test_an_index_that_was_saved_finds_what_the_vectors_say(made: Path, tmp_path: Path, settings) -> None:
    name, *more = settings
    done = metricface("index", "build", made / "run.npz", "--index", name, *more, "-o", tmp_path / "ix")
    assert done.exit_code == 0, done.output
    assert "96 vectors of 16 dimensions" in done.stdout
    found = json.loads(metricface("index", "search", tmp_path / "ix", made / "run.npz", "-k", "3", "--json").stdout)
    known = read_embeddings(made / "run.npz").embeddings
    cosines = np.sort(known.vectors @ known.vectors.T, axis=1)[:, ::-1]
    assert [one["query"] for one in found] == known.paths.tolist()
    tolerance = 0.02 if name == "sq8" else 1e-5
    for row, one in enumerate(found):
        assert [near["cosine"] for near in one["neighbours"]] == pytest.approx(cosines[row, :3].tolist(), abs=tolerance)
        near = one["neighbours"][0]
        place = known.paths.tolist().index(near["path"])
        assert near["person"] == known.label_names[known.labels[place]]
        assert near["condition"] == known.condition_names[known.conditions[place]]


def test_photos_are_looked_for_with_the_model_of_the_index(made: Path, tmp_path: Path) -> None:
    assert metricface("index", "build", made / "run", "-o", tmp_path / "ix").exit_code == 0  # a run in place of a file
    shown = made / "tree" / "val" / "person_6" / "photo_1.png"
    done = metricface("index", "search", tmp_path / "ix", shown, "-k", "2", "--model", made / "run")
    assert done.exit_code == 0, done.output
    header, first, _ = done.stdout.splitlines()
    assert header.split("\t") == ["query", "rank", "person", "cosine", "photo"]
    assert first.split("\t") == [str(shown), "1", "person_6", "1.000", str(shown)]
    assert "name the model that made the vectors: --model MODEL" in error_of(
        metricface("index", "search", tmp_path / "ix", shown), 2
    )
    for asked in ((shown, "--model", made / "other"), (made / "other.npz",)):
        said = error_of(metricface("index", "search", tmp_path / "ix", *asked), 2)
        assert "are of two models" in said
        assert said.endswith("Embed both with one: metricface embed MODEL PHOTOS -o FILE.npz")


def test_an_index_refuses_what_it_cannot_take(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "ix"
    assert error_of(metricface("index", "build", made / "run.npz", "--index", "ivf-pq", "-o", out), 2).startswith(
        "index IVF1,PQ64x8,Refine(SQ8): faiss cannot make it for 16 dimensions"
    )
    said = error_of(metricface("index", "build", made / "run.npz", "--index", "ivf", "--set", "lists=50", "-o", out), 2)
    assert "has 50 centroids, which take 1,950 vectors to train (39 each; got 96)" in said
    assert error_of(metricface("index", "build", made / "run.npz", "--set", "max_memry=1", "-o", out), 2).startswith(
        '--index exact  max_memry  unknown key. Did you mean "max_memory"?'
    )
    (tmp_path / "empty.npz").write_bytes(b"")
    assert "cannot be read as .npz" in error_of(metricface("index", "build", tmp_path / "empty.npz", "-o", out), 3)
    assert not out.exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "empty.npz"]
    out.mkdir()
    assert "is there already" in error_of(metricface("index", "build", made / "run.npz", "-o", out), 2)
    assert metricface("index", "build", made / "run.npz", "-o", out, "--force").exit_code == 0
    assert "no index (no index.json)" in error_of(metricface("index", "search", made / "run", made / "run.npz"), 1)


def test_two_thousand_damaged_files_are_refused_and_none_ends_the_process(made: Path, tmp_path: Path) -> None:
    """Before faiss reads a byte: flips, cuts and additions of all three files of an index."""
    from metricface.components.registry import installed_registries
    from metricface.deploy.index_store import load_index
    from metricface.errors import ModelError

    assert metricface("index", "build", made / "run.npz", "--index", "hnsw", "-o", tmp_path / "ix").exit_code == 0
    registries, rng = installed_registries(), random.Random(0)
    files = {path: path.read_bytes() for path in sorted((tmp_path / "ix").iterdir())}
    load_index(tmp_path / "ix", registries)
    for number in range(2000):
        path = list(files)[number % 3]
        content = bytearray(files[path])
        place = rng.randrange(len(content))
        if number % 4 == 0:
            content = content[:place]
        elif number % 4 == 1:
            content += bytes(rng.randrange(1, 9))
        else:
            content[place] ^= rng.randrange(1, 256)
        path.write_bytes(content)
        if path.suffix == ".json" and _says_the_same(bytes(content), files[path]):
            load_index(tmp_path / "ix", registries)
        else:
            with pytest.raises(ModelError) as caught:
                load_index(tmp_path / "ix", registries)
            assert "\n" not in str(caught.value)
            assert str(path) in str(caught.value) or "another metricface" in str(caught.value)
        path.write_bytes(files[path])


def _says_the_same(content: bytes, original: bytes) -> bool:
    try:
        return bool(json.loads(content) == json.loads(original))
    except ValueError:
        return False


BENCH = ("--index", "exact", "--index", "hnsw neighbours=8", "--index", "ivf lists=50", "--seconds", "0.05")
QUICK = (*BENCH[:4], *BENCH[-2:])


def test_a_benchmark_says_what_is_lost_and_what_could_not_be_measured(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    done = metricface("index", "bench", made / "run.npz", *BENCH, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    about, rows = document["conditions"], document["rows"]
    assert (about["vectors"], about["dim"], about["probes"], about["probes_of_unknown_people"]) == (12, 16, 36, 12)
    assert about["contract"] == read_embeddings(made / "run.npz").contract
    assert {"faiss", "faiss_compile_options", "processor", "threads", "blas"} <= set(about)
    exact, *graphs, skipped = rows
    assert (exact["index"], exact["parameters"], exact["rank1_lost"], exact["recall@10_worst"]) == ("exact", {}, 0, 1)
    assert {row["parameters"]["neighbours"] for row in graphs} == {8}
    assert skipped["skipped"].startswith("index IVF50,Flat: has 50 centroids")
    for row in (exact, *graphs):
        assert row["qps_spread"][0] <= row["qps"] <= row["qps_spread"][1]
        assert row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["repeats"] >= 5
        assert "needs 100 probes" in row["tpir_refused"]
        assert sum(part["n"] for part in row["by_condition"].values()) == 36
    assert document["verdict"].startswith("For 12 vectors exact search is enough: ")
    assert (out / "index_bench.png").read_bytes()[:4] == b"\x89PNG"
    assert document["verdict"] in (out / "index_bench.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("row-*.json")}
    again = metricface("index", "bench", made / "run.npz", *BENCH, "--out", out)
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in out.rglob("row-*.json")} == before
    assert "identities lost by condition" in again.stdout
    assert document["verdict"] in again.stdout


def test_a_benchmark_goes_on_where_a_kill_left_it(made: Path, tmp_path: Path) -> None:
    out, script = tmp_path / "bench", [sys.executable, "-m", "metricface", "index", "bench", str(made / "run.npz")]
    process = subprocess.Popen([*script, *QUICK, "--out", str(out)], stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(out.rglob("row-*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path: path.read_bytes() for path in out.rglob("row-*.json")}
    assert kept
    done = metricface("index", "bench", made / "run.npz", *QUICK, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert {path: path.read_bytes() for path in kept} == kept
    assert {row["index"] for row in json.loads(done.stdout)["rows"]} == {"exact", "hnsw"}


def test_ctrl_c_leaves_a_table_of_what_is_done(made: Path, tmp_path: Path) -> None:
    out, script = tmp_path / "bench", [sys.executable, "-m", "metricface", "index", "bench", str(made / "run.npz")]
    process = subprocess.Popen([*script, *QUICK, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.rglob("row-*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert f"what is done: {out}/index_bench.md. The same line goes on from there." in said
    assert "Traceback" not in said
    assert "| exact |" in (out / "index_bench.md").read_text()


def test_made_up_people_are_said_to_be_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = metricface("index", "bench", "--synthetic", "2000,32", "--index", "flat", "--json", "--seconds", "0.05")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["conditions"]["synthetic"] is True
    assert document["conditions"]["task"].startswith("synthetic: 200 people x 10 random vectors (seed 0)")
    assert document["verdict"].endswith("These vectors are synthetic: only embeddings of photos decide.")
    assert document["rows"][0]["rank1_exact"] == pytest.approx(0.9, abs=0.03)
    assert (tmp_path / "synthetic-2000,32.bench" / "index_bench.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "index bench: nothing to measure on. Name a file of embeddings, or --synthetic 100000,512"),
        (("EMB", "--synthetic", "1000,8"), 2, "--synthetic: stands alone"),
        (
            ("--synthetic", "1000"),
            2,
            "--synthetic: takes two numbers, vectors and dimensions: 100000,512 (got '1000').",
        ),
        (("--synthetic", "10,8"), 3, "--synthetic 10,8: takes 100 vectors of 2 dimensions or more."),
        (("EMB", "--threads", "0"), 2, "--threads: takes numbers from 1"),
        (("EMB", "--threads", "x"), 2, "--threads: takes numbers from 1"),
        (("EMB", "--index", "hnsw neighbors=8"), 2, '--index hnsw  neighbors  unknown key. Did you mean "neighbours"?'),
        (("EMB", "--index", "hsnw"), 4, "unknown index 'hsnw'. Did you mean \"hnsw\"?"),
        (("EMB", "--index", "hnsw 'x"), 2, '--index "hnsw \'x": cannot be read (No closing quotation).'),
        (("none.npz",), 3, "none.npz: no such file."),
        (("EMB", "--probes", "OTHER"), 2, "are of two models"),
        (("EMB", "--out", "FOLDER"), 2, "is there already and holds no benchmark of indexes. Name another with --out."),
    ],
)
def test_bench_refuses(made: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    named = {"EMB": made / "run.npz", "OTHER": made / "other.npz", "FOLDER": tmp_path / "full"}
    assert said in error_of(metricface("index", "bench", *(named.get(word, word) for word in arguments)), code)


def test_eval_takes_embeddings_and_protocols(made: Path) -> None:
    document = json.loads(metricface("eval", "--embeddings", made / "run.npz", "--json").stdout)["retrieval"]
    assert {"precision_at_1", "r_precision", "map", "map_at_r", "n", "unmated"} <= set(document)
    assert (document["n"], document["unmated"]) == (96, 0)
    of_model = json.loads(metricface("eval", made / "run", "--protocol", "retrieval", "--json").stdout)["retrieval"]
    assert of_model["map"] == pytest.approx(document["map"], abs=1e-6)
    own = json.loads(metricface("eval", made / "run", "--json").stdout)["identification"]
    given = metricface("eval", "--embeddings", made / "run.npz", "--protocol", "identification", "--json")
    assert json.loads(given.stdout)["identification"]["same-source"]["rank1"] == own["same-source"]["rank1"]
    assert "needs logits besides embeddings" in error_of(
        metricface("eval", "--embeddings", made / "run.npz", "--protocol", "classification"), 2
    )
    assert "stands alone" in error_of(metricface("eval", made / "run", "--embeddings", made / "run.npz"), 2)
    assert error_of(metricface("eval"), 2) == "eval: missing argument 'MODEL'. See metricface eval --help."


def test_the_contract_of_a_projection_has_the_dimension_of_its_features(tmp_path: Path) -> None:
    """And a shard in which no photo can be read is one without vectors."""
    tree = make_tree(tmp_path / "tree", train=4, val=4)
    recipe = write_recipe(tmp_path, tree, RECIPE.replace("dim = 16", "dim = 16\nprojection = true"))
    assert metricface("run", recipe, "--set", "train.epochs=1", "--out", tmp_path / "run").exit_code == 0
    for number in range(25):
        (tmp_path / "photos" / f"p{number:02}").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "photos" / f"p{number:02}" / "0.png"), photo(number, 0))
    (tmp_path / "photos" / "p24" / "0.png").write_bytes(b"no photo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed_module, "SHARD", 8)
        stored = embed(tmp_path / "run", tmp_path / "photos").stored
    rows, dim = stored.embeddings.vectors.shape
    assert (rows, stored.contract.split("-")[1]) == (24, f"{dim}d")
    assert dim != 16

"""What indexes lose on the photos of a run, and identification by an index; recipes that choose them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.made_up import embeddings
from support.task_b_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner

from metricface.cli.app import app
from metricface.components.evaluators.identification import Identification
from metricface.components.evaluators.index_bench import IndexBench
from metricface.components.indexes.exact import Exact
from metricface.components.indexes.hnsw import hnsw
from metricface.components.indexes.sq8 import sq8
from metricface.components.registry import installed_registries
from metricface.contracts import IndexChoice
from metricface.errors import DataError, RecipeError
from metricface.evaluation.index_measure import K, losses, reference
from metricface.evaluation.index_task import check_searchable, search_task
from metricface.functional.metrics.index_loss import exact_truth
from metricface.recipe.load import load_recipe

EXACT = IndexChoice("exact", {}, lambda dim: Exact(dim=dim))
GRAPH = IndexChoice("hnsw", {"neighbours": 4}, lambda dim: hnsw(dim=dim, neighbours=4))
SMALL = IndexChoice("sq8", {}, lambda dim: sq8(dim=dim))
MORE = """
[[evaluate]]
name = "retrieval"
index = { name = "hnsw" }

[[evaluate]]
name = "index-bench"
seconds = 0.01
indexes = [{ name = "exact" }, { name = "hnsw", neighbours = 4 }, { name = "ivf", lists = 50 }]
"""


def test_figures_are_those_of_the_command_and_times_are_in_outcomes_alone() -> None:
    given = embeddings(people=60, noise=0.5)
    result = IndexBench(indexes=[EXACT, GRAPH, SMALL], seconds=0.01).of(given)
    (reading,) = result.joined()
    rows = reading.tables["index"]
    task = search_task(given)
    known = reference(task, exact_truth(task.probes, task.gallery, task.gallery_people, K))
    assert reading.figures["rank1_exact"].value == pytest.approx(known.right[task.mated].mean())
    index = sq8(dim=16)
    index.train(task.gallery)
    index.add(task.gallery)
    wanted = losses(index, task, known)
    assert rows["sq8"]["rank1_lost"].value == wanted["rank1_lost"]
    assert rows["sq8"]["recall_at_10"].value == wanted["recall@10"]
    assert rows["exact"]["rank1_lost"].value == 0
    assert rows["sq8"]["bytes_per_vector"].value < rows["exact"]["bytes_per_vector"].value
    assert next(name for name in rows if name.startswith("hnsw")) == "hnsw (neighbours 4, ef_search 16)"
    assert not any("second" in name or "qps" in name for row in rows.values() for name in row)
    assert len(result.outcomes["qps"]) == len(rows)
    one = IndexBench(indexes=[GRAPH], grid=False, seconds=0.01).of(given)
    assert list(one.joined()[0].tables["index"]) == ["hnsw (neighbours 4)"]


def test_without_indexes_and_without_people_it_refuses() -> None:
    with pytest.raises(RecipeError, match=r"^index-bench: indexes is missing\. Name some: indexes = \["):
        IndexBench()

    class Empty:
        items = ()

    with pytest.raises(DataError, match="nobody can be looked for in 0 photos"):
        check_searchable(Empty())


def test_identification_by_an_index_that_is_exact_is_the_same() -> None:
    given = embeddings(noise=0.6)
    plain, searched = Identification().of(given), Identification(index=EXACT).of(given)
    for name, figure in plain.figures().items():
        assert searched.figures()[name].value == pytest.approx(figure.value, abs=1e-6), name
    assert plain.outcomes["path"] == searched.outcomes["path"]
    ranks = [[min(rank, 11) for rank in found.outcomes["rank"]] for found in (plain, searched)]
    assert ranks[0] == ranks[1]  # of 11 people that are looked at
    assert searched.joined()[0].counts["people searched with index exact (plain)"] == 20


def test_who_is_not_found_by_the_index_is_not_identified() -> None:
    class Blind(Exact):
        def search(self, queries, k):
            similarities, ids = super().search(queries, k)
            return np.full_like(similarities, -np.inf), np.full_like(ids, -1)

    given = replace(embeddings(noise=0.1))
    found = Identification(index=IndexChoice("blind", {}, lambda dim: Blind(dim=dim))).of(given)
    assert (found.metric("same-source.rank1"), found.metric("cross-source.rank5")) == (0, 0)
    assert set(found.outcomes["rank"]) == {12}
    assert found.metric("same-source.recall") == 0


def test_a_recipe_with_indexes_ends_in_a_table_a_picture_and_a_model_that_is_evaluated_the_same(
    tmp_path: Path,
) -> None:
    recipe = write_recipe(tmp_path, make_tree(tmp_path / "tree", val=6), RECIPE)
    recipe.write_text(recipe.read_text() + MORE)
    run = tmp_path / "run"
    done = CliRunner().invoke(app, ["run", str(recipe), "--out", str(run), "--set", "train.epochs=1"])
    assert done.exit_code == 0, done.output
    page = (run / "report.md").read_text()
    assert "| hnsw (neighbours 4, ef_search 16) |" in page
    assert "index IVF50,Flat: has 50 centroids" in page
    assert "photos searched with index hnsw (plain)" in page
    assert (run / "index-bench.png").read_bytes()[:4] == b"\x89PNG"
    with (run / "outcomes" / "index-bench.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["index"] for row in rows} == {"exact", "hnsw"}
    assert all(float(row["qps"]) > 0 for row in rows)
    again = CliRunner().invoke(app, ["eval", str(run), "--json"])
    assert again.exit_code == 0, again.output
    report = json.loads((run / "report.json").read_text())
    assert json.loads(again.stdout)["results"]["retrieval"] == report["results"]["retrieval"]
    resolved = load_recipe(run / "recipe.toml")
    assert resolved.digest == report["recipe_digest"]
    assert resolved.evaluators[1].arguments["index"]["ef_search"] == 64  # every default is written in


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('index = { name = "hsnw" }', "evaluate.retrieval.index.name  unknown index 'hsnw'. Did you mean \"hnsw\"?"),
        (
            'index = { name = "hnsw", neighbors = 4 }',
            'evaluate.retrieval.index.neighbors  unknown key. Did you mean "nei',
        ),
        ('index = { name = "hnsw", dim = 4 }', "evaluate.retrieval.index.dim  is filled in by MetricFace: take it out"),
        ("index = { neighbours = 4 }", "evaluate.retrieval.index.name  is missing or no text. There are: exact,"),
        ('index = "hnsw"', "evaluate.retrieval.index  must be a table (got 'hnsw')"),
        (
            "index = { name = 'hnsw', ef_search = 0 }",
            "evaluate.retrieval.index.ef_search  must be greater than",
        ),
    ],
)
def test_a_wrong_index_is_told_with_its_place(line: str, said: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tmp_path)
    recipe.write_text(recipe.read_text() + f'\n[[evaluate]]\nname = "retrieval"\n{line}\n')
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, (), installed_registries())
    (problem,) = caught.value.problems
    assert said in problem
    assert problem.startswith(f"{recipe}:")

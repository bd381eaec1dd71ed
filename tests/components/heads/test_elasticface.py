from __future__ import annotations

import copy
import math

import pytest
import torch

from metricface.components.heads.elasticface import ElasticFace
from metricface.errors import RecipeError

B, C, D = 9, 4, 6


def make(seed: int = 0, classes: int = C, **arguments: object) -> ElasticFace:
    torch.manual_seed(seed)
    return ElasticFace(embedding_dim=D, num_classes=classes, scale=30.0, **arguments)


def margins_of(head: ElasticFace, vectors: torch.Tensor, labels: torch.Tensor) -> tuple[list[float], list[float]]:
    """Each photo's margin, read back from its logits in double precision, and its target's cosine."""
    own = torch.arange(len(labels)), labels
    logits = head(vectors, labels).logits.double()[own] / 30
    cosines = head(vectors).logits.double()[own] / 30
    difference = logits.arccos() - cosines.arccos() if head.variant == "arc" else cosines - logits
    return difference.tolist(), cosines.tolist()


def drawn(head: ElasticFace, mean: float, std: float) -> list[float]:
    """The paper's E(m, sigma), one photo at a time."""
    generator = torch.Generator()
    generator.set_state(head.get_extra_state())
    return [mean + std * value for value in torch.randn(B, generator=generator).tolist()]


def batch(head: ElasticFace) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings less than a right angle from their prototype, so that no margin leads past pi."""
    torch.manual_seed(5)
    vectors, labels = torch.randn(B, D), torch.randint(C, (B,))
    own = (vectors * head.prototypes.detach()[labels]).sum(dim=1, keepdim=True)
    return vectors * own.sign(), labels


@pytest.mark.parametrize(("variant", "mean"), [("arc", 0.5), ("cos", 0.35)])
@pytest.mark.parametrize("sort", [False, True])
def test_margins_are_drawn_for_each_photo(variant, mean, sort):
    head = make(variant=variant, sort=sort)
    vectors, labels = batch(head)
    expected = drawn(head, mean, 0.05)
    found, cosines = margins_of(head, vectors, labels)
    if sort:  # the paper: the k-th nearest photo gets the k-th smallest margin
        ranks = [sum(other > cosine for other in cosines) for cosine in cosines]
        expected = [sorted(expected)[rank] for rank in ranks]
    assert found == pytest.approx(expected, abs=1e-4)
    assert len(set(found)) == B


def test_the_draws_are_those_of_the_distribution():
    torch.manual_seed(0)
    head = make(classes=1, variant="cos", margin=0.4, margin_std=0.1)
    found, _ = margins_of(head, torch.randn(20_000, D), torch.zeros(20_000, dtype=torch.int64))
    assert torch.tensor(found).mean().item() == pytest.approx(0.4, abs=0.003)
    assert torch.tensor(found).std().item() == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize(("variant", "largest"), [("arc", math.pi / 2), ("cos", 1.0)])
def test_draws_are_cut_to_what_a_margin_can_be(variant, largest):
    head = make(variant=variant, margin_std=1.5)
    head.prototypes.data.fill_(1.0)
    found, _ = margins_of(head, torch.ones(500, D), torch.zeros(500, dtype=torch.int64))
    assert (min(found), max(found)) == pytest.approx((0, largest), abs=1e-3)


def test_in_evaluation_mode_every_target_gets_the_mean():
    for variant, mean in (("arc", 0.5), ("cos", 0.35)):
        head = make(variant=variant).eval()
        found, _ = margins_of(head, *batch(head))
        assert found == pytest.approx([mean] * B, abs=1e-4)


def test_a_standard_deviation_of_zero_is_arcface():
    head = make(margin=0.3, margin_std=0.0)
    found, _ = margins_of(head, *batch(head))
    assert found == pytest.approx([0.3] * B, abs=1e-4)


def test_the_runs_seed_decides_the_draws():
    vectors, labels = batch(make(1))
    first, again = (make(1)(vectors, labels).logits for _ in range(2))
    assert torch.equal(first, again)
    heads = make(1), make(2)
    heads[1].prototypes.data.copy_(heads[0].prototypes.data)
    ours, theirs = (head(vectors, labels).logits for head in heads)
    assert not torch.equal(ours, theirs)


def test_a_copy_draws_on_its_own():
    head = make()
    twin = copy.deepcopy(head)
    vectors, labels = batch(head)
    first = head(vectors, labels).logits
    assert torch.equal(twin(vectors, labels).logits, first)
    assert not torch.equal(head(vectors, labels).logits, first)


def test_an_angle_with_the_cosine_variant_is_refused():
    with pytest.raises(RecipeError) as caught:
        make(variant="cos", margin=1.2)
    assert str(caught.value) == (
        'head elasticface: with variant = "cos" margin is a difference of cosines, at most 1 (got 1.2). '
        'Lower it, or take variant = "arc".'
    )


def test_sort_goes_by_rank_where_the_authors_plus_goes_by_the_inverse_of_it():
    head = make(sort=True)
    vectors, labels = batch(head)
    smallest_first = sorted(drawn(head, 0.5, 0.05))
    found, cosines = margins_of(head, vectors, labels)
    nearest_first = sorted(range(B), key=lambda photo: -cosines[photo])
    theirs = [smallest_first[nearest_first[photo]] for photo in range(B)]  # margin[argsort], photo by photo
    ours = [smallest_first[nearest_first.index(photo)] for photo in range(B)]
    assert found == pytest.approx(ours, abs=1e-4)
    assert found != pytest.approx(theirs, abs=1e-4)
    farthest, nearest = nearest_first[-1], nearest_first[0]
    assert (found[farthest], found[nearest]) == pytest.approx((smallest_first[-1], smallest_first[0]), abs=1e-4)

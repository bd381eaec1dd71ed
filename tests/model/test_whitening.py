from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from support.fakes import TinyBackbone
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.model.whitening import MOMENTUM, Whitening

MIXED = torch.tensor(np.random.default_rng(0).standard_normal((5, 5)) + 2 * np.eye(5), dtype=torch.float32)


def photos(count: int = 64) -> torch.Tensor:
    """Features whose columns go together."""
    return torch.randn(count, 5) @ MIXED


def observed(strength: float, steps: int = 40) -> Whitening:
    torch.manual_seed(0)
    whitening = Whitening(5, strength).train()
    for _ in range(steps):
        whitening(photos())
    return whitening.eval()


def test_training_sees_the_features_as_they_are_and_averages_their_covariance() -> None:
    torch.manual_seed(0)
    whitening, expected = Whitening(5, 0.5).train(), np.eye(5)
    for _ in range(3):
        features = photos().requires_grad_()
        assert whitening(features) is features
        values = features.detach().double().numpy()
        expected = (1 - MOMENTUM) * expected + MOMENTUM * np.einsum("ni,nj->ij", values, values) / len(values)
    assert np.allclose(whitening.covariance.numpy(), expected, rtol=1e-5)
    assert not whitening.covariance.requires_grad


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.99])
def test_dot_products_are_those_of_the_inverse_covariance_and_of_principal_components(strength: float) -> None:
    whitening, features = observed(strength), photos(7)
    shrunk = strength * whitening.covariance.double().numpy() + (1 - strength) * np.eye(5)
    values = features.double().numpy()
    found = whitening(features).double().numpy()
    assert np.allclose(found @ found.T, values @ np.linalg.inv(shrunk) @ values.T, rtol=1e-3)
    variances, directions = np.linalg.eigh(shrunk)
    components = values @ directions / np.sqrt(variances)
    assert np.allclose(found @ found.T, components @ components.T, rtol=1e-3)


def test_near_strength_1_nothing_goes_together_any_more() -> None:
    whitening, features = observed(0.99, steps=600), photos(20_000)
    assert np.abs(np.corrcoef(features.T.numpy()) - np.eye(5)).max() > 0.5
    assert np.abs(np.cov(whitening(features).T.numpy()) - np.eye(5)).max() < 0.1


def test_a_covariance_that_moved_is_used_at_once() -> None:
    features = photos(3)
    trained, fresh = observed(0.5), Whitening(5, 0.5).eval()
    wanted = trained(features)
    assert torch.allclose(fresh(features), features)  # the identity so far
    copied = copy.deepcopy(fresh)
    for module in (fresh, copied):
        module.load_state_dict(trained.state_dict())
        assert torch.equal(module(features), wanted)
    trained.train()(100 * photos())
    assert not torch.allclose(trained.eval()(features), wanted, rtol=0.01)


def test_an_averaged_copy_whitens_with_its_own_covariance() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), Whitening(5, 0.5)).train()
    average = ModelEmaV3(model, decay=0.5)
    features = photos(3)
    average.module.eval()(features)
    for _ in range(20):
        model(10 * photos())
        average.update(model)
    found, again = average.module.eval()(features), copy.deepcopy(average.module).train().eval()(features)
    assert torch.equal(found, again)
    assert not torch.allclose(found, average.module[0](features), rtol=0.1)


def test_low_precision_does_not_reach_the_covariance() -> None:
    torch.manual_seed(0)
    features = photos()
    plain, cast = Whitening(5, 0.5).train(), Whitening(5, 0.5).train()
    plain(features)
    with torch.autocast("cpu", torch.bfloat16):
        cast(features)
        assert cast.eval()(features).dtype == torch.float32
    assert torch.equal(plain.covariance, cast.covariance)


def test_a_covariance_that_is_not_finite_gives_embeddings_that_are_not() -> None:
    whitening = observed(0.5)
    whitening.covariance[0, 1] = whitening.covariance[1, 0] = torch.nan
    assert not whitening.eval()(photos(3)).isfinite().all(dim=1).any()


def test_a_model_whitens_the_standardised_features_before_its_projection() -> None:
    torch.manual_seed(0)
    plain = FaceModel(TinyBackbone(dropout=0.0), EmbeddingLayer(dim=3, projection=True))
    model = FaceModel(plain.backbone, EmbeddingLayer(dim=3, projection=True, whitening=0.9))
    model.neck, model.embedding = plain.neck, plain.embedding
    images = torch.randn(64, 3, 8, 8)
    assert torch.equal(model.train()(images), plain.train()(images))
    for _ in range(300):
        model(images)
    standardised = plain.eval()(images)
    covariance = model.whitening.covariance
    assert torch.allclose(covariance, standardised.T @ standardised / len(images), atol=0.1)
    shrunk = 0.9 * covariance + 0.1 * torch.eye(len(covariance))
    found = model.eval()(images)
    assert torch.allclose(found @ found.T, standardised @ shrunk.inverse() @ standardised.T, rtol=1e-3, atol=1e-3)
    assert {name for name in model.state_dict() if "whitening" in name} == {"whitening.covariance"}

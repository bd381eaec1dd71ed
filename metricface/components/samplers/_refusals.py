"""What samplers refuse: no photos, batches that are not P x K, too few people."""

from __future__ import annotations

from metricface.errors import DataError, RecipeError


def check_photos(sampler: str, found: int) -> None:
    """Refuse an empty split."""
    if not found:
        raise DataError(f"sampler {sampler}: there are no photos. Look at [data] root and its split.")


def refused_views(batch_size: int, views: int) -> dict[str, str]:
    """Return what is wrong with a batch that is not two or more people times `views`; see HasRefusals."""
    if batch_size % views == 0 and batch_size >= 2 * views:
        return {}
    return {
        "batch_size": f"{batch_size} is not two or more people times {views} views (sampler.views). "
        f"Take {max(2, batch_size // views) * views}, for instance, or other views"
    }


def check_views(batch_size: int, views: int) -> None:
    """Refuse a batch that is not two or more people times `views`."""
    for message in refused_views(batch_size, views).values():
        raise RecipeError(f"train.batch_size: {message}.")


def check_people(sampler: str, kept: int, found: int, batch_size: int, views: int) -> None:
    """Refuse data with fewer people than a batch holds; `found` counts those dropped as singletons too."""
    if kept >= batch_size // views:
        return
    dropped = f" with two photos or more ({found - kept} dropped as singletons)" if kept < found else ""
    way_out = f"Set train.batch_size to at most {kept * views}, or add people." if kept > 1 else "Add people."
    raise DataError(
        f"sampler {sampler}: {batch_size // views} people x {views} views (train.batch_size {batch_size}) "
        f"cannot be filled (got {kept} people{dropped}). {way_out}"
    )

"""The views of a photo that evaluation embeds: itself, its middle enlarged, and the mirror images of these."""

from __future__ import annotations

from torch import Tensor, nn


def middle(height: int, width: int, share: float) -> tuple[slice, slice]:
    """Return the rows and columns that keep `share`, in (0, 1], of each side around the middle, at least one each."""
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def views_of(images: Tensor, *, mirror: bool, zoom: float) -> list[Tensor]:
    """Return (B, 3, H, W) as it is embedded in evaluation mode: one, two or four tensors of that shape.

    Args:
        images: photos, as the backbone takes them.
        mirror: mirror images of all other views are views too. A face and its mirror image are the same person;
            training sees both through a flip.
        zoom: the central share of each side that is enlarged (bilinear) to a view of its own; 1 for no such view.
    """
    views = [images]
    if zoom < 1:
        height, width = images.shape[-2:]
        rows, columns = middle(height, width, zoom)
        views.append(nn.functional.interpolate(images[..., rows, columns], size=(height, width), mode="bilinear"))
    return views + [view.flip(-1) for view in views] if mirror else views

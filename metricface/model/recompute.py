"""Training in less memory: what a backbone's blocks compute is computed again for the gradient, not kept until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

_LISTS = (nn.Sequential, nn.ModuleList)


def blocks_of(backbone: nn.Module) -> list[nn.Module]:
    """Return the blocks that a backbone repeats: the outermost members of its lists that have several layers.

    Residual blocks and transformer layers are that in timm's, torchvision's and our own backbones.
    """
    found = []
    for part in backbone.children():
        in_list = isinstance(backbone, _LISTS) and not isinstance(part, _LISTS)
        found += [part] if in_list and _layers(part) > 1 else blocks_of(part)
    return found


@contextmanager
def recomputing(backbone: nn.Module) -> Iterator[None]:
    """Within this, a forward pass of the backbone keeps what goes into each block and nothing of what is inside.

    Gradients, parameters and running statistics are those of training without it, to the bit: random numbers are drawn
    again as they were, and batch normalisation counts a batch once.

    Source:
        Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174; torch.utils.checkpoint.
    """
    blocks = blocks_of(backbone)
    for block in blocks:
        again = partial(_contexts, block)
        block.forward = partial(checkpoint, block.forward, use_reentrant=False, context_fn=again)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _layers(module: nn.Module) -> int:
    return sum(next(part.parameters(recurse=False), None) is not None for part in module.modules())


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _counting_nothing(block)


@contextmanager
def _counting_nothing(block: nn.Module) -> Iterator[None]:
    """Let batch normalisation leave its running statistics alone: the forward pass has moved them already."""
    norms = [part for part in block.modules() if isinstance(part, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked

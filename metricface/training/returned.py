"""What heads, miners and losses return, against their contracts. Looks at shapes and types alone: no device waits."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.contracts import Head, HeadOutput, Loss, Miner
from metricface.contracts.returned import shown, wrong_return


def checked_output(head: Head, output: HeadOutput, embeddings: Tensor) -> HeadOutput:
    """Return what a head gave for (B, D) embeddings and their labels.

    Raises:
        WrongReturnError: it is no HeadOutput, or not of B rows.
    """
    if not isinstance(output, HeadOutput):
        raise wrong_return(head, f"returned {shown(output)}, not a HeadOutput")
    rows = len(embeddings)
    logits, targets, penalty = output.logits, output.targets, output.penalty
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != rows or not logits.is_floating_point():
        raise wrong_return(head, f"returned logits that are {shown(logits)}, not floats of shape ({rows}, classes)")
    if not isinstance(targets, Tensor) or targets.shape != (rows,) or targets.dtype != torch.int64:
        raise wrong_return(head, f"returned targets that are {shown(targets)}, not int64 of shape ({rows},)")
    if penalty is not None and (not isinstance(penalty, Tensor) or penalty.dim()):
        raise wrong_return(head, f"returned a penalty that is {shown(penalty)}, not a scalar tensor")
    return output


def checked_pairs(miner: Miner, pairs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return what a miner chose.

    Raises:
        WrongReturnError: it is not three or four index tensors of one dimension.
    """
    if not isinstance(pairs, tuple) or len(pairs) not in (3, 4):
        raise wrong_return(miner, f"returned {shown(pairs)}, not a tuple of 3 or 4 index tensors")
    for part in pairs:
        if not isinstance(part, Tensor) or part.dim() != 1 or part.dtype != torch.int64:
            raise wrong_return(miner, f"returned {shown(part)} among its index tensors, not int64 of one dimension")
    return pairs


def checked_loss(loss: Loss, value: Tensor) -> Tensor:
    """Return the value of a loss.

    Raises:
        WrongReturnError: it is no scalar tensor of floats.
    """
    if not isinstance(value, Tensor) or value.dim() or not value.is_floating_point():
        raise wrong_return(loss, f"returned {shown(value)}, not a scalar tensor of floats")
    return value

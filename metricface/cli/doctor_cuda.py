"""Whether two packages bring libraries of different CUDA versions into one process."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

_BROUGHT = re.compile(r"nvidia-[a-z-]+-cu(\d+)")
_OF_TORCH = re.compile(r"\+cu(\d+)\d$")


def other_cuda(package: str) -> str:
    """Return what to say of a package that brings another CUDA than torch has, "" for none or without the package.

    Args:
        package: for instance "faiss-gpu".
    """
    try:
        brought = {int(number) for number in _BROUGHT.findall(" ".join(requires(package) or ()))}
        of_torch = _OF_TORCH.search(version("torch"))
    except PackageNotFoundError:
        return ""
    if not brought or of_torch is None or int(of_torch[1]) in brought:
        return ""
    return f"{package} {version(package)} brings CUDA {max(brought)}, torch is of CUDA {of_torch[1]}"

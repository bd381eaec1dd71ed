"""Files of the hub and of other addresses: those in a cache first, and the network only where it answers at once."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

_PROBE_SECONDS = 1.5
_FETCHES = ContextVar("files are fetched", default=True)


class OutOfReach(Exception):  # noqa: N818 - caught by the caller, who decides whether it is an error
    """A file can neither be found here nor fetched; the text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file, and the source to put on record: repository, revision and file, or the address."""

    path: Path
    source: str


def in_hub_cache(hub_id: str, names: Sequence[str]) -> Iterator[Found]:
    """Yield those of a repository's files that are in the cache, in the order of `names`.

    Args:
        hub_id: "owner/name" or "owner/name@revision".
        names: of files.
    """
    repository, _, revision = hub_id.partition("@")
    for name in names:
        path = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(path, str):
            yield _on_record(path, repository, name)


@contextlib.contextmanager
def nothing_fetched() -> Iterator[None]:
    """Let `download` refuse: a model folder is complete, and whoever loads one need not tell the hub."""
    before = _FETCHES.set(False)
    try:
        yield
    finally:
        _FETCHES.reset(before)


def download(hub_id: str, names: Sequence[str], missing: str) -> Found:
    """Fetch the first of a repository's files that it has.

    The hub is probed before, since a download without a network would try for most of a minute. Without one the answer
    comes within `_PROBE_SECONDS`, also when the name lookup hangs.

    Args:
        hub_id: "owner/name" or "owner/name@revision".
        names: of the files that would do, the best first.
        missing: what is not in the cache, as the beginning of the error's text.

    Raises:
        OutOfReach: HF_HUB_OFFLINE is set, a model folder is loaded (`nothing_fetched`), the hub gives no answer, or
            none of the files.
    """
    _refuse_offline(missing)
    if not hub_answers():
        raise OutOfReach(f"{missing} and the hub cannot be reached")
    repository, _, revision = hub_id.partition("@")
    for name in names:
        try:
            path = huggingface_hub.hf_hub_download(repository, name, revision=revision or None)
        except Exception as error:
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                continue  # the repository is there and the file is not; the local one says that the network failed
            raise OutOfReach(f"{missing} and could not be fetched: {' '.join(str(error).split())}") from error
        return _on_record(path, repository, name)
    raise OutOfReach(f"{missing} and {hub_id} on the hub has no {' or '.join(names)}")


def in_torch_cache(url: str) -> Iterator[Found]:
    """Yield the file of an address where torch's cache has it."""
    path = torch_cache() / url.rpartition("/")[2]
    if path.suffix in {".pth", ".safetensors"} and path.is_file():
        yield Found(path, url)


def torch_cache() -> Path:
    """Return the folder in which torch keeps what it fetched."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def download_address(url: str, missing: str) -> Found:
    """Fetch a file into torch's cache; where its name ends in the beginning of its sha256, that must be right.

    Args:
        url: its address.
        missing: what is not in the cache, as the beginning of the error's text.

    Raises:
        OutOfReach: as for `download`.
    """
    _refuse_offline(missing)
    host = re.sub(r"(?<=[^:/])/.*", "", url)
    if not _answers(host):
        raise OutOfReach(f"{missing} and {host} cannot be reached")
    path = torch_cache() / url.rpartition("/")[2]
    digest = re.search(r"-([0-9a-f]{8,})$", path.stem)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest and digest[1], progress=False)
    except Exception as error:
        raise OutOfReach(f"{missing} and could not be fetched: {' '.join(str(error).split())}") from error
    return Found(path, url)


def _refuse_offline(missing: str) -> None:
    if not _FETCHES.get():
        raise OutOfReach(f"{missing} and a model folder is read without the hub")
    if constants.HF_HUB_OFFLINE:
        raise OutOfReach(f"{missing} and HF_HUB_OFFLINE is set")


def _on_record(path: str, repository: str, name: str) -> Found:
    revision = Path(path).parent.name  # the cache keeps each file in a folder named after its commit
    return Found(Path(path), f"{repository}@{revision[:12]}/{name}")


def hub_answers() -> bool:
    """Say whether the hub gives any answer within the time."""
    return _answers(constants.ENDPOINT)


def _answers(address: str) -> bool:
    """Say whether a host gives any answer within the time; through the hub's client, so with its proxy.

    A name lookup knows no time limit. It goes on in a thread that nobody waits for.
    """
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):
            huggingface_hub.get_session().head(address, timeout=_PROBE_SECONDS)
            answered.set()

    asking = threading.Thread(target=ask, name="probe of the hub", daemon=True)
    asking.start()
    asking.join(_PROBE_SECONDS)
    return answered.is_set()

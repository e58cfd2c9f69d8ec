"""Libraries and weights that may not be here: each missing one is told in a line that says what to do."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import torch

from isocortex.errors import StudyError

T = TypeVar("T")

EXTRAS = {
    "torchvision": "isocortex[vision]",
    "timm": "isocortex[vision]",
    "open_clip": "isocortex[vision]",
    "transformers": "isocortex[models]",
    "huggingface_hub": "isocortex[models]",
    "onnxruntime": "isocortex[models]",
    "onnx": "onnx",
}
SECONDS = 5.0  # that a hub may take to answer


def library(name: str, model: str) -> Any:
    """The module `name`. Raises `StudyError` naming what to install where it is not there or does not import."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a build that does not fit torch raises RuntimeError, or anything else
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        reason = "is not installed" if absent else f"cannot be imported ({first_line(error)})"
        raise StudyError(f'models.{model}.source: {name} {reason}; pip install "{EXTRAS.get(name, name)}"') from error


def hub_file(repository: str, names: tuple[str, ...], model: str, key: str) -> Path:
    """The first of several files of a repository on the hub that is there, from the cache if it holds one."""
    hub = library("huggingface_hub", model)
    for name in names:
        cached = hub.try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    require_hub(f"{repository} ({names[0]})", model, key)
    problem: Exception | None = None
    for name in names:
        try:
            return Path(hub.hf_hub_download(repository, name))
        except Exception as error:
            problem = error
    raise StudyError(f"models.{model}.{key}: {repository} could not be had from the hub ({first_line(problem)}); {OTHERWISE}")


def url_file(url: str, model: str, key: str) -> Path:
    """A file of weights by its address, from torch's cache if it lies there."""
    name = Path(urlsplit(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    require_host(url, name, model, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = name.rpartition("-")[2].partition(".")[0]
    try:
        torch.hub.download_url_to_file(url, str(path), digest if len(digest) == 8 else None, progress=False)
    except Exception as error:
        raise StudyError(f"models.{model}.{key}: {url} could not be had ({first_line(error)}); {OTHERWISE}") from error
    return path


def cached_first(load: Callable[[bool], T], what: str, model: str, key: str) -> T:
    """`load(True)`, from files that are here only, else `load(False)` where the hub can be reached."""
    try:
        return load(True)
    except OSError:
        require_hub(what, model, key)
    try:
        return load(False)
    except OSError as error:
        raise StudyError(
            f"models.{model}.{key}: {what} could not be had from the hub ({first_line(error)}); {OTHERWISE}"
        ) from error


OTHERWISE = "fetch it on another machine, and give its path"


def require_hub(what: str, model: str, key: str) -> None:
    """Raise `StudyError` where the hub cannot be reached, or its client is told to stay offline."""
    constants = library("huggingface_hub.constants", model)
    if constants.HF_HUB_OFFLINE:
        raise StudyError(f"models.{model}.{key}: {what} is not on this machine, and HF_HUB_OFFLINE is set; {OTHERWISE}")
    require_host(constants.ENDPOINT, what, model, key)


def require_host(url: str, what: str, model: str, key: str) -> None:
    """Raise `StudyError` where the host of an address, or the proxy to it, does not answer: clients would try for a minute."""
    asked = urlsplit(url)
    if asked.scheme == "file":
        return
    proxy = urllib.request.getproxies().get(asked.scheme)
    through = asked if not proxy or urllib.request.proxy_bypass(asked.hostname or "") else urlsplit(proxy)
    port = through.port or {"http": 80}.get(through.scheme, 443)
    try:
        socket.create_connection((through.hostname or "", port), timeout=SECONDS).close()
    except OSError as error:
        raise StudyError(
            f"models.{model}.{key}: {what} is not on this machine, and {asked.hostname} cannot be reached "
            f"({error.strerror or error}); {OTHERWISE}"
        ) from None


def first_line(error: BaseException | None) -> str:
    """Kind and first line of an error."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def hushed() -> Iterator[None]:
    """No warnings logged inside: some libraries warn that no weights were asked for, by the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def quiet(*names: str) -> None:
    """Let libraries say errors only, and draw no progress bars of their own."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)

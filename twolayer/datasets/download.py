"""Downloads through tensorflow-datasets (TFDS), within limits of time.

Left alone, TFDS 4.9 retries an unreachable server for 205 s and waits for a silent one for ever.
"""

import contextlib
import functools
import logging
import os
import queue
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twolayer.datasets.dataset import DataError

ANSWER = 8.0  # seconds for a first answer, look-up of the name included
SILENCE = 10.0  # seconds without a byte


def download(name: str, registered: Mapping[str, Any], folder: Path) -> Path:
    """Return `<folder>/downloads/<name>`, which holds the archives under their original names.

    What is already there is not asked for again. The proxy variables of the environment are honoured.

    Args:
      registered: address -> TFDS's UrlInfo.

    Raises:
      DataError: no network, a server that stays silent, a wrong checksum, or a folder that cannot be written.
    """
    archives = folder / "downloads" / name
    urls = {info.filename: url for url, info in registered.items()}
    missing = {filename: url for filename, url in urls.items() if not (archives / filename).exists()}
    if missing:
        url = next(iter(missing.values()))
        if failure := _failure(url):
            raise DataError(_advice(name, folder, url, failure))
        try:
            _fetch(missing, registered, archives)
        # TFDS, requests and the file system each have their own errors.
        except Exception as error:
            failure = getattr(error, "strerror", None) or type(error).__name__
            raise DataError(_advice(name, folder, url, failure)) from error
    return archives


def _fetch(missing: Mapping[str, str], registered: Mapping[str, Any], archives: Path) -> None:
    """Download file name -> address. A file appears in `archives` when it is whole and verified."""
    from tensorflow_datasets import display_progress_bar
    from tensorflow_datasets import download as tfds

    display_progress_bar(False)
    archives.mkdir(parents=True, exist_ok=True)
    # In a folder of our own, because TFDS leaves its partial files behind when a download fails.
    partial = tempfile.TemporaryDirectory(dir=archives, prefix=".partial-", ignore_cleanup_errors=True)
    with partial, _limits():
        manager = tfds.DownloadManager(download_dir=partial.name, url_infos=dict(registered))
        # One by one: when one of many fails, TFDS's threads go on to write the others.
        for filename, url in missing.items():
            os.replace(manager.download(url), archives / filename)


def _advice(name: str, folder: Path, url: str, failure: str) -> str:
    return (
        f"{name} is not in {folder} and cannot be downloaded from {urllib.parse.urlsplit(url).hostname}"
        f" ({failure}): give --source_dir with its four original archives, or --data_dir with a {name}.npz"
        " prepared on another machine, or a network connection"
    )


def _failure(url: str) -> str | None:
    """Why a server does not answer, or None if it does."""
    import requests

    def ask() -> str | None:
        try:
            with requests.get(url, stream=True, timeout=ANSWER) as response:
                return None if response.ok else f"HTTP status {response.status_code}"
        except requests.RequestException as error:
            return type(error).__name__

    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # A thread to walk away from: the time-out of requests does not cover the look-up of a name.
    threading.Thread(target=lambda: answers.put(ask()), daemon=True).start()
    try:
        return answers.get(timeout=ANSWER)
    except queue.Empty:
        return f"no answer in {ANSWER:g} s"


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Bound TFDS's waiting and retries, for which it has no options, and keep its retries out of the log."""
    from unittest import mock

    import requests
    from tensorflow_datasets.core.download import downloader

    request = functools.partialmethod(requests.Session.request, timeout=SILENCE)
    log = logging.getLogger("urllib3")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with (
            mock.patch.object(requests.Session, "request", request),
            mock.patch.object(downloader, "MAX_RETRIES", 2),
        ):
            yield
    finally:
        log.setLevel(level)

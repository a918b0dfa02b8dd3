"""MNIST, Fashion-MNIST and Kuzushiji-MNIST from their original archives.

tensorflow-datasets (TFDS) registers their addresses, sizes and SHA-256, and downloads them. The IDX parser is
ours, because TFDS's own needs TensorFlow.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from twolayer.datasets import idx
from twolayer.datasets.dataset import DataError, Form, Split
from twolayer.datasets.download import download
from twolayer.names import MNIST_FAMILY as NAMES

FORM = Form(sizes=(50_000, 10_000, 10_000), inputs=784, outputs=10, scale=1 / 255, image_shape=(28, 28))
ARCHIVES = {
    "train-images-idx3-ubyte.gz": (60_000, 28, 28),
    "train-labels-idx1-ubyte.gz": (60_000,),
    "t10k-images-idx3-ubyte.gz": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte.gz": (10_000,),
}


def prepare(name: str, source_dir: str | os.PathLike | None, folder: Path) -> tuple[Split, Split, Split]:
    """Read the four archives from source_dir, which is never written to, or download them into folder.

    The first 50,000 training images train, the last 10,000 validate, the 10,000 test images test.

    Args:
      name: of the family, as TFDS has it.
      source_dir: a folder with the archives, or None to download them.
      folder: where a download goes.

    Raises:
      DataError: an archive is missing, damaged or another one, or cannot be downloaded.
    """
    registered = registered_archives(name)
    archives = Path(source_dir).expanduser() if source_dir else download(name, registered, folder)
    infos = {info.filename: info for info in registered.values()}
    images, labels, test_images, test_labels = (
        _read(archives / filename, name, infos[filename], shape) for filename, shape in ARCHIVES.items()
    )
    train = FORM.sizes[0]
    return (
        _split(images[:train], labels[:train]),
        _split(images[train:], labels[train:]),
        _split(test_images, test_labels),
    )


def check_archives(name: str, source_dir: str | os.PathLike) -> None:
    """Raise DataError unless source_dir holds the four archives of this data set, as their SHA-256 tell."""
    infos = {info.filename: info for info in registered_archives(name).values()}
    for filename in ARCHIVES:
        _content(Path(source_dir).expanduser() / filename, name, infos[filename])


def registered_archives(name: str) -> Mapping[str, Any]:
    """What TFDS registers for a data set: address -> UrlInfo(size, checksum, filename).

    Raises:
      DataError: tensorflow-datasets is not installed.
    """
    try:
        from tensorflow_datasets import builder_cls
    except ImportError as error:
        raise DataError(
            f"preparing {name} needs tensorflow-datasets ({error}): install it, or give --data_dir with a"
            f" {name}.npz prepared on another machine"
        ) from error
    return builder_cls(name).url_infos or {}


def _content(path: Path, name: str, info: Any) -> bytes:
    """The bytes of an archive, which are those that were registered."""
    try:
        content = path.read_bytes()
    except OSError as error:
        needed = ", ".join(ARCHIVES)
        raise DataError(f"{path}: {error.strerror}; {name} needs its four archives: {needed}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    # Downloads too: TFDS checked them when they came, not since.
    if sha256 != info.checksum:
        raise DataError(
            f"{path} is not the {info.filename} of {name} but {_identify(content, sha256)}, expected"
            f" {int(info.size):,} bytes with SHA-256 {info.checksum[:12]}; replace or delete it"
        )
    return content


def _read(path: Path, name: str, info: Any, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
    array = idx.parse(_content(path, name, info), str(path))
    if array.shape != shape:
        raise DataError(f"{path} holds an array {array.shape}, expected {shape}; replace or delete it")
    return array


def _identify(content: bytes, sha256: str) -> str:
    for name in NAMES:
        for info in registered_archives(name).values():
            if info.checksum == sha256:
                return f"the {info.filename} of {name}"
    return f"{len(content):,} bytes with SHA-256 {sha256[:12]}"


def _split(images: UInt8[np.ndarray, "n h w"], labels: UInt8[np.ndarray, " n"]) -> Split:
    return Split(images.reshape(len(images), -1), labels.astype(np.int32))

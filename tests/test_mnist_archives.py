"""The MNIST family: the IDX parser, the archives on disk, and downloads from a server that may misbehave."""

import gzip
import http.server
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twolayer.datasets import DataError, catalog, download, idx, load, mnist_family
from twolayer.datasets.dataset import Form

TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = mnist_family.ARCHIVES
FORM = Form(sizes=(5, 3, 2), inputs=6, outputs=10, scale=1 / 255, image_shape=(2, 3))


def encode(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def zipped(content: bytes) -> bytes:
    """The same bytes at any time: names of tests are made of them."""
    return gzip.compress(content, mtime=0)


def pack(array: np.ndarray) -> bytes:
    return zipped(encode(array))


# The IDX format.


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_idx_round_trip(shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(idx.parse(pack(array), "file"), array, strict=True)


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("length", range(len(encode(IMAGES))))
def test_idx_may_not_be_short(length):
    with pytest.raises(DataError, match=r"^the file "):
        idx.parse(zipped(encode(IMAGES)[:length]), "the file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(encode(IMAGES) + b"\0"), r"has 25 values, but its header says \(2, 3, 4\)"),
        (zipped(b"\0\0\x0d" + encode(IMAGES)[3:]), "is no IDX file of unsigned bytes"),
        (zipped(b"\1" + encode(IMAGES)[1:]), "is no IDX file of unsigned bytes"),
        (zipped(b"\0\0\x08\0" + b"\0"), "is no IDX file of unsigned bytes"),
        (encode(IMAGES), "is not a whole gzip file"),
        (pack(IMAGES)[:-1], "is not a whole gzip file"),
        (pack(IMAGES)[:20] + b"\xff" + pack(IMAGES)[21:], "is not a whole gzip file"),
        (b"", "is no IDX file of unsigned bytes"),
    ],
)
def test_idx_is_strict(content, message):
    with pytest.raises(DataError, match=message):
        idx.parse(content, "the file")


# Archives on disk. Small ones stand in for the three data sets, with their own registered checksums.


def fake_family(folder: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for name, n in ((TRAIN_X, 8), (TEST_X, 2)):
        (folder / name).write_bytes(pack(rng.integers(0, 256, (n, 2, 3), np.uint8)))
    for name, n in ((TRAIN_Y, 8), (TEST_Y, 2)):
        (folder / name).write_bytes(pack(rng.integers(0, 10, n, np.uint8)))
    return folder


def register(folder: Path, base: str = "http://127.0.0.1:1/") -> dict:
    from tensorflow_datasets.core.download.checksums import compute_url_info

    return {base + name: compute_url_info(folder / name) for name in mnist_family.ARCHIVES}


@pytest.fixture
def registry(tmp_path, monkeypatch) -> dict:
    """Data set name -> its registered archives; change it to change what is registered."""
    registry = {}
    for seed, name in enumerate(mnist_family.NAMES):
        registry[name] = register(fake_family(tmp_path / name, seed))
    shapes = {TRAIN_X: (8, 2, 3), TRAIN_Y: (8,), TEST_X: (2, 2, 3), TEST_Y: (2,)}
    monkeypatch.setattr(mnist_family, "FORM", FORM)
    monkeypatch.setattr(mnist_family, "ARCHIVES", shapes)
    monkeypatch.setattr(mnist_family, "registered_archives", registry.__getitem__)
    return registry


@pytest.fixture
def source(registry, tmp_path) -> Path:
    return tmp_path / "mnist"


@pytest.fixture
def data_dir(tmp_path) -> Path:
    return tmp_path / "data"


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def refuses(message: str, **arguments) -> None:
    """load() must fail with one line that matches, and leave no file behind."""
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", **arguments)
    assert "\n" not in str(caught.value)
    assert left_in(arguments["data_dir"]) == []


def test_last_training_images_validate(source, data_dir):
    data = load("mnist", source_dir=source, data_dir=data_dir)
    images, labels, test_images, test_labels = (
        idx.parse((source / name).read_bytes(), name) for name in mnist_family.ARCHIVES
    )
    np.testing.assert_array_equal(np.concatenate([data.train.x, data.valid.x]), images.reshape(8, 6))
    np.testing.assert_array_equal(np.concatenate([data.train.y, data.valid.y]), labels)
    np.testing.assert_array_equal(data.test.x, test_images.reshape(2, 6))
    np.testing.assert_array_equal(data.test.y, test_labels)
    assert [len(split.x) for split in (data.train, data.valid, data.test)] == [5, 3, 2]
    assert (data.outputs, data.scale, data.image_shape) == (10, 1 / 255, (2, 3)) and not data.regression
    assert data.train.x.dtype == np.uint8 and data.train.y.dtype == np.int32
    assert data.train.x.flags.writeable


def test_source_is_never_written_to(source, data_dir):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in source.iterdir()}
    load("mnist", source_dir=source, data_dir=data_dir)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in source.iterdir()}
    assert left_in(data_dir) == ["mnist.npz"]


def test_prepared_arrays_need_no_source(source, data_dir):
    first = load("mnist", source_dir=source, data_dir=data_dir)
    assert load("mnist", data_dir=data_dir).sha256 == first.sha256


@pytest.mark.parametrize("archive", mnist_family.ARCHIVES)
def test_missing_archive(source, data_dir, archive):
    (source / archive).unlink()
    message = f"mnist/{archive}: No such file.*needs its four archives: train-images"
    refuses(message, source_dir=source, data_dir=data_dir)


def test_missing_source(registry, data_dir):
    refuses("/not/there/.*: No such file", source_dir="/not/there", data_dir=data_dir)


@pytest.mark.parametrize("archive", mnist_family.ARCHIVES)
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_archive(source, data_dir, archive, damage):
    content = bytearray((source / archive).read_bytes())
    size = len(content)
    if damage == "truncated":
        content = content[:-1]
    else:
        content[9] ^= 1  # gzip's name of the operating system: nothing but the SHA-256 covers it
    (source / archive).write_bytes(content)
    message = f"{archive} of mnist but {len(content)} bytes with SHA-256 .*, expected {size} bytes"
    refuses(message, source_dir=source, data_dir=data_dir)


def test_swapped_archives(source, data_dir):
    (source / TRAIN_X).write_bytes((source / TEST_X).read_bytes())
    refuses(f"is not the {TRAIN_X} of mnist but the {TEST_X} of mnist", source_dir=source, data_dir=data_dir)


def test_archives_of_another_member_of_the_family(registry, tmp_path, data_dir):
    message = f"is not the {TRAIN_X} of mnist but the {TRAIN_X} of kmnist"
    refuses(message, source_dir=tmp_path / "kmnist", data_dir=data_dir)


@pytest.mark.parametrize(
    ("archive", "array", "message"),
    [
        (TEST_Y, np.array([3, 10], np.uint8), "mnist: test y holds labels 3..10, expected 0..9"),
        (TEST_Y, np.zeros(3, np.uint8), rf"{TEST_Y} holds an array \(3,\), expected \(2,\)"),
        (TRAIN_X, np.zeros((8, 3, 2), np.uint8), r"holds an array \(8, 3, 2\), expected \(8, 2, 3\)"),
    ],
)
def test_archive_with_the_wrong_content(registry, source, data_dir, archive, array, message):
    (source / archive).write_bytes(pack(array))
    registry["mnist"] = register(source)
    refuses(message, source_dir=source, data_dir=data_dir)


def test_corrupt_cache_is_rebuilt_from_the_source_or_refused(source, data_dir, caplog):
    first = load("mnist", source_dir=source, data_dir=data_dir)
    prepared = data_dir / "mnist.npz"
    prepared.write_bytes(prepared.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"mnist.npz is corrupt.*; delete it.*or give --source_dir"):
        load("mnist", data_dir=data_dir)
    assert load("mnist", source_dir=source, data_dir=data_dir).sha256 == first.sha256
    assert f"preparing it again from {source}" in caplog.text
    assert load("mnist", data_dir=data_dir).sha256 == first.sha256


def test_training_goes_on_if_nothing_can_be_kept(source, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    assert load("mnist", source_dir=source, data_dir=tmp_path / "file").inputs == 6
    assert "mnist.npz could not be written" in caplog.text


def test_without_tensorflow_datasets(data_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    refuses(r"mnist needs tensorflow-datasets .*or give --data_dir", source_dir="/any", data_dir=data_dir)


def test_all_three_are_registered():
    for name in mnist_family.NAMES:
        infos = mnist_family.registered_archives(name)
        assert {info.filename for info in infos.values()} == set(mnist_family.ARCHIVES)
        assert all(url.endswith("/" + info.filename) for url, info in infos.items())
    assert "tensorflow" not in sys.modules


# Downloads. The server is ours; what it does wrong is the attribute `fault`.


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests += 1
        # The first request asks whether the server answers, so later faults need their own count.
        if server.fault == "silent" or (server.fault == "then silent" and server.requests > 1):
            server.stop.wait(20)
            return
        content = (server.folder / self.path.strip("/")).read_bytes()
        if server.fault == "wrong content":
            content = content[::-1]
        self.send_response(503 if server.fault == "error" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        if server.fault == "stalled":
            server.stop.wait(20)
        if server.fault != "cut":
            self.wfile.write(content[len(content) // 2 :])

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass  # clients that hang up are the point of these tests


@pytest.fixture
def server(registry, source, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert download.ANSWER + download.SILENCE < 20, "offline is told soon"
    monkeypatch.setattr(download, "ANSWER", 1.0)
    monkeypatch.setattr(download, "SILENCE", 0.2)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.folder, server.fault, server.requests, server.stop = source, None, 0, threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        registry["mnist"] = register(source, f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


WAYS_OUT = "give --source_dir with its four .*, or --data_dir with a mnist.npz .*, or a network connection"


def test_download_through_tfds(server, source, data_dir, capfd):
    data = load("mnist", data_dir=data_dir)
    archives = data_dir / "downloads" / "mnist"
    assert left_in(archives) == sorted(mnist_family.ARCHIVES)
    assert data.sha256 == load("mnist", source_dir=archives, data_dir=data_dir / "other").sha256
    assert capfd.readouterr() == ("", "")


def test_kept_archives_are_not_downloaded_again_but_checked_again(server, data_dir):
    load("mnist", data_dir=data_dir)
    requests = server.requests
    (data_dir / "mnist.npz").unlink()
    load("mnist", data_dir=data_dir)
    assert server.requests == requests
    (data_dir / "mnist.npz").unlink()
    (data_dir / "downloads" / "mnist" / TEST_Y).write_bytes(b"damaged")
    with pytest.raises(DataError, match=f"is not the {TEST_Y} of mnist but 7 bytes.*replace or delete it"):
        load("mnist", data_dir=data_dir)


def test_folder_that_cannot_hold_a_download(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=rf"\(Not a directory\): {WAYS_OUT}"):
        load("mnist", data_dir=tmp_path / "file")


@pytest.mark.parametrize("fault", ["silent", "then silent", "stalled", "cut", "error", "wrong content"])
def test_server_at_fault(server, data_dir, fault, caplog):
    server.fault = fault
    start = time.monotonic()
    refuses(rf"mnist is not in .* cannot be downloaded from 127.0.0.1 \(.+\): {WAYS_OUT}", data_dir=data_dir)
    assert time.monotonic() - start < 8
    assert not caplog.records


def test_no_server(registry, data_dir, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    refuses(rf"\(ConnectionError\): {WAYS_OUT}", data_dir=data_dir)
    assert not data_dir.exists()


def test_look_up_of_the_name_that_hangs(registry, source, data_dir, monkeypatch):
    registry["mnist"] = register(source, "http://mnist.invalid/")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "ANSWER", 0.3)
    gave_up = threading.Event()

    def look_up(*args, **kwargs):
        gave_up.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    refuses(rf"mnist.invalid \(no answer in 0.3 s\): {WAYS_OUT}", data_dir=data_dir)
    gave_up.set()


def test_a_proxy_is_asked(registry, source, data_dir, server, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    registry["mnist"] = register(source, "http://mnist.invalid/")
    server.folder = ProxiedFolder(source)
    assert load("mnist", data_dir=data_dir).inputs == 6


class ProxiedFolder:
    """A proxy is sent whole addresses."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __truediv__(self, address: str) -> Path:
        return self.folder / address.removeprefix("http://mnist.invalid/")


# The real thing.


@pytest.fixture(scope="module")
def real_archives() -> str:
    folder = os.environ.get("TWOLAYER_MNIST_DIR")
    if not folder:
        pytest.skip("TWOLAYER_MNIST_DIR does not name a folder with the four MNIST archives")
    return folder


@pytest.mark.mnist
def test_real_mnist(real_archives, tmp_path):
    data = load("mnist", source_dir=real_archives, data_dir=tmp_path)
    assert data.sha256 == "74093d09a21099f6f101f47e23dccb284b1067a20aae4b92c52e5cd4d4017d2b"
    shapes = [split.x.shape for split in (data.train, data.valid, data.test)]
    assert shapes == [(50_000, 784), (10_000, 784), (10_000, 784)]
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9] and data.test.y[:5].tolist() == [7, 2, 1, 0, 4]
    # The mean that everyone normalises with, over the 60,000.
    assert np.concatenate([data.train.x, data.valid.x]).mean() * data.scale == pytest.approx(0.1307, abs=1e-4)
    assert load("mnist", data_dir=tmp_path).sha256 == data.sha256


@pytest.mark.mnist
@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist"])
def test_real_mnist_is_no_other(real_archives, tmp_path, name):
    with pytest.raises(DataError, match=f"is not the {TRAIN_X} of {name} but the {TRAIN_X} of mnist"):
        load(name, source_dir=real_archives, data_dir=tmp_path)


def test_a_folder_of_archives_beside_prepared_data_must_hold_the_same(monkeypatch, tmp_path):
    """Otherwise a run would train on what was prepared before, whatever its --source_dir says."""
    prepared = load("teacher")  # stands for what was prepared
    (tmp_path / "mnist.npz").touch()
    monkeypatch.setattr(catalog, "read_or_prepare", lambda *_, **__: prepared)
    assert catalog.load("mnist", data_dir=tmp_path) is prepared
    with pytest.raises(DataError, match="needs its four archives"):
        catalog.load("mnist", data_dir=tmp_path, source_dir=tmp_path / "nowhere")
    for name in mnist_family.ARCHIVES:
        (tmp_path / name).write_bytes(b"others")
    with pytest.raises(DataError, match="of mnist but 6 bytes"):
        catalog.load("mnist", data_dir=tmp_path, source_dir=tmp_path)

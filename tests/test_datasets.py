"""Digits, the teacher, the checks, and the cache of prepared arrays."""

import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twolayer.datasets import NAMES, DataError, Split, TeacherOptions, cache, first, load, with_label_noise
from twolayer.datasets.dataset import Form, assemble, fingerprint, named_arrays
from twolayer.datasets.prepared import digits
from twolayer.datasets.teacher import answer

SMALL = TeacherOptions(inputs=3, hidden_size=4, outputs=2, train=5, valid=4, test=3)
TINY = Form(sizes=(4, 2, 2), inputs=3, outputs=10, scale=1 / 255)


def tiny_splits() -> tuple[Split, Split, Split]:
    rng = np.random.default_rng(0)
    xs = [rng.integers(0, 256, (n, 3), np.uint8) for n in TINY.sizes]
    ys = [np.arange(n, dtype=np.int32) for n in TINY.sizes]
    return tuple(map(Split, xs, ys))


def arrays_of(dataset) -> dict[str, np.ndarray]:
    return named_arrays(dataset.train, dataset.valid, dataset.test)


def parts(data) -> list[tuple[str, np.ndarray, np.ndarray]]:
    return [(part, *getattr(data, part)) for part in ("train", "valid", "test")]


def assert_same_data(one, other) -> None:
    for key, array in arrays_of(one).items():
        np.testing.assert_array_equal(array, arrays_of(other)[key], strict=True)
    assert one.sha256 == other.sha256


def test_digits_are_those_of_scikit_learn_once_each(tmp_path):
    from sklearn.datasets import load_digits

    def rows(x, y):
        return np.column_stack([x, y]).tolist()

    data = load("digits", data_dir=tmp_path)
    found = [row for _, x, y in parts(data) for row in rows(x, y)]
    assert sorted(found) == sorted(rows(*load_digits(return_X_y=True)))
    assert (data.outputs, data.scale, data.image_shape) == (10, 1 / 16, (8, 8))
    assert data.inputs == 64 and not data.regression
    for _, x, y in parts(data):
        assert x.dtype == np.uint8 and y.dtype == np.int32 and (x * data.scale).max() == 1
        assert set(y) == set(range(10))


def test_the_split_of_digits_never_changes(tmp_path):
    data = load("digits", data_dir=tmp_path)
    assert data.sha256 == "1db7b61187c48568adb0c245cbd1fcd8bfb5f834e3f1cf9401d0799f33e82ab1"


def test_unknown_name():
    with pytest.raises(DataError, match=r"no data set 'cifar'; choose one of: digits, mnist, .*, teacher"):
        load("cifar")
    assert NAMES == ("digits", "mnist", "fashion_mnist", "kmnist", "teacher")


# The checks.


def broken(part: str, field: str, change) -> tuple[Split, ...]:
    splits = dict(zip(("train", "valid", "test"), tiny_splits(), strict=True))
    splits[part] = splits[part]._replace(**{field: change(getattr(splits[part], field))})
    return tuple(splits.values())


def with_value(value, dtype):
    def change(array):
        array = array.astype(dtype)
        array[(1,) * array.ndim] = value
        return array

    return change


@pytest.mark.parametrize("part", ["train", "valid", "test"])
@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("y", with_value(10, np.int32), r"y holds labels 0..10, expected 0..9"),
        ("y", with_value(-1, np.int32), r"y holds labels -1..\d, expected 0..9"),
        ("y", lambda y: y[:-1], r"y is int32 \(\d,\), expected int32 or float32 \(\d,\)"),
        ("y", lambda y: y.astype(np.int64), "y is int64"),
        ("y", lambda y: np.zeros((len(y), 3), np.float32), r"y is float32 \(\d, 3\), expected .* \(\d, 10\)"),
        ("x", lambda x: x[:-1], r"x is uint8 \(\d, 3\), expected uint8 or float32 \(\d, 3\)"),
        ("x", lambda x: x[:, :2], r"x is uint8 \(\d, 2\)"),
        ("x", lambda x: x.astype(np.float64), "x is float64"),
        ("x", with_value(np.nan, np.float32), "x has a value that is not finite in row 1"),
        ("x", with_value(np.inf, np.float32), "x has a value that is not finite in row 1"),
    ],
)
def test_bad_arrays_are_refused(part, field, change, message):
    with pytest.raises(DataError, match=f"tiny: {part} {message}"):
        assemble("tiny", TINY, *broken(part, field, change))


@pytest.mark.parametrize("part", ["train", "valid", "test"])
@pytest.mark.parametrize("change", [lambda x: x ^ 1, lambda x: x.reshape(3, -1), lambda x: x.astype(np.int8)])
def test_the_fingerprint_sees_content_shape_and_type(part, change):
    assert fingerprint(*broken(part, "x", change)) != fingerprint(*tiny_splits())


def test_the_fingerprint_sees_order_but_not_memory_layout():
    train, valid, test = tiny_splits()
    assert fingerprint(train, test, valid) != fingerprint(train, valid, test)
    column_major = train._replace(x=np.asfortranarray(train.x))
    assert fingerprint(column_major, valid, test) == fingerprint(train, valid, test)


# The teacher.


def test_teacher_has_the_sizes_asked_for():
    data = load("teacher", teacher=SMALL)
    assert (data.inputs, data.outputs, data.scale, data.image_shape) == (3, 2, 1.0, None) and data.regression
    for (_, x, y), n in zip(parts(data), (5, 4, 3), strict=True):
        assert x.shape == (n, 3) and y.shape == (n, 2) and x.dtype == y.dtype == np.float32


def test_teacher_is_a_function_of_the_seed():
    assert_same_data(load("teacher", seed=3, teacher=SMALL), load("teacher", seed=3, teacher=SMALL))
    assert load("teacher", seed=3, teacher=SMALL).sha256 != load("teacher", seed=4, teacher=SMALL).sha256


def test_no_example_is_drawn_twice():
    data = load("teacher")
    rows = np.concatenate([x for _, x, _ in parts(data)])
    assert len(np.unique(rows[:, 0])) > 0.99 * len(rows)


def test_more_examples_keep_the_teacher_and_the_other_examples():
    few = load("teacher", teacher=SMALL)
    many = load("teacher", teacher=TeacherOptions(3, 4, 2, train=50, valid=4, test=3))
    np.testing.assert_array_equal(many.train.x[:5], few.train.x)
    np.testing.assert_allclose(many.train.y[:5], few.train.y, rtol=1e-6)
    np.testing.assert_array_equal(many.test.y, few.test.y)


def test_teacher_noise_is_additive_with_the_stated_deviation():
    clean, noisy = (load("teacher", teacher=TeacherOptions(noise=noise)) for noise in (0.0, 0.5))
    np.testing.assert_array_equal(clean.train.x, noisy.train.x)
    noise = noisy.train.y - clean.train.y
    assert abs(noise.mean()) < 5 * 0.5 / math.sqrt(noise.size)
    assert abs(noise.std() - 0.5) < 5 * 0.5 / math.sqrt(2 * noise.size)


def test_teacher_outputs():
    options = [TeacherOptions(noise=0.0, output=output) for output in ("relu", "identity")]
    relu, identity = (load("teacher", teacher=each) for each in options)
    np.testing.assert_array_equal(relu.train.y, np.maximum(identity.train.y, 0))
    assert identity.train.y.min() < 0 and (relu.train.y > 0).any(axis=0).all()
    # He weights: E[Z2^2] = 2. Ten outputs of 32 hidden units each scatter by about 20 %.
    assert 1 < np.square(identity.train.y).mean() < 3


def test_teacher_is_a_two_layer_relu_network():
    rng = np.random.default_rng(0)
    x, W1, W2 = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(5, 3)), rng.normal(size=(2, 5))
    for i, k in np.ndindex(4, 2):
        hidden = [max(0.0, sum(W1[j, a] * float(x[i, a]) for a in range(3))) for j in range(5)]
        Z2 = sum(W2[k, j] * hidden[j] for j in range(5))
        assert answer(x, W1, W2, "identity")[i, k] == pytest.approx(Z2)
        assert answer(x, W1, W2, "relu")[i, k] == pytest.approx(max(0.0, Z2))


@pytest.mark.parametrize("field", ["inputs", "hidden_size", "outputs", "train", "valid", "test"])
@pytest.mark.parametrize("size", [0, -1])
def test_teacher_sizes_are_checked(field, size):
    with pytest.raises(DataError, match=f"teacher: {field} must be at least 1, got {size}"):
        TeacherOptions(**{field: size})


@pytest.mark.parametrize("noise", [-0.1, math.nan, math.inf])
def test_teacher_noise_is_checked(noise):
    with pytest.raises(DataError, match="teacher: noise must be a finite number of at least 0"):
        TeacherOptions(noise=noise)


def test_teacher_output_and_seed_are_checked():
    with pytest.raises(DataError, match="teacher: output must be relu or identity, got 'tanh'"):
        TeacherOptions(output="tanh")
    with pytest.raises(DataError, match="teacher: seed must be at least 0, got -1"):
        load("teacher", seed=-1, teacher=SMALL)


# The cache.


@pytest.fixture
def prepared(tmp_path) -> Path:
    path = tmp_path / "tiny.npz"
    cache.write(path, assemble("tiny", TINY, *tiny_splits()))
    return path


def test_cache_gives_back_the_same_bytes(prepared):
    data = cache.read(prepared, "tiny", TINY)
    assert_same_data(data, assemble("tiny", TINY, *tiny_splits()))
    assert [path.name for path in prepared.parent.iterdir()] == ["tiny.npz"]


def test_cached_data_are_not_prepared_again(tmp_path, monkeypatch):
    first = load("digits", data_dir=tmp_path)
    monkeypatch.setattr(digits, "prepare", lambda: pytest.fail("prepared again"))
    assert_same_data(load("digits", data_dir=tmp_path), first)


def test_reading_the_cache_imports_neither_tensorflow_datasets_nor_scikit_learn(tmp_path):
    load("digits", data_dir=tmp_path)
    code = f"""
import sys
from twolayer.datasets import load
load("digits", data_dir={str(tmp_path)!r})
print(sorted({{"tensorflow_datasets", "tensorflow", "sklearn"}} & set(sys.modules)))
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def resave(path: Path, **changes) -> None:
    with np.load(path) as file:
        content = {key: file[key] for key in file} | changes
    np.savez(path, **{key: array for key, array in content.items() if array is not None})


def forge(path: Path, **splits: Split) -> None:
    """Write splits of another form, with the fingerprint that belongs to them."""
    parts = dict(zip(("train", "valid", "test"), tiny_splits(), strict=True)) | splits
    resave(path, sha256=fingerprint(**parts), **named_arrays(**parts))


class Trap:
    """Unpickling runs what the file says."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "not a zip": lambda path: path.write_bytes(b"<html>404</html>"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "one array": lambda path: (np.save(path.with_suffix(".npy"), 3), path.with_suffix(".npy").replace(path)),
    "missing array": lambda path: resave(path, valid_y=None),
    "changed pixel": lambda path: resave(path, train_x=np.zeros((4, 3), np.uint8)),
    "another data set": lambda path: resave(path, name="kmnist"),
    "pickled array": lambda path: resave(path, train_x=np.array([Trap()], dtype=object)),
    "huge header": lambda path: resave(path, train_x=np.zeros(1, [(f"field{i}", "u1") for i in range(999)])),
    "wrong shape": lambda path: forge(path, train=Split(np.zeros((5, 3), np.uint8), np.zeros(5, np.int32))),
    "wrong label": lambda path: forge(path, test=Split(np.zeros((2, 3), np.uint8), np.full(2, 10, np.int32))),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_cache_is_refused(prepared, damage):
    damage(prepared)
    with pytest.raises(DataError, match=r"tiny.npz is corrupt or unreadable \(.+\)$") as caught:
        cache.read(prepared, "tiny", TINY)
    assert "\n" not in str(caught.value)


# No deadline: the time is the disk's.
@settings(deadline=None)
@given(data=st.data())
def test_no_flipped_bit_reaches_training(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flip")
    original = assemble("tiny", TINY, *tiny_splits())
    cache.write(folder / "tiny.npz", original)
    content = bytearray((folder / "tiny.npz").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / "tiny.npz").write_bytes(content)
    try:
        found = cache.read(folder / "tiny.npz", "tiny", TINY)
    except DataError:
        return
    # A bit that means nothing, such as one of a time stamp.
    assert_same_data(found, original)


def test_what_a_killed_process_left_is_removed_when_it_is_old(prepared):
    old, new = (prepared.with_name(f".tiny.npz.{name}") for name in ("old", "new"))
    for left in (old, new):
        left.touch()
    os.utime(old, (0, 0))
    cache.write(prepared, assemble("tiny", TINY, *tiny_splits()))
    assert new.exists() and not old.exists()


def test_corrupt_cache_is_rebuilt_from_a_source_with_one_warning(tmp_path, caplog):
    first = load("digits", data_dir=tmp_path)
    DAMAGE["truncated"](tmp_path / "digits.npz")
    assert_same_data(load("digits", data_dir=tmp_path), first)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "digits.npz is corrupt" in record.getMessage() and "from scikit-learn" in record.getMessage()
    caplog.clear()
    load("digits", data_dir=tmp_path)
    assert not caplog.records


def test_folder_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    assert load("digits", data_dir=tmp_path / "file").inputs == 64
    assert load("digits", data_dir=tmp_path / "file" / "below").inputs == 64
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "digits.npz could not be written" in caplog.text


def test_failed_write_leaves_the_old_file_and_nothing_else(prepared, monkeypatch):
    before = prepared.read_bytes()

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.write(prepared, assemble("tiny", TINY, *tiny_splits()))
    assert prepared.read_bytes() == before and list(prepared.parent.iterdir()) == [prepared]


def test_folder_of_prepared_arrays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TWOLAYER_DATA_DIR", raising=False)
    assert cache.data_folder(None) == tmp_path / ".cache" / "twolayer"
    monkeypatch.setenv("TWOLAYER_DATA_DIR", "/elsewhere")
    assert cache.data_folder(None) == Path("/elsewhere")
    assert cache.data_folder("~/here") == tmp_path / "here"


def test_without_a_home_folder(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TWOLAYER_DATA_DIR", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(DataError, match=r"no home folder.*give --data_dir"):
        load("digits")


def test_digits_without_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"digits needs scikit-learn \(.*\): install it, or give --data_dir"):
        load("digits", data_dir=tmp_path)


# --- alterations of the training set ---


def test_the_first_examples_are_those_of_the_whole_and_nothing_else_changes(tmp_path):
    data = load("digits", data_dir=tmp_path)
    few = first(data, 100)
    np.testing.assert_array_equal(few.train.x, data.train.x[:100])
    np.testing.assert_array_equal(few.train.y, data.train.y[:100])
    assert few.valid is data.valid and few.test is data.test and few.sha256 != data.sha256
    assert first(data, len(data.train.x)).sha256 == data.sha256
    judged = first(data, 50, "valid")
    np.testing.assert_array_equal(judged.valid.y, data.valid.y[:50])
    assert judged.train is data.train and judged.sha256 != data.sha256
    for wanted in (0, len(data.train.x) + 1):
        with pytest.raises(DataError, match=str(wanted)):
            first(data, wanted)


def test_label_noise_draws_the_stated_share_anew_from_all_classes(tmp_path):
    data = load("digits", data_dir=tmp_path)
    noisy, n = with_label_noise(data, 0.5, seed=3), len(data.train.y)
    wrong = (noisy.train.y != data.train.y).sum()
    assert abs(wrong - 0.45 * n) < 4 * np.sqrt(n * 0.09 / 4)  # half of them anew, a tenth of these by chance the same
    assert noisy.train.x is data.train.x and noisy.valid is data.valid and noisy.train.y.dtype == np.int32
    assert set(noisy.train.y.tolist()) == set(range(10))
    assert with_label_noise(data, 0.5, seed=3).sha256 == noisy.sha256 != with_label_noise(data, 0.5, seed=4).sha256
    np.testing.assert_array_equal(with_label_noise(data, 0.0, seed=3).train.y, data.train.y)


def test_random_labels_have_nothing_to_do_with_the_images(tmp_path):
    data = load("digits", data_dir=tmp_path)
    agree = (with_label_noise(data, 1.0, seed=0).train.y == data.train.y).mean()
    assert abs(agree - 0.1) < 4 * np.sqrt(0.09 / len(data.train.y))


def test_real_targets_have_no_label_noise():
    data = load("teacher")
    with pytest.raises(DataError, match="real targets"):
        with_label_noise(data, 0.1, seed=0)

"""Anybody's own data: what is understood of each kind of file, and one line for each way in which it cannot be used."""

import subprocess
import sys

import numpy as np
import pytest
import scripts

from twolayer.datasets import DataError, Options, Raw, from_arrays, load

DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 3
ROWS = "\n".join(f"{i % 5},{'red' if i % 2 else 'blue'},{i / 7},{'cat' if i % 3 else 'dog'}" for i in range(30))
TABLE = "size,colour,weight,animal\n" + ROWS + "\n"


def write(path, text):
    path.write_text(text)
    return str(path)


def test_arrays_without_parts_are_split_by_seed_and_share(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y + 4)
    data, again = (load(str(tmp_path / "a.npz")) for _ in range(2))
    assert (len(data.train.x), len(data.valid.x), len(data.test.x)) == (28, 6, 6)
    assert data.classes == ("4", "5", "6") and data.sha256 == again.sha256
    together = np.concatenate([split.x for split in (data.train, data.valid, data.test)])
    assert sorted(together.tolist()) == sorted(X.tolist())
    other = load(str(tmp_path / "a.npz"), options=Options(split_seed=1, valid_share=0.5, test_share=0.25))
    assert (len(other.train.x), len(other.valid.x), len(other.test.x)) == (10, 20, 10)
    labels = {tuple(row): label + 4 for split in (data.train, data.valid, data.test) for row, label in zip(*split)}  # noqa: B905
    assert labels == dict(zip(map(tuple, X), Y + 4, strict=True))


def test_parts_of_a_file_stay_as_they_are(tmp_path):
    parts = {"x_valid": X[:5], "y_valid": Y[:5], "x_test": X[:7], "y_test": Y[:7]}
    np.savez(tmp_path / "a.npz", x=X, y=Y, **parts)
    data = load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(data.train.x, X)
    np.testing.assert_array_equal(data.test.x, X[:7])
    assert data.said[0] == "40 training, 5 validation and 7 test examples of 3 inputs"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_has_categories_by_name(kind, tmp_path):
    path = write(tmp_path / "a.csv", TABLE)
    if kind == "parquet":
        from pyarrow import csv, parquet

        parquet.write_table(csv.read_csv(path), tmp_path / "a.parquet")
        path = str(tmp_path / "a.parquet")
    data = load(path, target="animal", options=Options(valid_share=0, test_share=0))
    assert data.classes == ("cat", "dog") and data.inputs == 4  # size, colour=blue, colour=red, weight
    assert data.train.x[1].tolist() == [1.0, 0.0, 1.0, np.float32(1 / 7)] and data.train.y[:4].tolist() == [1, 0, 0, 1]
    assert any("the training part is scored instead" in line for line in data.said)
    weights = load(path, target="weight,size")
    assert weights.regression and weights.outputs == 2


def test_a_typo_among_numbers_is_named(tmp_path):
    rows = [f"{i / 7},{i / 9},{'ab'[i % 2]},{i % 3}" for i in range(60)]
    rows[16] = "1,hello,a,0"
    data = load(write(tmp_path / "a.csv", "\n".join(["a,b,c,y", *rows])), target="y")
    assert "categories: b (60 values), c (2 values)" in data.said
    assert "most cells of b are numbers, and row 17 has 'hello'" in data.said
    assert not any("cells of c" in line or "cells of a" in line for line in data.said)
    assert [(one.name, len(one.categories)) for one in data.columns] == [("a", 0), ("b", 60), ("c", 2)]
    of_y = load(write(tmp_path / "b.csv", "a,y\n" + "\n".join(["1,2"] * 50 + ["2,x"] * 9)), target="y")
    assert "most cells of y are numbers, and row 51 has 'x'" in of_y.said


def test_standardising_is_fitted_on_the_training_part_and_undone():
    y = 1000 + 50 * X[:, 0]
    data = from_arrays("mine", Raw({"train": (7 + 3 * X, y)}), Options(standardize=True))
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1, atol=1e-6)
    assert abs(data.valid.x.mean(axis=0)).max() > 1e-3
    back = data.standard.outputs(np.concatenate([split.y for split in (data.train, data.valid, data.test)]))
    np.testing.assert_allclose(sorted(back[:, 0]), sorted(y), rtol=1e-6)
    np.testing.assert_array_equal(data.standard.inputs((7 + 3 * X)[:1])[0], data.standard.inputs(7 + 3 * X)[0])


def test_whole_numbers_are_classes_if_they_are_few():
    many = from_arrays("mine", Raw({"train": (X, np.arange(40))}))
    assert many.regression and "regression with 1 target (found from y)" in many.said
    assert not from_arrays("mine", Raw({"train": (X, Y.astype(float))})).regression
    assert from_arrays("mine", Raw({"train": (X, Y)}), Options(task="regression")).regression


def test_bytes_are_pixels_and_keep_their_shape():
    images = DRAW.integers(0, 256, (40, 4, 5, 1), np.uint8)
    data = from_arrays("mine", Raw({"train": (images, Y)}))
    assert data.image_shape == (4, 5) and data.scale == 1 / 255 and data.train.x.dtype == np.uint8


def test_what_scikit_learn_ships_is_there():
    data = load("sklearn:wine", options=Options(standardize=True))
    assert (data.inputs, data.outputs, len(data.train.x)) == (13, 3, 124)


def with_entry(value, at=(2, 1)):
    x = X.copy()
    x[at] = value
    return x


def mine(x, y, **options):
    return lambda tmp_path: from_arrays("mine", Raw({"train": (x, y)}, ("a", "b", "c")), Options(**options))


def table(text, target="y", name="t.csv"):
    return lambda tmp_path: load(write(tmp_path / name, text), target=target)


def archive(**arrays):
    def load_it(tmp_path):
        np.savez(tmp_path / "a.npz", **arrays)
        return load(str(tmp_path / "a.npz"))

    return load_it


REFUSED = {
    "a NaN": (mine(with_entry(np.nan), Y), "missing or infinite value in row 3, column 'b'"),
    "an infinite target": (mine(X, np.where(Y == 1, np.inf, 0.5)), "infinite target in row 2"),
    "names for a regression": (mine(X, Y.astype(str), task="regression"), "a regression needs numbers"),
    "fractions as classes": (mine(X, Y + 0.5, task="classes"), "classes are asked for, and y has 0.5"),
    "one class": (mine(X, 0 * Y), "every example has the class 0; two classes at least"),
    "one example": (mine(X[:1], Y[:1].astype(str)), "two classes at least"),
    "one example of a regression": (mine(X[:1], X[:1, 0]), "has 1 example, too few"),
    "another number of targets": (mine(X, Y[:3]), "40 examples in x and 3 in y"),
    "flat inputs": (mine(X[:, 0], Y), "x must be (examples, inputs), got shape (40,)"),
    "text as inputs": (mine(X.astype(str)[:, :1] + "a", Y), "holds what is no number"),
    "a class too rare": (mine(X, np.where(np.arange(40) == 39, "rare", "often")), None),
    "an unknown task": (mine(X, Y, task="guess"), "choose one of: classes, regression"),
    "nothing to train on": (mine(X, Y, valid_share=0.6, test_share=0.4), "leave nothing to train on"),
    "a label of validation alone": (
        archive(x=X, y=Y, x_valid=X, y_valid=Y + 1), "valid has the class 3, which no training example has"
    ),
    "other inputs in validation": (archive(x=X, y=Y, x_valid=X[:, :2], y_valid=Y), "valid has inputs of shape (2,)"),
    "half a part": (archive(x=X, y=Y, x_test=X), "only one of x_test and y_test"),
    "no y": (archive(x=X), "holds x; wanted are x, y"),
    "objects": (lambda p: load(write(p / "a.npz", "nothing")), "no readable .npz"),
    "no file": (lambda p: load(str(p / "b.csv"), target="y"), "there is no file"),
    "no target": (table("a,y\n1,2\n", None), "no column is named to be predicted; name the target, one of a, y"),
    "another target": (table("a,y\n1,2\n", "z"), "there is no column 'z'; name the target, one of a, y"),
    "no header": (table("1,2\n3,4\n", "1"), "a first line must name the columns"),
    "no rows": (table("a,y\n"), "has a header and no rows"),
    "a missing number": (table("a,y\n1,2\n,3\n"), "missing value in row 2, column 'a'"),
    "a missing name": (table("a,y\nu,2\nv,3\n,3\n"), "missing value in row 3, column 'a'"),
    "a typo in a long column": (
        table("a,y\n" + "\n".join(["u,0", *(f"{i},1" for i in range(200))])), "201 different names; most cells of a are"
    ),
    "a ragged line": (table("a,y\n1,2\n3\n"), "no readable CSV with a header"),
    "a column twice": (table("a,a,y\n1,2,3\n"), "a column name twice"),
    "dates": (table("a,y\n2020-01-01,1\n2020-01-02,2\n"), "neither numbers nor names"),
    "no Parquet": (table("nothing", name="t.parquet"), "no readable Parquet file"),
    "a column of an archive": (lambda p: load("a.npz", target="y"), "names a column of a table"),
    "not with scikit-learn": (lambda p: load("sklearn:mnist"), "choose one of: breast_cancer, diabetes"),
    "read here without TensorFlow": (lambda p: load("tfds:mnist"), "leave out tfds:"),
    "a name that is none": (lambda p: load("mnits"), "choose one of: digits, mnist"),
    "options of a data set that has its own": (lambda p: load("digits", options=Options()), "has its own target"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_said_in_one_line(case, tmp_path):
    call, words = REFUSED[case]
    if words is None:  # a class of one example is in training or not, by the seed; then it is named
        seeds = [refusal(lambda p, s=seed: mine(X, np.where(np.arange(40) == 39, "rare", "often"), split_seed=s)(p),
                         tmp_path) for seed in range(8)]  # fmt: skip
        assert None in seeds and any(text and "no training example has class rare" in text for text in seeds)
        return
    message = refusal(call, tmp_path)
    assert message and words in message and "\n" not in message, message


def refusal(call, tmp_path):
    try:
        call(tmp_path)
    except DataError as error:
        return str(error)
    return None


def test_reading_an_archive_needs_no_heavy_library(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    code = (
        f"import sys; from twolayer.datasets import load; load({str(tmp_path / 'a.npz')!r})\n"
        "heavy = {'jax', 'tensorflow_datasets', 'sklearn', 'pyarrow', 'matplotlib', 'orbax'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, check=True)

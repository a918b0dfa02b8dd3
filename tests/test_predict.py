"""Predictions of a trained network, from a table, an archive or a drawing: the classes that training counts."""

import csv
import functools
import json
import types
from typing import Any

import numpy as np
import pytest
import scripts
from PIL import Image

from experiments import predict as inputs
from twolayer import datasets
from twolayer.command.cli import BadInput
from twolayer.datasets.dataset import Column

predict = functools.partial(scripts.run, "predict")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the digits, and its test set."""
    path = tmp_path_factory.mktemp("runs") / "run"
    status, _, err = scripts.run("train", "--hidden=32", "--epochs=10", "--nofigures", "--quiet", f"--run_dir={path}")
    assert status == 0, err
    return path, datasets.load("digits").test


def test_a_csv_with_a_header_gives_the_classes_that_were_counted(run, tmp_path):
    path, test = run
    with open(tmp_path / "x.csv", "w", newline="") as file:
        csv.writer(file).writerows([[f"pixel {i}" for i in range(64)], *test.x.tolist()])
    status, out, err = predict(f"--run_dir={path}", f"--input={tmp_path / 'x.csv'}")
    assert status == 0, err
    header, *rows = csv.reader(out.splitlines())
    assert header == ["example", "class", *(f"p_{j}" for j in range(10))] and len(rows) == len(test.x)
    accuracy = np.mean([int(row[1]) == y for row, y in zip(rows, test.y, strict=True)])
    assert accuracy == pytest.approx(scripts.read(path)[0]["test_accuracy"])
    probabilities = np.array([[float(cell) for cell in row[2:]] for row in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert (probabilities.argmax(axis=1) == [int(row[1]) for row in rows]).all()


def test_a_drawing_of_any_size_is_the_image_it_shows(run, tmp_path):
    path, test = run
    large = np.kron(test.x[:1].reshape(8, 8) * (255 / 16), np.ones((10, 10))).round().astype(np.uint8)
    Image.fromarray(large).save(tmp_path / "light.png")
    Image.fromarray(255 - large).save(tmp_path / "dark.png")
    form = inputs.form_of(json.loads((path / "manifest.json").read_text()))
    light = inputs.read(tmp_path / "light.png", form)
    np.testing.assert_allclose(light, test.x[:1], atol=16 / 255)
    np.testing.assert_allclose(inputs.read(tmp_path / "dark.png", form, invert=True), light, atol=1e-5)
    with pytest.raises(BadInput, match=r"dark on light.*--invert"):
        inputs.read(tmp_path / "dark.png", form)
    out = tmp_path / "out.npz"
    status, said, err = predict(f"--run_dir={path}", f"--input={tmp_path / 'light.png'}", f"--out={out}")
    assert status == 0 and said == f"1 predictions in {out}\n", err
    with np.load(out) as found:
        assert found["class"].shape == (1,) and found["p_3"].dtype == np.float64


FORM = inputs.Form(inputs=2, scale=1.0, image_shape=None, regression=False)
WRONG = {
    "x.csv": (b"1,2\n3\n", "line 2 has 1 cells; the network takes 2 inputs"),
    "y.csv": (b"a,b\n1,2\n3,four\n", "line 3 has 'four', which is no number"),
    "z.csv": (b"1,nan\n", "not finite in example 0"),
    "empty.csv": (b"", "empty.csv has no rows"),
    "x.parquet": (b"", "keeps no names of columns"),
    "x.npz": (b"not a zip", "damaged or no .npz"),
    "x.png": (b"not a picture", "was not trained on images"),
    "x.txt": (b"1 2", "name a .csv, a .npz or a .png"),
    "missing.csv": (None, "No such file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_example_is_refused_with_its_line(name, tmp_path):
    content, said = WRONG[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said):
        inputs.read(tmp_path / name, FORM)


def test_arrays_of_images_are_rows_and_several_arrays_need_a_name(tmp_path):
    np.savez(tmp_path / "one.npz", images=np.zeros((3, 1, 2), np.uint8))
    assert inputs.read(tmp_path / "one.npz", FORM).shape == (3, 2)
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 2)), b=np.zeros(3))
    with pytest.raises(BadInput, match="has the arrays a, b; call the examples x"):
        inputs.read(tmp_path / "two.npz", FORM)


ROWS = [(i % 7, ("red", "blue", "3")[i % 3], "true" if i % 5 else "false", round(i * 0.37 % 5, 2)) for i in range(60)]
TABLE = ["a,b,c,d,y", *(f"{a},{b},{c},{d},{a - 2 * d + (b == 'red')}" for a, b, c, d in ROWS)]


@pytest.fixture(scope="module")
def tabular(tmp_path_factory):
    """A run on a table with a column of text and one of truths, and the rows it predicts for its own file."""
    path = tmp_path_factory.mktemp("tabular")
    (path / "t.csv").write_text("\n".join(TABLE) + "\n")
    regression = ("--loss=quadratic", "--output=identity", "--standardize", "--hidden=16", "--epochs=20")
    where = (f"--dataset={path / 't.csv'}", "--target=y", f"--run_dir={path / 'run'}")
    status, out, err = scripts.run("train", *where, *regression, "--nofigures", "--quiet")
    assert status == 0, err
    assert "categories: b (3 values)" in out
    return path / "run", told(path / "run", path / "t.csv", says="ignored: y")


def told(run, file, says=""):
    status, out, err = predict(f"--run_dir={run}", f"--input={file}")
    assert status == 0 and says in err, err
    return list(csv.reader(out.splitlines()))


def test_columns_are_taken_by_name(tabular, tmp_path):
    run, expected = tabular
    assert expected[0] == ["example", "y"] and len(expected) == 61
    (tmp_path / "x.csv").write_text("\n".join(TABLE))
    whole = datasets.load(str(tmp_path / "x.csv"), target="y", options=datasets.Options(valid_share=0, test_share=0))
    form = inputs.form_of(json.loads((run / "manifest.json").read_text()))
    np.testing.assert_array_equal(inputs.read(tmp_path / "x.csv", form), whole.train.x)
    for header, order in {"d,c,b,a": "dcba", "c,b,z,d,a": "cbada", "": "abcd"}.items():
        lines = [",".join(str(row["abcd".index(column)]) for column in order) for row in ROWS]
        (tmp_path / "x.csv").write_text("\n".join([header, *lines]))
        assert told(run, tmp_path / "x.csv", says="ignored: z" if "z" in header else "") == expected, header


def test_a_parquet_file_is_predicted_as_the_same_csv(tabular, tmp_path):
    from pyarrow import csv as arrow
    from pyarrow import parquet

    (tmp_path / "x.csv").write_text("\n".join(TABLE))
    parquet.write_table(arrow.read_csv(tmp_path / "x.csv"), tmp_path / "x.parquet")
    assert told(tabular[0], tmp_path / "x.parquet", says="ignored: y") == tabular[1]


NO_ROWS = {
    "p,q,r,s\n1,red,true,2\n": "has no column 'a'; the network takes a, b, c, d",
    "a,b,c\n1,red,true\n": "has no column 'd'",
    "a,b,c,d\n1,red,true,2\n1,green,true,2\n": "row 2, column 'b', has 'green', which training had not; it had 3, blue",
    "a,b,c,d\n1,,true,2\n": "row 1, column 'b', has no value",
    "a,b,c,d\n1,red,true,two\n": "row 1, column 'd', has 'two', which is no number",
    "a,b,c,d\n1,red,true,true\n": "row 1, column 'd', has 'true', which is no number",
    "a,b,c,d\n1,red,true,nan\n": "row 1, column 'd', has nan, which is not finite",
    "a,b,c,d\n1,red,true\n": "line 2 has 3 cells; the header 4",
    "1,red,true\n": "line 1 has 3 cells; the network takes 4: a, b, c, d",
    "1,green,true,2\n": "row 1, column 'b', has 'green'",
    "a,b,c,d,a\n1,red,true,2,1\n": "has the column 'a' twice",
    "a,b,c,d\n": "x.csv has no rows",
    "": "x.csv has no rows",
}


@pytest.mark.parametrize("text", NO_ROWS)
def test_a_table_that_does_not_fit_is_refused_in_one_line(text, tabular, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    form = inputs.form_of(json.loads((tabular[0] / "manifest.json").read_text()))
    with pytest.raises(BadInput) as refused:
        inputs.read(tmp_path / "x.csv", form)
    assert NO_ROWS[text] in str(refused.value) and "\n" not in str(refused.value)


def test_a_target_by_a_name_that_is_taken_is_an_output_and_an_index_without_name_is_ignored(tmp_path, capsys):
    result: Any = types.SimpleNamespace(labels=None, outputs=lambda x: np.zeros((len(x), 1)))
    header = {name: inputs._columns(result, np.zeros((2, 1)), (name,))[0][1] for name in ("file", "y")}
    assert header == {"file": "output_0", "y": "y"}
    (tmp_path / "x.csv").write_text(",a\n0,1\n1,2\n")
    form = inputs.Form(1, 1.0, None, True, (Column("a"),))
    assert inputs.read(tmp_path / "x.csv", form).tolist() == [[1], [2]]
    assert capsys.readouterr().err.endswith("ignored: one without a name\n")


def test_a_run_without_columns_takes_them_in_their_order(tmp_path):
    known = {"inputs": 2, "scale": 1.0, "image_shape": None, "regression": True}
    (tmp_path / "x.csv").write_text("p,q\n1,2\n")
    assert inputs.read(tmp_path / "x.csv", inputs.form_of({"data": known})).tolist() == [[1, 2]]


def test_what_is_missing_is_said_in_one_line(run, tmp_path):
    scripts.assert_refused(predict(f"--input={tmp_path}"), "--run_dir is missing")
    scripts.assert_refused(predict(f"--run_dir={tmp_path}", "--input=x.csv"), "not a finished run")

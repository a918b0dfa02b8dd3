"""Predictions of a trained network, from a table, an archive or a drawing: the classes that training counts."""

import csv
import functools
import json

import numpy as np
import pytest
import scripts
from PIL import Image

from experiments import predict as inputs
from twolayer import datasets
from twolayer.command.cli import BadInput

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
    "empty.csv": (b"", r"shape \(0, "),
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


def test_what_is_missing_is_said_in_one_line(run, tmp_path):
    scripts.assert_refused(predict(f"--input={tmp_path}"), "--run_dir is missing")
    scripts.assert_refused(predict(f"--run_dir={tmp_path}", "--input=x.csv"), "not a finished run")

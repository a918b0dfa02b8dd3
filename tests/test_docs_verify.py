"""The complete files in docs/verify.md do what the page says."""

import pathlib
import re
import subprocess

import pytest
from python_forks import python

PAGE = (pathlib.Path(__file__).parent.parent / "docs" / "verify.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_file_runs_and_is_short(number, tmp_path):
    assert BLOCKS[number].count("\n") < 25
    file = tmp_path / "example.py"
    file.write_text(BLOCKS[number])
    done = subprocess.run([python(), "-P", str(file)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_three_layer_net_is_right_and_a_missing_derivative_is_told_with_its_line(tmp_path, capsys):
    from twolayer.verification import verify_gradient
    from twolayer.verification.programs.load import Loaded

    (text,) = (block for block in BLOCKS if "SHAPES" in block)
    wrong = text.replace("d1 = (d2 @ W2.T) * (1 - h1**2)", "d1 = d2 @ W2.T")
    verdicts = {}
    for name, source in (("right", text), ("wrong", wrong)):
        file = tmp_path / f"{name}.py"
        file.write_text(source)
        loaded = Loaded(str(file))
        verdicts[name] = verify_gradient(loaded.program("loss"), loaded.program("gradients"), loaded.plain("SHAPES"))
    assert verdicts["right"].verdict == "right"
    found = verdicts["wrong"]
    assert found.verdict == "wrong" and found.line == "d1 = d2 @ W2.T" and f"line {found.line_number}" in PAGE
    assert found.causes[0].text in PAGE

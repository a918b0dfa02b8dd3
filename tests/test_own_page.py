"""The page of one's own things and the notebook: every example runs."""

import json
import re
import subprocess

import pytest
import scripts
from python_forks import python

PAGE = (scripts.ROOT / "docs" / "own.md").read_text()
NOTEBOOK = scripts.ROOT / "docs" / "notebooks" / "two_layers.ipynb"
EXAMPLES = re.findall(r"<!-- run -->\n```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_the_examples_run(number):
    assert len(EXAMPLES) == 2 and EXAMPLES[1].count("\n") <= 13
    done = subprocess.run([python(), "-c", EXAMPLES[number]], cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_the_file_of_the_page_is_right(tmp_path):
    text = re.search(r"<!-- file: mine.py -->\n```python\n(.*?)```", PAGE, re.DOTALL)[1]
    assert text.count("\n") <= 25
    (tmp_path / "mine.py").write_text(text)
    code = (
        "import sys, time; from experiments.runtime import own_things; from twolayer import datasets\n"
        "data = datasets.load('digits')\n"
        "names = dict(loss='huber', activation='swish', init='narrow', optimizer='yogi')\n"
        "began = time.process_time()\n"
        "found = own_things.checked({kind: f'{sys.argv[1]}:{name}' for kind, name in names.items()}, data)\n"
        "print(*(one['verdict'] for one in found.values()), time.process_time() - began)\n"
    )
    command = [python(), "-c", code, str(tmp_path / "mine.py")]
    done = subprocess.run(command, cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(" is right: ") == 4, done.stderr
    assert float(done.stdout.split()[-1]) < 5  # seconds of the processor


def test_the_notebook_runs_and_is_committed_without_outputs():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    done = subprocess.run([python(), "-c", code], cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "wrong" in done.stdout, done.stderr

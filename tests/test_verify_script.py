"""The verification script as its users meet it: files in, an exit status, what it says and what it leaves behind."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest
import scripts

from twolayer import activations, datasets, gradients, losses, network
from twolayer.command import batches, judging, lines, loading
from twolayer.command import time_limit as limits
from twolayer.command.cli import BadInput
from twolayer.command.judging import Options
from twolayer.verification import judge
from twolayer.verification.problem import LEAVES, STEPS
from twolayer.verification.verdict import Cause, Program, StepVerdict, Verdict

# One derivation, right for the mean quadratic loss and output relu; tests change a line of it.
HOMEWORK = """\
import jax.numpy as jnp


def gradients(params, x, y):
    Z1 = x @ params.W1.T + params.b1[None, :]
    O1 = jnp.maximum(Z1, 0)
    Z2 = O1 @ params.W2.T + params.b2[None, :]
    O2 = jnp.maximum(Z2, 0)
    dO2 = (O2 - y) / x.shape[0]
    dZ2 = dO2 * (Z2 > 0)
    dO1 = dZ2 @ params.W2
    dZ1 = dO1 * (Z1 > 0)
    return {"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}
"""
IN_NUMPY = HOMEWORK.replace("jax.numpy as jnp", "numpy as jnp")
QUADRATIC = Options(loss="quadratic", quiet=True)


@pytest.fixture
def homework(tmp_path):
    """Writes the file that a test is about; a folder of its own, which must not change."""
    folder = tmp_path / "homework"
    folder.mkdir()

    def write(text=HOMEWORK, *changes):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = folder / "homework.py"
        path.write_text(text)
        return str(path)

    yield write
    assert {path.name for path in folder.iterdir()} <= {"homework.py"}


@pytest.fixture
def verdict(monkeypatch):
    """The verification replaced by one that notes how it was called and answers with the verdict it is given."""
    calls = []

    def answer(word="right", does=None, **changes):
        right = StepVerdict("right")
        fields = {"leaves": dict.fromkeys(LEAVES, right), "steps": dict.fromkeys(STEPS, right)}
        fields |= {"first_wrong_step": None, "causes": (), "formula": None}
        result = Verdict(word, **fields | changes)

        def verify(gradients, **options):
            calls.append({"gradients": gradients, **options})
            if does:
                does()
            return result

        monkeypatch.setattr(judge, "verify", verify)
        return calls

    return answer


start, verify = (functools.partial(f, "verify") for f in (scripts.start, scripts.run))
assert_refused = functools.partial(scripts.assert_refused, status=3)


def refusal(options):
    """The message of the BadInput that these options raise."""
    with pytest.raises(BadInput) as caught:
        judging.run(options)
    return str(caught.value)


# ---- The real verification, in a process of its own


def test_a_right_file(homework, tmp_path):
    path = homework()
    status, out, err = verify(f"--derivation={path}", "--loss=quadratic", f"--json={tmp_path / 'v.json'}")
    assert status == 0, out + err
    assert out.startswith("RIGHT: ") and "homework.py: quadratic, output relu, mean" in out
    assert err == ""
    written = json.loads((tmp_path / "v.json").read_text())
    assert written["verdict"] == "right" and written["first_wrong_step"] is None
    assert {leaf: written["leaves"][leaf]["verdict"] for leaf in LEAVES} == dict.fromkeys(LEAVES, "right")


def test_a_wrong_file_gets_the_place_the_cause_and_a_report(homework, tmp_path):
    path = homework(HOMEWORK, ("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1"), ('return {"dW1"', 'return {"dZ1": dZ1, "dW1"'))
    outputs = (f"--json={tmp_path / 'v.json'}", f"--report={tmp_path / 'r.md'}")
    status, out, err = verify(f"--derivation={path}", "--loss=quadratic", *outputs)
    assert status == 1, out + err
    assert out.startswith("WRONG at dZ1, line 12: dZ1 should be dL/dZ1: the ReLU's mask 1[Z1 > 0] is missing\n")
    assert "yours  dZ1 = dO1   (line 12)" in out
    assert len(out.splitlines()) <= 40 and max(map(len, out.splitlines())) <= 100
    written = json.loads((tmp_path / "v.json").read_text())
    assert written["verdict"] == "wrong" and written["first_wrong_step"] == "dZ1"
    assert "mask_missing" in [cause["id"] for cause in written["causes"]]
    assert {leaf: written["leaves"][leaf]["verdict"] for leaf in ("dW1", "dW2")} == {"dW1": "wrong", "dW2": "right"}
    assert (tmp_path / "r.md").read_text().startswith("# homework.py: WRONG at dZ1, line 12: dZ1 should be")


def test_a_missing_leaf_is_not_passed(homework):
    path = homework(HOMEWORK, ('"db1": dZ1.sum(0), ', ""))
    status, out, err = verify(f"--derivation={path}", "--loss=quadratic")
    assert status == 2, out + err
    assert out.startswith("NOT DERIVED: db1 is missing")


def test_the_package_is_right():
    status, out, err = verify("--quiet")
    assert status == 0, out + err
    assert out.startswith("RIGHT: ") and "twolayer.gradients.closed_form" in out


def test_an_exception_in_gradients_shows_the_users_line(homework):
    path = homework(HOMEWORK, ("dO1 = dZ2 @ params.W2\n", "dO1 = dZ2 @ weights\n"))
    assert_refused(verify(f"--derivation={path}", "--loss=quadratic"), "homework.py", "11", "weights")


LOOPS = {
    "while loading": (("def gradients", "while True:\n    n = 1\n\n\ndef gradients"), ("O1 = jnp", "n; O1 = jnp")),
    "swallowing": (
        ("O1 = jnp", "while True:\n        try:\n            n = 1\n        except BaseException: pass\n    O1 = jnp"),
    ),
    "sleeping": (("O1 = jnp", "import time; time.sleep(1e6); O1 = jnp"),),
}
PLACES = {
    "while loading": (":5: n = 1", ":4: while True:"),
    "swallowing": (":6: ", ":7: ", ":8: ", ":9: "),
    "sleeping": (":6: import time; time.sleep(1e6)",),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_file_that_does_not_end_is_ended(homework, tmp_path, loop):
    path = homework(IN_NUMPY, *LOOPS[loop])
    arguments = (f"--derivation={path}", "--time_limit=4", f"--json={tmp_path / 'v.json'}")
    began = time.monotonic()
    outcome = verify(*arguments)
    assert time.monotonic() - began < 40
    assert_refused(outcome, "homework.py", "4 s", "--time_limit")
    assert any(place in outcome[2] for place in PLACES[loop]), outcome[2]
    assert not (tmp_path / "v.json").exists()


def test_help_teaches_and_imports_nothing_heavy():
    code = (
        "import runpy, sys; sys.argv = ['verify', '--help']\n"
        "try: runpy.run_module('experiments.verify', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'jax', 'numpy', 'scipy', 'flint', 'sklearn', 'tensorflow_datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in ("def gradients(params, x, y):", "RUN as such", "Exit status", "--relu_at_zero", "--time_limit"):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_the_derivation_that_help_shows_is_right(tmp_path, capsys):
    text = (scripts.ROOT / "twolayer" / "command" / "verify.py").read_text()
    example = re.search(r"(    import numpy as np\n.*?\n)\nThat one", text, re.DOTALL)[1]
    path = tmp_path / "shown.py"
    path.write_text("\n".join(line[4:] for line in example.splitlines()))
    assert judging.run(Options(str(path), "quadratic", "identity", precisions=("float64",))) == 0
    out = capsys.readouterr().out
    assert out.startswith("RIGHT: dW1, db1, dW2, db2 are the gradient of the loss\n")
    assert "\nPROGRAM  float64 right" in out
    assert judging.run(Options(str(path), "quadratic", "identity", "sum", quiet=True)) == 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--loss=hinge", ("--loss", "hinge", "quadratic")),
        ("--time_limit=0", ("time_limit", "above 0")),
        ("--time_limit=nan", ("time_limit",)),
        ("--precisions=float8", ("precisions", "bfloat16")),
        ("--derivations=x.py", ("derivation",)),
        ("homework.py", ("homework.py", "--name=value")),
        ("--derivation=nowhere.py", ("nowhere.py", "no such file")),
    ],
)
def test_bad_flags_are_bad_input_too(argument, words):
    assert_refused(verify(argument), *words)


def test_a_reader_that_leaves_early_changes_no_verdict():
    code = (
        "import os, sys; from twolayer.command import judging\n"
        "from types import SimpleNamespace as Space\n"
        "sys.modules['twolayer.command.screen'] = screen = Space(render=lambda *a, **k: 'long ' * 10**6)\n"
        "import twolayer.command as package; package.screen = screen\n"
        "screen.wants_colour = lambda stream: False\n"
        "judged = Space(name='', source='', place=None)\n"
        "judging._show(Space(standard=None), judged, judging.Options()); sys.exit(judging.WRONG)\n"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=scripts.ROOT, **pipes) as process:
        process.stdout.close()
        assert (process.wait(timeout=60), process.stderr.read()) == (1, b"")


def test_the_flags_offer_what_the_library_has():
    names = "FLAGS['{}'].parser.enum_values"
    code = (
        "import json; from twolayer.command.verify import *; print(json.dumps(["
        + ", ".join(names.format(flag) for flag in ("loss", "output", "activation", "reduction"))
        + ", [f.name for f in FLAGS.get_key_flags_for_module('twolayer.command.verify')]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, capture_output=True, text=True, check=True)
    *offered, flags = json.loads(done.stdout)
    assert offered == [
        list(names)
        for names in (
            (*losses.LOSSES, "own"),
            activations.OUTPUTS,
            activations.HIDDEN,
            losses.REDUCTIONS,
        )
    ]
    assert set(flags) == set(vars(Options()))


# ---- Everything around it, in this process


@pytest.mark.parametrize(("word", "status"), [("right", 0), ("wrong", 1), ("undecided", 2), ("not_derived", 2)])
def test_the_exit_status_is_the_verdict(homework, verdict, capsys, word, status):
    verdict(word)
    assert judging.run(Options(derivation=homework())) == status
    out, err = capsys.readouterr()
    assert out.startswith(word.replace("_", " ").upper()) and err == ""


def test_verify_gets_what_the_flags_say(homework, verdict):
    calls = verdict()
    options = Options(homework(), "quadratic", "identity", "sum", relu_at_zero="1/2", precisions=("float32",))
    judging.run(options)
    (call,) = calls
    assert call.pop("gradients") == homework()
    assert call == {
        "loss": "quadratic",
        "output": "identity",
        "reduction": "sum",
        "activation": "relu",
        "biases": True,
        "allow_guards": False,
        "batch": None,
        "relu_at_zero": "1/2",
        "precisions": ("float32",),
        "progress": None,
    }


def test_quiet_is_the_verdict_alone(homework, verdict, capsys):
    verdict("wrong", first_wrong_step="dZ1", causes=(Cause("unknown", "Something.", "dZ1", "dZ1 = dO1 * (Z1 > 0)"),))
    judging.run(Options(derivation=homework(), quiet=True))
    assert capsys.readouterr().out.splitlines() == [
        "WRONG at dZ1: Something",
        "homework.py: cross_entropy, output relu, mean; 0.0 s",
    ]


def test_a_program_that_is_wrong_is_not_said_to_be_a_loss_that_agrees(homework, verdict, capsys):
    verdict("wrong", loss="your own loss is the declared one", program=(Program("float32", "wrong", reason="off"),))
    judging.run(Options(derivation=homework(), quiet=True))
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "WRONG: the formula is not refuted, but in float32 the program is off by more than rounding"


def test_the_json_and_the_report_say_what_was_checked(homework, verdict, tmp_path):
    verdict("wrong", seconds=float("inf"))
    json_path, report = tmp_path / "v.json", tmp_path / "r.md"
    report.write_text("old")
    options = Options(homework(), json=str(json_path), report=str(report), quiet=True)
    assert judging.run(options) == 1
    written = json.loads(json_path.read_text())
    assert written["verdict"] == "wrong" and written["seconds"] is None
    assert written["checked"]["derivation"] == "homework.py" and written["checked"]["reduction"] == "mean"
    assert written["provenance"]["versions"]["jax"]
    assert report.read_text().startswith("# homework.py: WRONG") and HOMEWORK.strip() in report.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"homework", "v.json", "r.md"}


NOT_PYTHON = {
    "a bracket": ("def gradients(params, x, y:\n    pass\n", ("homework.py:1: def gradients(", "SyntaxError")),
    "an indent": ("x = 1\n  y = 2\n", ("homework.py:2: y = 2", "indent")),
    "a null byte": ("x = 1\0\n", ("homework.py", "null bytes")),
}


@pytest.mark.parametrize("case", NOT_PYTHON)
def test_a_file_that_is_not_python_gets_one_line(homework, verdict, case):
    calls, (text, words) = verdict(), NOT_PYTHON[case]
    message = refusal(Options(derivation=homework(text)))
    assert message.startswith("not Python: ") and "\n" not in message and not calls
    for word in words:
        assert word in message


USES_IT = "\n\ndef gradients(params, x, y):\n    return {'dW1': n}\n"
UNUSABLE = {
    "a division": (f"\nn = 1 / 0{USES_IT}", "homework.py:2: `n = 1 / 0` raised ZeroDivisionError: division by zero"),
    "a name": (
        f"def f():\n    return missing\n\n\nn = f(){USES_IT}",
        "homework.py:2: `return missing` raised NameError",
    ),
    "a library": (f"import no_such_library as n{USES_IT}", "No module named 'no_such_library'"),
    "an exception": (
        f"import json\nn = json.loads('{{'){USES_IT}",
        "homework.py:2: `n = json.loads('{')` raised JSONDecode",
    ),
    "two lines": (f"def f():\n    raise ValueError('one\\n\\ntwo')\n\n\nn = f(){USES_IT}", "ValueError: one"),
    "the end": (f"import sys\nn = sys.exit(){USES_IT}", "homework.py:2: `n = sys.exit()` raised SystemExit"),
    "an end inside": ("def gradients(params, x, y):\n    exit(0)\n", "homework.py:2: `exit(0)` raised SystemExit"),
    "nothing": ("", "homework.py defines no gradients(params, x, y); python -m experiments.verify --help"),
    "no function": ("gradients = 3\n", "homework.py: gradients is no function"),
    "no function in JAX": ("import jax\ngradients = 3\n", "homework.py: gradients is no function"),
    "two arguments": ("def gradients(params, x):\n    pass\n", "takes (params, x), it must take (params, x, y)"),
    "a shape": (f"n = [1.0, 2.0]{USES_IT}", "dW1"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_cannot_be_used_gets_one_line(homework, case):
    text, words = UNUSABLE[case]
    message = refusal(Options(derivation=homework(text)))
    assert "\n" not in message and words in message


def test_a_line_of_a_notebook_is_named_by_its_cell(tmp_path, verdict):
    path = tmp_path / "homework.ipynb"
    cells = ["import numpy as np\n", "x = 1\ndef gradients(params, x, y:\n"]
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]}))
    assert "homework.ipynb, code cell 2, line 2: def gradients(" in refusal(Options(str(path)))
    path.write_text('{"cells": 3}')
    assert refusal(Options(str(path))).startswith("homework.ipynb: it is no notebook")


def test_paths_that_are_no_files(homework, tmp_path, verdict):
    verdict()
    assert "no such file" in refusal(Options(derivation=str(tmp_path / "nowhere.py")))
    assert "too long" in refusal(Options(derivation=str(tmp_path / ("x" * 300))))
    assert "directory" in refusal(Options(derivation=str(tmp_path)))
    assert "directory" in refusal(Options(derivation=""))
    assert "regular" in refusal(Options(derivation="/dev/null"))


@pytest.mark.parametrize("flag", ["json", "report"])
def test_outputs_that_cannot_be_written_are_found_first(homework, verdict, tmp_path, flag):
    calls, path = verdict(), homework()
    before = {found: found.stat().st_mtime_ns for found in tmp_path.rglob("*")}
    for place, word in [
        (tmp_path / "nowhere" / "out", "cannot be written"),
        (tmp_path, "directory"),
        (tmp_path / ("x" * 300), "too long"),
        (pathlib.Path("/dev/null"), "regular"),
        (pathlib.Path(path), "another file"),
        (pathlib.Path(path) / "out", "cannot be written"),
    ]:
        message = refusal(Options(path, **{flag: str(place)}))
        assert f"--{flag}={place}" in message and word in message
    assert not calls and {found: found.stat().st_mtime_ns for found in tmp_path.rglob("*")} == before


def test_nothing_is_left_behind_on_failure(homework, verdict, tmp_path):
    def fails():
        raise ValueError("dW1 has shape (2, 3),\nexpected (3, 2)")

    verdict(does=fails)
    both = {"json": str(tmp_path / "v.json"), "report": str(tmp_path / "v.json.md")}
    assert refusal(Options(homework(), **both)) == "dW1 has shape (2, 3), expected (3, 2)"
    assert {path.name for path in tmp_path.iterdir()} == {"homework"}
    assert "another file" in refusal(Options(homework(), json=both["json"], report=both["json"]))


def test_a_fault_of_ours_is_not_called_wrong(homework, verdict, capsys):
    def fails():
        raise RuntimeError("a bug")

    verdict(does=fails)
    assert judging.run(Options(homework())) == 70
    assert "a bug" in capsys.readouterr().err


def test_gradients_that_end_the_program_end_nothing(homework):
    code = "import jax\n\n\ndef gradients(params, x, y):\n    exit(0)\n"
    assert "ends the program: homework.py:5: exit(0): SystemExit" in refusal(Options(homework(code)))


def test_an_interrupt_is_no_verdict(homework, verdict, capsys):
    def interrupted():
        raise KeyboardInterrupt

    verdict(does=interrupted)
    assert judging.run(Options(homework())) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_what_a_file_prints_plots_and_asks_disturbs_nothing(homework, capfd):
    noise = (
        "print('hello'); n = input('how many? '); import matplotlib.pyplot as plt; plt.plot([1]); plt.show(); O1 = jnp"
    )
    path = homework(IN_NUMPY, ("O1 = jnp", noise))
    assert judging.run(Options(path, "quadratic", precisions=("float64",), quiet=True)) == 0
    assert capfd.readouterr().out.startswith("RIGHT: dW1, db1, dW2, db2 are the gradient of the loss\nhomework.py")


def test_the_file_runs_with_its_folder_on_the_path(tmp_path, capsys):
    (tmp_path / "helper_of_homework.py").write_text("SCALE = 1\n")
    path = tmp_path / "homework.py"
    imports = "from __future__ import annotations\nimport dataclasses\nfrom helper_of_homework import SCALE\n"
    step = "\n\n@dataclasses.dataclass\nclass Step:\n    scale: int = SCALE\n"
    main = "\n\nif __name__ == '__main__':\n    raise SystemExit\n"
    text = IN_NUMPY.replace("dO2 = (", "dO2 = Step().scale * (")
    path.write_text(f"{imports}{text.replace('    Z1 =', '    import helper_of_homework; Z1 =', 1)}{step}{main}")
    before = list(sys.path), set(sys.modules)
    assert judging.run(Options(str(path), "quadratic", precisions=("float64",))) == 0, capsys.readouterr()
    assert sys.path == before[0] and "helper_of_homework" not in set(sys.modules) - before[1]


OWN = """

def loss(params, x, y):
    O1 = jnp.maximum(x @ params.W1.T + params.b1, 0)
    O2 = jnp.maximum(O1 @ params.W2.T + params.b2, 0)
    return {} * ((O2 - y) ** 2).sum() / len(x)
"""


def test_the_files_own_loss_is_the_standard_unless_one_is_declared(homework, tmp_path, capsys):
    path = homework(IN_NUMPY.replace("dO2 = (", "dO2 = 2 * (") + OWN.format(1))
    json_path = tmp_path / "v.json"
    assert judging.run(Options(path, precisions=("float64",), json=str(json_path))) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "of the loss of the file, which is twice the mean of the quadratic loss, output relu homework.py: its" in out
    written = json.loads(json_path.read_text())
    assert written["standard"] == "twice the mean of the quadratic loss, output relu"
    assert written["checked"]["loss"] == "own"
    assert judging.run(Options(path, "quadratic", precisions=("float64",))) == 1
    assert capsys.readouterr().out.startswith(
        "WRONG for the declared loss: right for the file's own loss, twice the mean; you declared the mean"
    )


def test_the_right_line_by_the_files_own_loss(homework, capsys):
    assert judging.run(Options(homework(IN_NUMPY + OWN.format(1)), precisions=("float64",))) == 1
    out = capsys.readouterr().out
    assert out.startswith("WRONG at dO2, line 9: dO2 should be dL/dO2: a factor 1/2 too many\n")
    assert "its own loss, twice the mean of the quadratic loss" in out and "right  dO2 = 2 * (O2 - y) / m\n" in out


def test_a_leaky_relu_has_the_slope_that_is_declared_or_stands_in_the_own_loss(homework, tmp_path):
    leaky = ("jnp.maximum(Z1, 0)", "jnp.where(Z1 > 0, Z1, 0.2 * Z1)"), ("(Z1 > 0)", "jnp.where(Z1 > 0, 1, 0.2)")
    path = homework(IN_NUMPY, *leaky)
    declared = ("--loss=quadratic", "--activation=leaky_relu(0.2)", "--precisions=float64")
    assert scripts.run("verify", f"--derivation={path}", *declared)[0] == 0
    own = OWN.format(0.5).replace("jnp.maximum(x @ params.W1.T + params.b1, 0)", "leaky(x @ params.W1.T + params.b1)")
    own += "\n\ndef leaky(Z):\n    return jnp.where(Z > 0, Z, 0.2 * Z)\n"
    json_path = tmp_path / "v.json"
    assert judging.run(Options(homework(IN_NUMPY + own, *leaky), precisions=(), json=str(json_path), quiet=True)) == 0
    assert json.loads(json_path.read_text())["standard"].endswith("output relu, hidden leaky_relu(0.2)")
    assert_refused(scripts.run("verify", f"--derivation={path}", "--output=leaky(0.2)"), "leaky_relu")


def test_a_loss_of_other_arguments_is_a_helper(homework, capsys):
    path = homework(IN_NUMPY + "\n\ndef loss(O2, y):\n    return 0\n")
    assert judging.run(Options(path, "quadratic", precisions=("float64",), quiet=True)) == 0, capsys.readouterr()
    assert "defines no loss(params, x, y)" in refusal(Options(path, "own"))


GUARDED = """
import {module} as np


def gradients(params, x, y):
    Z1 = x @ params.W1.T + params.b1
    O1 = np.maximum(Z1, 0)
    e = np.exp(O1 @ params.W2.T + params.b2)
    dZ2 = (e / (e.sum(1, keepdims=True) + 1e-8) - y) / len(x)
    dZ1 = dZ2 @ params.W2 * (Z1 > 0)
    return {{"dW1": dZ1.T @ x, "db1": dZ1.sum(0), "dW2": dZ2.T @ O1, "db2": dZ2.sum(0)}}
"""


@pytest.mark.parametrize("module", ["numpy", "jax.numpy"])
def test_guards_are_accepted_where_they_are_allowed(homework, capsys, module):
    options = Options(homework(GUARDED.format(module=module)), output="identity", precisions=("float64",))
    assert judging.run(options) == 1
    assert "by the guard 1e-08 at line 9" in " ".join(capsys.readouterr().out.split())
    assert judging.run(dataclasses.replace(options, allow_guards=True)) == 0
    assert capsys.readouterr().out.startswith("RIGHT: dW1, db1, dW2, db2 are the gradient of the loss; but for a guard")


def test_every_encoding_that_python_reads(tmp_path):
    for encoding, text in [("latin-1", "# -*- coding: latin-1 -*-\nname = 'é'\n"), ("utf-8-sig", "name = 'é'\n")]:
        path = tmp_path / "homework.py"
        path.write_bytes((text + HOMEWORK).encode(encoding))
        file = loading.read(str(path))
        assert "é" in file.source and loading.derivation(file).gradients == str(path)


HEAVY = {"jax", "tensorflow_datasets", "orbax", "pyarrow", "matplotlib", "sklearn"}


@pytest.mark.parametrize("change", [None, ("dZ1 = dO1 * (Z1 > 0)", "dZ1 = dO1")])
def test_a_numpy_file_loads_nothing_heavy(homework, change):
    path = homework(IN_NUMPY, *[change] if change else [])
    code = (
        "import sys; from twolayer.command import judging\n"
        f"status = judging.run(judging.Options({path!r}, 'quadratic'))\n"
        f"print(status, sorted({HEAVY} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts.ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"{1 if change else 0} []", done.stdout + done.stderr


# ---- Without --derivation: the package's own


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_the_packages_derivation_has_the_form_of_a_users(verdict, loss):
    calls = verdict()
    assert judging.run(Options(loss=loss, reduction="sum", quiet=True)) == 0
    params, x, y = problem()
    labels = y.argmax(axis=1).astype(np.int32) if loss == "cross_entropy" else y
    found = calls[0]["gradients"].function(params, *map(on_device_float32, (x, y)))
    _, right = gradients.closed_form(loss, reduction="sum")(params, on_device_float32(x), on_device_float32(labels))
    assert set(found) == set(LEAVES)
    for name, value in right._asdict().items():
        np.testing.assert_array_equal(found[f"d{name}"], value)


def problem(m=7, d=5, K=6, C=3):
    """Parameters, x and one-hot y, float32, as the verification hands them to a derivation."""
    draw = np.random.default_rng(0).normal
    params = network.Params(*(on_device_float32(draw(size=size)) for size in ((K, d), (K,), (C, K), (C,))))
    return params, on_device_float32(draw(size=(m, d))), on_device_float32(np.eye(C)[np.arange(m) % C])


def on_device_float32(array):
    array = np.asarray(array)
    return jnp.asarray(array, "float32" if array.dtype.kind == "f" else None)


# ---- The batch of the exact check


def arrays(**changes):
    m, d, K, C = 4, 3, 5, 2
    draw = np.random.default_rng(0).normal
    good = {"W1": draw(size=(K, d)), "b1": draw(size=K), "W2": draw(size=(C, K)), "b2": draw(size=C)}
    return good | {"x": draw(size=(m, d)), "y": np.array([0, 1, 1, 0])} | changes


def test_a_batch_from_a_file(tmp_path, verdict):
    np.savez(tmp_path / "batch.npz", **arrays())
    calls = verdict()
    assert judging.run(Options(batch=str(tmp_path / "batch.npz"), quiet=True)) == 0
    params, x, y = calls[0]["batch"]
    assert [array.dtype for array in (*params, x, y)] == [np.float32] * 6
    np.testing.assert_array_equal(y, [[1, 0], [0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(x, arrays()["x"].astype(np.float32))
    assert params._fields == ("W1", "b1", "W2", "b2") and params.W2.shape == (2, 5)


def test_a_batch_from_a_data_set(verdict, tmp_path):
    calls = verdict()
    judging.run(Options(dataset="digits", batch_size=6, hidden=7, quiet=True))
    params, x, y = calls.pop()["batch"]
    data = datasets.load("digits")
    np.testing.assert_array_equal(x, data.train.x[:6].astype(np.float32) / 16)
    np.testing.assert_array_equal(y.argmax(axis=1), data.train.y[:6])
    assert params.W1.shape == (7, 64) and params.W2.shape == (10, 7)
    saved = {name: np.asarray(array) * 2 for name, array in params._asdict().items()}
    np.savez(tmp_path / "params.npz", **saved)
    judging.run(Options(dataset="digits", batch_size=6, params=str(tmp_path / "params.npz"), quiet=True))
    np.testing.assert_array_equal(calls[0]["batch"].params.W1, 2 * params.W1)
    judging.run(Options(dataset="teacher", loss="quadratic", quiet=True))
    assert calls[-1]["batch"].y.shape == (32, 10)


def test_a_batch_from_a_table_of_ones_own(verdict, tmp_path):
    calls, rng = verdict(), np.random.default_rng(0)
    rows = [f"{a},{b},{'yes' if a > b else 'no'}" for a, b in rng.normal(3, 2, (40, 2)).round(3)]
    (tmp_path / "mine.csv").write_text("\n".join(["a,b,won", *rows]))
    own = {"dataset": str(tmp_path / "mine.csv"), "target": "won", "quiet": True}
    judging.run(Options(standardize=True, batch_size=28, **own))
    judging.run(Options(batch_size=28, **own))
    scaled, raw = (call["batch"] for call in calls)
    np.testing.assert_allclose(scaled.x.mean(axis=0), 0, atol=1e-6)
    assert scaled.y.shape == (28, 2) and abs(raw.x.mean() - 3) < 1
    assert "goes with --dataset=FILE" in refusal(Options(dataset="digits", target="won"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"W1": np.zeros(3)}, ("W1 has shape (3,)", "(K, d)")),
        ({"b1": np.zeros(4)}, ("b1 has shape (4,)", "expected (5,)", "K = 5")),
        ({"W2": np.zeros((5, 2))}, ("W2 has shape (5, 2)", "expected (2, 5)")),
        ({"x": np.zeros((0, 3))}, ("x has shape (0, 3)",)),
        ({"x": np.zeros((4, 9))}, ("x has shape (4, 9)", "d = 3")),
        ({"x": np.full((4, 3), np.nan)}, ("x", "not finite")),
        ({"x": np.full((4, 3), 1e300)}, ("x", "not finite in float32")),
        ({"x": np.array([["a"] * 3] * 4)}, ("x is <U1", "numbers")),
        ({"y": np.array([0, 1, 2, 0])}, ("labels 0..2", "0..1")),
        ({"y": np.zeros(4)}, ("y is (m,) reals",)),
        ({"y": np.full((4, 2), 0.5)}, ("not one-hot", "--loss=quadratic")),
        ({"y": np.zeros((4, 2, 1))}, ("y has shape (4, 2, 1)",)),
    ],
)
def test_a_batch_that_does_not_fit(tmp_path, changes, words):
    np.savez(tmp_path / "batch.npz", **arrays(**changes))
    with pytest.raises(BadInput) as caught:
        batches.from_file(str(tmp_path / "batch.npz"), "cross_entropy")
    for word in words:
        assert word in str(caught.value)


def test_a_batch_file_that_is_none(tmp_path, verdict):
    calls = verdict()
    (tmp_path / "text.npz").write_text("not a zip file")
    np.savez(tmp_path / "params.npz", W1=np.zeros((2, 2)))
    np.savez(tmp_path / "pickle.npz", **arrays(x=np.array([None])))
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name, word in [
        ("none.npz", "no such file"),
        ("", "directory"),
        ("text.npz", "not an .npz"),
        ("one.npy", "not an"),
    ]:
        assert word in refusal(Options(batch=str(tmp_path / name)))
    assert "no array b1" in refusal(Options(batch=str(tmp_path / "params.npz")))
    assert "not an .npz file" in refusal(Options(batch=str(tmp_path / "pickle.npz")))
    assert "choose one" in refusal(Options(batch="a", dataset="digits"))
    assert "--dataset" in refusal(Options(params="a"))
    assert "5000" in refusal(Options(dataset="digits", batch_size=5000))
    assert "--loss=quadratic" in refusal(Options(dataset="teacher"))
    assert "nowhere" in refusal(Options(dataset="mnist", source_dir=str(tmp_path / "nowhere"), data_dir=str(tmp_path)))
    assert not calls


# ---- The time limit and the progress line


def test_the_limit_is_lifted_when_the_work_is_done(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with limits.time_limit(0.05, None, 3):
        pass
    time.sleep(0.1)
    assert not ended
    assert not [thread for thread in threading.enumerate() if thread.name == "time limit"]


def test_the_current_line_is_found_in_any_thread(tmp_path):
    path = tmp_path / "waits.py"
    path.write_text("def wait(event):\n    event.wait()\n")
    names = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    event = threading.Event()
    assert lines.current(path) is None and lines.current(None) is None
    thread = threading.Thread(target=names["wait"], args=(event,), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while lines.current(path) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lines.current(path) == "waits.py:2: event.wait()"
    event.set()
    thread.join()


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_the_progress_line_erases_itself(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, silent = Terminal(), Terminal()
    with judging.Progress(terminal) as show:
        show("drawing " * 100)
    assert terminal.text.endswith(judging.ERASE) and len(terminal.text) < 100
    with judging.Progress(silent, quiet=True) as show:
        show("drawing")
    assert silent.text == ""

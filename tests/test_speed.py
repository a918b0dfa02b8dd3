"""The pages about speed: two checkouts side by side, the first command taken apart, and the tables of both."""

import contextlib
import json
import pathlib
import sys
import types

import pytest
import scripts
from absl import flags
from python_forks import python

from experiments.benchmarks import against
from experiments.benchmarks import device as paper
from experiments.benchmarks import tables as all_tables
from experiments.benchmarks.device.checks import FULL, cases
from experiments.benchmarks.peers import worker
from experiments.benchmarks.tables import accelerator as tables
from experiments.benchmarks.tables import speed
from twolayer.command.cli import BadInput

ROOT = pathlib.Path(__file__).parent.parent
RATES = {"flops_per_second", "bytes_per_second"}


def test_a_checkout_beside_itself(tmp_path):
    path = tmp_path / "against.json"
    flags = (f"--checkout={ROOT}", "--rounds=1", "--turn=0.05", "--cases=8x1,4x3", f"--json={path}")
    status, out, err = scripts.run("benchmarks.against", *flags)
    assert status == 0, err
    one, many, *commands = json.loads(path.read_text())["rows"]
    assert one["name"] == "an epoch, one network, K = 8" and many["networks"] == 3 and "experiments.train" in out
    assert [row["name"] for row in commands] == list(against.COMMANDS)
    for row in (one, many, *commands, one["cpu"], *(row["cpu"] for row in commands)):
        assert row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"] and row["here_s"]["min"] > 0
        assert 0.1 < row["ratio"]["median"] < 10
    assert one["same_program"] and many["same_program"] and "the same program" in out
    assert (one["inputs"], one["examples"]) == (64, 1197) and json.loads(path.read_text())["rates"].keys() == RATES


@pytest.fixture
def three_rounds(monkeypatch):
    """The checkouts in the order they are asked, of which each is twice as slow as what is asked before it."""
    flags.FLAGS(["against", "--rounds=3", "--turn=0"])
    asked = []

    def ask(checkout):
        asked.append(str(checkout))
        return {"seconds": 2.0 ** len(asked), "cpu": 1.0}

    class Process(contextlib.nullcontext):
        def __init__(self, *arguments, variables, **options):
            super().__init__(self)
            self.checkout = variables["PYTHONPATH"]

        def wait_until_ready(self):
            return {"program": self.checkout, "inputs": 1, "examples": 2}

        def ask(self, times):
            return ask(self.checkout)

    monkeypatch.setattr(against, "ran", lambda *words, folder, **options: types.SimpleNamespace(**ask(folder)))
    monkeypatch.setattr(against, "Process", Process)
    monkeypatch.setattr(against, "PAUSE", 0.0)
    return asked


@pytest.mark.parametrize("command", [True, False], ids=["a command", "an epoch"])
def test_neither_checkout_is_always_the_first(three_rounds, command, tmp_path):
    row = against._command(tmp_path, next(iter(against.COMMANDS))) if command else against._epochs(tmp_path, 8, 1)
    there, here = str(tmp_path), str(ROOT)
    assert three_rounds[-6:] == [there, here, here, there, there, here]
    assert (row["ratio"]["min"], row["ratio"]["median"], row["ratio"]["max"]) == (0.5, 2.0, 2.0)
    assert command or not row["same_program"], "they say other programs"


def test_a_checkout_that_hangs_is_given_up(tmp_path, monkeypatch):
    """Its rows have a limit; so has the command as a whole."""
    other = tmp_path / "twolayer"
    other.mkdir()
    (other / "training.py").write_text("")
    (other / "__init__.py").write_text("import time; time.sleep(60)")
    (other.parent / "experiments").mkdir()
    (other.parent / "experiments" / "train.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(against, "LIMIT", 3.0)
    flags.FLAGS(["against", "--rounds=1"])
    with pytest.raises(BadInput, match="no answer in 3 s"):
        against._epochs(tmp_path, 8, 1)
    with pytest.raises(BadInput, match=r"experiments\.train .* did not end in 3 s"):
        against._command(tmp_path, "python -m experiments.train")


def test_the_program_of_another_epoch_is_another(monkeypatch):
    """What stands for a program in a row is not the same for all."""
    monkeypatch.setattr(sys, "executable", python())
    sums = []
    for hidden in ("8", "9"):
        arguments = ("digits", "", hidden, "1")
        own = {"command": ("-P", str(against.CHILD)), "variables": against._environment(ROOT)}
        with worker.Process(arguments, 100.0, **own) as process:
            sums.append(process.wait_until_ready()["program"])
    assert len(set(sums)) == 2


@pytest.mark.parametrize(
    ("flags", "word"),
    [((), "--checkout=None"), (("--checkout=/",), "another checkout"), ((f"--checkout={ROOT}", "--cases=8"), "32x64")],
)
def test_bad_flags_are_refused(flags, word, tmp_path):
    scripts.assert_refused(scripts.run("benchmarks.against", *flags, f"--json={tmp_path / 'a.json'}"), word)


def test_the_first_command_is_taken_apart(tmp_path):
    path = tmp_path / "startup.json"
    status, out, err = scripts.run("benchmarks.startup", "--rounds=1", f"--json={path}")
    assert status == 0, err
    result = json.loads(path.read_text())
    parts = {row["part"]: row["seconds"] for row in result["parts"]}
    assert {"import jax", "import matplotlib", "compile training and validation", "train 30 epochs"} <= set(parts)
    assert not {"import orbax", "import sklearn", "import tensorflow_datasets"} & set(parts), "none is needed"
    assert all(seconds > 0 for seconds in parts.values())
    assert "from start to exit" in out and f"{result['seconds'][0]:.2f} s" in out


def test_the_limit_is_that_of_operations_or_of_memory():
    sheet = paper.Sheet(float32=1e12, tensorfloat32=1e12, bfloat16=1e14, bandwidth=1e12, cache=1e6)
    K, m = 1000, 64
    assert paper.operations(K, m) == 2 * m * (2 * 784 * K + 3 * K * 10)
    assert paper.floor(K, m, "float32", sheet) == (paper.operations(K, m) / 1e12, "operations")
    seconds, by = paper.floor(K, m, "bfloat16", sheet)
    weights = 784 * K + K + 10 * K + 10
    assert by == "memory" and seconds == pytest.approx((12 * weights + 2 * m * 784 * 2) / 1e12)
    assert paper.traffic(K, m, "bfloat16") == 12 * weights + 2 * m * 784 * 2 + 6 * m * K * 2, "with no cache at all"
    assert paper.traffic(K, m, "bfloat16", moments=2) - paper.traffic(K, m, "bfloat16") == 16 * weights, "as in Adam"
    assert paper.operations(K, m, inputs=61) == 2 * m * (2 * 61 * K + 3 * K * 10)


@pytest.fixture
def pages(monkeypatch):
    """The tables of these rows."""

    def pages(rows, kind="NVIDIA H200"):
        monkeypatch.setattr(tables, "result", lambda: {"rows": rows, "device": {"kind": kind}})
        return tables.aims(), tables.tables()

    return pages


def test_what_was_not_measured_says_so(pages):
    for page in pages([]):
        assert "not measured yet" in page and "%" not in page.replace("75 %", "") and "#" not in page
    lines = page.splitlines()[2:]
    assert len(lines) == 4 * 2 + 2 + 2 + 1 and all(line.endswith(" | not measured yet |") for line in lines)
    assert "| K = 128, batch 128 | 0.78 us, operations | 0.17 us, memory |" in page
    assert "| K = 1,000,000, sgd |  |  | 2308 us, memory |" in page


def test_what_was_measured_stands_beside_its_limit(pages):
    def row(name, **found):
        case = next(case for case in cases(FULL, "gpu") if case.name == name)
        given = {key: value for key, value in case.arguments.items() if key not in ("target", "seconds")}
        return {"check": case.check, "name": name, "status": "measured", "note": ""} | case.facts | given | found

    moved = paper.traffic(32768, 8192, "bfloat16")
    wide = {"step_us": 1000.0, "flops": paper.operations(32768, 8192), "bytes": moved, "compile_s": 3.0}
    operations = paper.operations(128, 128, 1000)
    many = {"step_us": 1e6 * 0.2 / 390, "epoch_s": 0.2, "flops": operations, "bytes": 4.8e12 * 0.2 / 390 / 4}
    many["compile_s"] = 2.0
    slow = wide | {"step_us": 2000.0}
    million = {"step_us": 4000.0, "estimate_bytes": 6.5e9, "measured_bytes": 6.6e9}
    wanted, found = pages(
        [
            row("twolayer, K = 32768, batch 8192, bfloat16", **wide),
            row("torch.compile, K = 32768, batch 8192, bfloat16", **slow),
            row("PyTorch eager, K = 32768, batch 8192, bfloat16", status="failed", note="out of memory"),
            row("twolayer, 1000 networks, K = 128, batch 128, bfloat16", **many),
            row("gradients, float32", beyond=2, entries=10, worst=3.0, status="wrong", note="dW1"),
            row("XLA's error: scaled bias", beyond=0, worst=0.5),
            row("products, K = 128, batch 128, float32", step_us=5.0, products_us={"Z1": 3.0, "Z2": 2.0}),
            row("rates, float32", flops_per_second=6e13, bytes_per_second=4.5e12),
            row("K = 1000000, bfloat16, sgd", **million, prepared_bytes=4e9),
            row("K = 1000000, bfloat16, adamw", **million, prepared_bytes=6.6e9),
        ]
    )
    line = next(s for s in found.splitlines() if s.startswith("| K = 32768, batch 8192, bfloat16 |"))
    assert "| 1000 us (87 %) | not measured yet | **failed**: out of memory | 2000 us (43 %) |" in line
    assert f"| 867 us, operations | 87 %, {100 * moved / 1e-3 / 4.8e12:.0f} %, 3.0 s |" in line
    assert "87 %: reached" in wanted and "1.67 times that, in bfloat16: **missed**" in wanted
    assert "**wrong**: dW1" in found and "0 beyond their bound" in found
    assert "| 0.2 s (58 %) | not measured yet | 0.115 s, memory | 10 %, 25 %, 2.0 s |" in found
    assert "| 4.0 ms | 2.3 ms, memory | 58 % | 6.5 GB | 6.6 GB |" in found
    assert "| 4.0 ms | 5.0 ms, memory | 124 % | 6.5 GB | 6.6 GB at most, as much as drawing the parameters |" in found
    assert "| products, K = 128, batch 128, float32 | 5 us: Z1 3, Z2 2 |" in found
    assert "| rates, float32 | 60 TFLOP/s, 4.5 TB/s |" in found
    assert [line for line in found.splitlines() if line.startswith("#")] == [f"### {name}" for name in tables.SECTIONS]


def test_every_row_on_a_cpu_stands_beside_its_limit(tmp_path, monkeypatch):
    page = speed.limits()
    for name in ("benchmark_cpu", "benchmark_networks"):
        for case in all_tables.read(name)["cases"]:
            assert all(f"| {row['label']} | " in page for row in case["rows"])
    monkeypatch.setattr(all_tables, "RESULTS", tmp_path)
    assert speed.limits_whole() == "Not measured yet.\n"
    row = {"name": "an epoch", "hidden": 100, "networks": 2, "inputs": 50, "examples": 1000, "here_s": {"min": 0.5}}
    flops = 2 * 1000 * 2 * (2 * 50 * 100 + 3 * 100 * 10)
    results = {
        "against": {"rows": [row, {"name": "the command"}], "rates": {"flops_per_second": flops / 0.1}},
        "startup": {"seconds": [4.0, 3.0], "cpu_seconds": [5.0, 4.0], "platform": {"cpus": 2}},
    }
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    assert speed.limits_whole().splitlines()[2:] == [
        "| an epoch | 0.500 s | 0.100 s: its products at the best rate | 20 % |",
        "| python -m experiments.train | 3.00 s | 2.00 s: the same work, spread over all cores | 67 % |",
        "",
        "The best rate in the run of the epochs is 1 GFLOP/s.",
    ]
    (tmp_path / "against.json").write_text(json.dumps({"rows": [row]}))
    assert "| an epoch | 0.500 s | not measured yet | not measured yet |" in speed.limits_whole()

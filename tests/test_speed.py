"""The pages about speed: two checkouts side by side, the first command taken apart, and the tables of both."""

import json
import pathlib

import pytest
import scripts

from experiments.benchmarks.device import pages as tables
from experiments.benchmarks.device import steps as paper
from experiments.benchmarks.device.checks import FULL, cases

ROOT = pathlib.Path(__file__).parent.parent


def test_a_checkout_beside_itself(tmp_path):
    path = tmp_path / "against.json"
    flags = (f"--checkout={ROOT}", "--rounds=2", "--turn=0.05", "--cases=8x1,4x3", f"--json={path}")
    status, out, err = scripts.run("benchmarks.against", *flags)
    assert status == 0, err
    one, many, command = json.loads(path.read_text())["rows"]
    assert one["name"] == "an epoch, one network, K = 8" and many["networks"] == 3 and "experiments.train" in out
    for row in (one, many, command, one["cpu"], command["cpu"]):
        assert row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"] and row["here_s"]["min"] > 0
        assert 0.1 < row["ratio"]["median"] < 10


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
    assert all(seconds > 0 for seconds in parts.values()) and f"{result['seconds'][0]:.2f} s from start" in out


def test_the_limit_is_that_of_operations_or_of_memory():
    sheet = paper.Sheet(float32=1e12, tensorfloat32=1e12, bfloat16=1e14, bandwidth=1e12, cache=1e6)
    K, m = 1000, 64
    assert paper.operations(K, m) == 2 * m * (2 * 784 * K + 3 * K * 10)
    assert paper.floor(K, m, "float32", sheet) == (paper.operations(K, m) / 1e12, "operations")
    seconds, by = paper.floor(K, m, "bfloat16", sheet)
    weights = 784 * K + K + 10 * K + 10
    assert by == "memory" and seconds == pytest.approx((12 * weights + 2 * m * 784 * 2) / 1e12)
    assert paper.traffic(K, m, "bfloat16") == 12 * weights + 2 * m * 784 * 2 + 6 * m * K * 2, "with no cache at all"


@pytest.fixture
def pages(monkeypatch):
    """The tables of these rows."""

    def pages(rows, kind="NVIDIA H200"):
        monkeypatch.setattr(tables, "result", lambda: {"rows": rows, "device": {"kind": kind}})
        return {name: table() for name, table in tables.TABLES.items() if name != "accelerator_conditions"}

    return pages


def test_what_was_not_measured_says_so(pages):
    for page in pages([]).values():
        assert "not measured yet" in page and "%" not in page.replace("75 %", "")


def test_what_was_measured_stands_beside_its_limit(pages):
    def row(name, **found):
        case = next(case for case in cases(FULL, "gpu") if case.name == name)
        given = {key: value for key, value in case.arguments.items() if key not in ("target", "seconds")}
        return {"check": case.check, "name": name, "status": "measured", "note": ""} | case.facts | given | found

    moved = paper.traffic(32768, 8192, "bfloat16")
    wide = {"step_us": 1000.0, "flops": paper.operations(32768, 8192), "bytes": moved, "compile_s": 3.0}
    operations = paper.operations(128, 128, 1000)
    many = {"step_us": 1e6 * 0.2 / 390, "epoch_s": 0.2, "flops": operations, "bytes": 4.8e12 * 0.2 / 390 / 4}
    million = {"step_us": 4000.0, "estimate_bytes": 6.5e9, "measured_bytes": 6.6e9}
    found = pages(
        [
            row("twolayer, K = 32768, batch 8192, bfloat16", **wide),
            row("PyTorch eager, K = 32768, batch 8192, bfloat16", status="failed", note="out of memory"),
            row("twolayer, 1000 networks, K = 128, batch 128, bfloat16", **many),
            row("gradients, float32", beyond=2, entries=10, worst=3.0, status="wrong", note="dW1"),
            row("XLA's error: scaled bias", beyond=0, worst=0.5),
            row("K = 1000000, bfloat16, sgd", **million, prepared_bytes=4e9),
            row("K = 1000000, bfloat16, adamw", **million, prepared_bytes=6.6e9),
        ]
    )
    line = next(s for s in found["accelerator_steps"].splitlines() if s.startswith("| 32768, 8192, bfloat16"))
    assert "| 1000 | not measured yet | **failed**: out of memory |" in line
    assert f"| 867, operations | 87 % | 87 % | {100 * moved / 1e-3 / 4.8e12:.0f} % | 3.0 s |" in line
    wanted = found["accelerator_aims"]
    assert "87 %: reached" in wanted and "1.67 times that, in bfloat16: **missed**" in wanted
    assert "**wrong**: dW1" in found["accelerator_right"] and "0 beyond their bound" in found["accelerator_right"]
    assert "| 0.200 s | not measured yet | 0.115 s, memory | 58 % | 10 % | 25 % |" in found["accelerator_networks"]
    assert "| 4.0 ms | 6.5 GB | 6.6 GB |" in found["accelerator_wide"]
    assert "| 6.6 GB at most, as much as drawing the parameters |" in found["accelerator_wide"]

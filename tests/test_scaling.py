"""The costs are those of the cases that the table names."""

import json

import pytest
from scripts import assert_refused, run

from experiments.benchmarks import scaling

QUICK = ("--examples=256", "--rounds=2", "--widths=8,16", "--networks=1,4,64", "--stacked_widths=8", "--quiet")


def test_every_case_is_measured_and_written(tmp_path):
    out = tmp_path / "scaling.json"
    flags = (*QUICK, "--split_width=16", "--most_units=64", "--meshes=hidden=2,data=2,data=2/hidden=2", f"--json={out}")
    status, printed, err = run("benchmarks.scaling", *flags, JAX_NUM_CPU_DEVICES="4")
    assert status == 0, err
    rows = json.loads(out.read_text())["rows"]
    found = [(row["kind"], row["hidden"], row["networks"], row["mesh"]) for row in rows]
    stacks = [("networks", 8, 1, None), ("networks", 8, 4, None)]  # 64 of them would have more units than allowed
    split = [("devices", 16, 1, mesh) for mesh in (None, "hidden=2", "data=2", "data=2,hidden=2")]
    assert found == [("width", 8, 1, None), ("width", 16, 1, None), *stacks, *split]
    assert all(row["spread_us"][0] <= row["step_us"] <= row["spread_us"][1] and row["step_us"] > 0 for row in rows)
    assert "GFLOP/s" in printed and all(f"{row['step_us']:.0f}" in printed for row in rows)


def test_operations_and_bytes_are_those_of_the_formula():
    class Data:
        inputs, outputs = 784, 10

    case = scaling.Case("networks", 128, networks=4)
    row = scaling.row(case, Data, [0.5, 0.1, 0.2], examples=1000, batch_size=100)
    assert row["step_us"] == pytest.approx(1e6 * 0.2 / 10 / 4) and row["flops"] == 2 * 100 * (2 * 784 * 128 + 3 * 1280)
    assert row["bytes"] / row["flops"] == pytest.approx(5 / 100, rel=0.25)  # m / 5 operations a byte


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--widths=8,x",), "--widths=8,x: give positive integers"),
        (("--meshes=hidden=2",), "there are 1"),
        (("--examples=100000",), "1,197"),
    ],
)
def test_bad_input_is_refused(flags, said, tmp_path):
    assert_refused(run("benchmarks.scaling", *QUICK, "--split_width=16", *flags), said)

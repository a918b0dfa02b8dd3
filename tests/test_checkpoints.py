"""A checkpoint comes back as it was saved or not at all; of a damaged one the one before is used."""

import errno
import io
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_identical

from experiments.runtime import checkpoints, loop
from twolayer.command.cli import BadInput
from twolayer.network import Params

RNG = np.random.default_rng(0)


def state(number):
    params = Params(*(RNG.normal(size=shape).astype(np.float32) for shape in ((4, 3), (4,), (2, 4), (2,))))
    return params, (jnp.int32(number), None), {"moments": np.arange(6.0).reshape(2, 3) * number}


def test_what_was_saved_comes_back_bit_for_bit(tmp_path):
    saved = state(1)
    checkpoints.save(tmp_path, "0001", saved)
    assert_identical(checkpoints.restore(tmp_path, state(2)), jax.tree.map(np.asarray, saved))
    assert checkpoints.restore(tmp_path / "empty", state(2)) is None


def test_the_last_few_are_kept_and_the_newest_is_used(tmp_path):
    for number in range(5):
        checkpoints.save(tmp_path, f"{number:04d}", state(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0003", "0003.sha256", "0004", "0004.sha256"]
    assert checkpoints.restore(tmp_path, state(0))[1][0] == 4
    checkpoints.clear(tmp_path)
    assert checkpoints.restore(tmp_path, state(0)) is None


@pytest.mark.parametrize("kept", [1, 2])
def test_damaged_ones_of_a_later_time_do_not_push_out_the_one_just_written(kept, tmp_path):
    for number in (6, 7):
        checkpoints.save(tmp_path, f"{number:04d}", state(number))
        next(path for path in (tmp_path / f"{number:04d}").rglob("*") if path.is_file()).write_bytes(b"x")
    checkpoints.save(tmp_path, "0005", state(5), kept=kept)
    assert checkpoints.restore(tmp_path, state(0))[1][0] == 5


@pytest.mark.parametrize("refused", ["", "0001", "0001.sha256"])
def test_what_may_not_be_read_is_not_taken_for_damaged(refused, tmp_path, monkeypatch):
    """As of another user, or with a disk that fails: going on without it would overwrite it."""
    checkpoints.save(tmp_path, "0001", state(1))
    path, system = str(tmp_path / refused), {"scandir": os.scandir, "listdir": os.listdir, "open": io.open}

    def denied(name):
        def ask(at, *others, **options):
            if str(at) == path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return system[name](at, *others, **options)

        return ask

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, denied(name))
    monkeypatch.setattr(io, "open", denied("open"))
    with pytest.raises(BadInput, match=f"cannot read {path}: Permission denied; mend that"):
        checkpoints.restore(tmp_path, state(0))


def test_only_names_with_the_prefix_count(tmp_path):
    checkpoints.save(tmp_path, "00001-0005", state(5))
    checkpoints.save(tmp_path, "00002-0001", state(1))
    assert checkpoints.restore(tmp_path, state(0), prefix="00001-")[1][0] == 5
    assert checkpoints.restore(tmp_path, state(0), prefix="00003-") is None


def test_of_two_hundred_damages_none_is_used_in_silence(tmp_path, capfd):
    """Flipped bits and truncations of all files of a checkpoint: the one before is used, and one line says so."""
    before = state(1)
    checkpoints.save(tmp_path, "0001", before)
    checkpoints.save(tmp_path, "0002", state(2))
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and "0002" in str(path)]
    assert len(files) > 5
    for trial in range(200):
        path = files[trial % len(files)]
        whole = path.read_bytes()
        broken = bytearray(whole)
        if trial % 3:
            broken[RNG.integers(len(whole))] ^= 1 << RNG.integers(8)
        else:
            del broken[RNG.integers(len(whole)) :]
        path.write_bytes(broken)
        found = checkpoints.restore(tmp_path, state(0))
        path.write_bytes(whole)
        assert_identical(found, jax.tree.map(np.asarray, before))
        said = capfd.readouterr()
        assert said.out == "" and len(said.err.splitlines()) == 1
        assert "0002 is damaged; going on from the one before it" in said.err
    assert int(checkpoints.restore(tmp_path, state(0))[1][0]) == 2


def test_if_none_is_intact_that_is_said(tmp_path, capsys):
    checkpoints.save(tmp_path, "0001", state(1))
    (tmp_path / "0001.sha256").write_text("nothing")
    assert checkpoints.restore(tmp_path, state(0)) is None
    assert f"no intact checkpoint is left in {tmp_path}; starting again" in capsys.readouterr().err


def test_what_a_killed_process_has_left_does_not_count_and_is_removed(tmp_path):
    checkpoints.save(tmp_path, "0001", state(1))
    checkpoints.save(tmp_path, "0002", state(2))
    (tmp_path / "0002.sha256").unlink()  # killed between the checkpoint and its sums
    (tmp_path / "0003.orbax-checkpoint-tmp").mkdir()  # killed in the midst of writing
    assert checkpoints.restore(tmp_path, state(0))[1][0] == 1
    checkpoints.save(tmp_path, "0002", state(2))
    checkpoints.save(tmp_path, "0004", state(4), kept=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0004", "0004.sha256"]


def test_a_state_of_other_shapes_is_refused(tmp_path):
    checkpoints.save(tmp_path, "0001", state(1))
    other = state(1)[0]._replace(W1=np.zeros((5, 3), np.float32)), *state(1)[1:]
    with pytest.raises(BadInput, match="another version"):
        checkpoints.restore(tmp_path, other)


def test_by_time_checkpoints_take_a_tenth_of_the_time_at_most(monkeypatch):
    """A clock that only `saving` and the epochs move: a second an epoch, and 8 for each checkpoint."""
    clock = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    saving, saved = loop.Saving(last=0.0), 0
    for epoch in range(1, 2001):
        clock[0] += 1
        if saving.due(epoch):
            with saving.saving():
                clock[0] += 8
            saved += 1
    assert saved > 10 and 8 * saved <= 0.1 * clock[0]
    assert saving.next_epoch(7) is None, "segments need not end for them"


def test_a_checkpoint_that_is_asked_for_by_epochs_comes_whatever_it_costs():
    saving = loop.Saving(every=20, cost=1e9)
    assert [epoch for epoch in range(1, 61) if saving.due(epoch)] == [20, 40, 60] and saving.next_epoch(25) == 40

"""Is a hand derivation of the gradient right? The command `twolayer-verify` of twolayer/command/verify.py."""

from twolayer.command import verify

if __name__ == "__main__":
    verify.entry()

"""The derivation debugger: exact algebra, rounding bounds, location and causes of errors."""

from twolayer.verification.judging import verify
from twolayer.verification.verdict import Verdict

__all__ = ["Verdict", "verify"]

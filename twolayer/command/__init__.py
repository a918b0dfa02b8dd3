"""The command `twolayer-verify`: a user's file in; a screen, a report and a JSON out."""

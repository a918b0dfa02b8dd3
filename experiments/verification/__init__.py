"""The effects around `twolayer.verification`: a user's file in; a screen, a report and a JSON out."""

"""Measurements of this project, and the tables of its pages that show them."""

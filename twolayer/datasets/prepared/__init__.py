"""Data sets that are prepared here, a file each, named like the data set.

FORM is what the cache checks, SOURCE where the examples come from in words, prepare() returns the three parts.
"""

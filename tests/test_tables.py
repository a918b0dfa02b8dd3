"""One table in four forms: each is read back, by eye or by a parser of its own."""

import csv

import pytest
import scripts

from experiments.runtime import tables

HEADER, ROWS = ("row", "ours", "note"), [("5 % & more", "1.25", ""), ('"x_1", y', "-10", "a, b")]


def test_text_puts_numbers_to_the_right_and_words_to_the_left():
    assert tables.text(HEADER, ROWS).splitlines() == [
        "row         ours  note",
        "5 % & more  1.25",
        '"x_1", y     -10  a, b',
    ]


def test_csv_comes_back_from_a_reader():
    assert list(csv.reader(tables.comma_separated(HEADER, ROWS).splitlines())) == [list(HEADER), *map(list, ROWS)]


def test_latex_escapes_what_it_would_read_otherwise():
    lines = tables.latex(HEADER, ROWS).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}" and lines[-1] == r"\end{tabular}"
    assert r"5 \% \& more & 1.25 &  \\" in lines and r'"x\_1", y & -10 & a, b \\' in lines


def test_markdown_has_a_rule_below_the_header():
    assert tables.markdown(HEADER, ROWS[:1]) == "| row | ours | note |\n| --- | --- | --- |\n| 5 % & more | 1.25 |  |\n"


@pytest.mark.parametrize("form", tables.FORMS)
def test_the_rows_of_a_paper_come_in_every_form(form):
    status, out, err = scripts.run("papers", "--paper=simard2003", f"--form={form}")
    assert (status, err) == (0, "") and "headline" in out and "0.642" in out
    assert ("tabular" in out) == (form == "latex") and ("| --- |" in out) == (form == "markdown")


def test_a_paper_that_does_not_exist_is_refused():
    scripts.assert_refused(scripts.run("papers", "--paper=simard"), "--paper=simard", "simard2003")

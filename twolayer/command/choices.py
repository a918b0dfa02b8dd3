"""Flags that take a name of a table, or something of one's own: mathematics in a file, data, a slope."""

from collections.abc import Callable, Iterable

from absl import flags

from twolayer.activations import find
from twolayer.names import is_own_data
from twolayer.own import is_own

flags.disclaim_key_flags()  # they are those of the module that calls `define`


class NameOrOwn(flags.EnumParser):
    """A name of a table, or something of one's own.

    Args:
      table: the names.
      form: how one's own is written.
      own: whether a text is written so.
    """

    def __init__(self, table: Iterable[str], form: str, own: Callable[[str], bool]):
        super().__init__(list(table))
        self.form, self.own = form, own

    def parse(self, argument: str) -> str:
        """The text, if it is one of these.

        Raises:
          ValueError: it is not.
        """
        if not self.own(argument) and argument not in self.enum_values:
            raise ValueError(f"value should be one of <{'|'.join(self.enum_values)}> or {self.form}")
        return argument


def has_slope(text: str) -> bool:
    """Whether this is a leaky ReLU with a slope.

    Raises:
      ValueError: the slope cannot be used.
    """
    return text.startswith("leaky_relu(") and bool(find("value", text))


SLOPE = ("leaky_relu(SLOPE)", has_slope)
OWN_ENTRY = ("FILE.py:NAME", lambda text: is_own(text) or has_slope(text))
OWN_DATA = ("FILE.npz, FILE.csv, FILE.parquet, sklearn:NAME, tfds:NAME", is_own_data)


def define(
    name: str, default: str | None, table: Iterable[str], text: str, own: tuple[str, Callable] = OWN_ENTRY
) -> None:
    """Define such a flag.

    Args:
      name, default: of the flag.
      table: the names.
      text: what it decides.
      own: the form of one's own, and what knows it.
    """
    parser = NameOrOwn(table, *own)
    words = f"<{'|'.join(parser.enum_values)}>, or {parser.form}: {text}"
    flags.DEFINE(parser, name, default, words, serializer=flags.ArgumentSerializer())

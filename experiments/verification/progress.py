"""One line on the terminal that says what is being done, and erases itself."""

import os
from typing import TextIO

ERASE = "\r\x1b[K"


class Progress:
    """Call it with a text to show; use it as a context, so that it is gone when something else is printed."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._stream = stream
        self.shown = not quiet and stream.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str) -> None:
        if self.shown:
            self._stream.write(f"{ERASE}{text[:78]}")
            self._stream.flush()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self("")

"""What was imported before is searched for cycles no more.

Scripts are forked from a process that imports this last: else the first search in each of them, which comes within its
first imports, writes to all that it shares with the others, and so copies it.
"""

import gc

gc.collect()
gc.freeze()

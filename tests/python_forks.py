"""A command that does what `python` does, but is forked from the process that has imported the libraries.

For the tests of what starts many scripts, as a batch script does: a start takes seconds of a core, most of it imports.
"""

import atexit
import contextlib
import functools
import json
import multiprocessing.connection
import os
import pathlib
import runpy
import shlex
import socketserver
import sys
import tempfile
import threading

import jax
from scripts import FORKS, OWN, without

CLIENT = pathlib.Path(__file__).with_name("python_client.py")


@functools.cache
def python():
    """The path of the command, for `-m experiments...`, `-c CODE` and `-P FILE`; else it is Python itself."""
    if not pathlib.Path("/proc/self/fd").exists():  # by which the streams of a process are opened in another
        return sys.executable
    folder = tempfile.TemporaryDirectory()
    path, place = (os.path.join(folder.name, name) for name in ("python", "socket"))
    server = Server(place, Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    atexit.register(folder.cleanup)
    ours = f"exec {shlex.quote(sys.executable)}"
    pathlib.Path(path).write_text(
        "#!/bin/bash\n"
        f'if [[ $1 == -[cP] || "$1 $2" == "-m experiments."* ]]; then {ours} -I -S {CLIENT} {place} "$@"; fi\n'
        f'{ours} "$@"\n'
    )
    os.chmod(path, 0o755)
    return path


def use(path):
    """Before a script that starts Pythons: that they are this one."""
    sys.executable = path


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Answer(socketserver.StreamRequestHandler):
    """One process, from its start to its end."""

    def handle(self):
        process = FORKS.Process(target=be_python, args=json.loads(self.rfile.readline()))
        with without(OWN):
            process.start()
        self.wfile.write(f"{process.pid}\n".encode())
        multiprocessing.connection.wait([process.sentinel, self.connection])  # which ends if the client is killed
        if process.exitcode is None:
            process.kill()
        process.join()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(f"{process.exitcode}\n".encode())


def be_python(client, arguments, folder, environment):
    """What Python does with these arguments, with the streams of the client."""
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        os.dup2(os.open(f"/proc/{client}/fd/{number}", mode), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)
    os.chdir(folder)
    take(environment)
    kind, what, *others = arguments
    sys.argv, sys.path[:0] = [kind, *others], environment.get("PYTHONPATH", "").split(":")
    try:
        if kind == "-c":
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        elif kind == "-P":
            sys.argv = [what, *others]
            runpy.run_path(what, run_name="__main__")
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()


def take(environment):
    """Live in an environment. JAX has read its variables when it was imported."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    for name in before.keys() | environment.keys():
        value = environment.get(name)
        if name.startswith("JAX_") and value != before.get(name):
            jax.config.update(name.lower(), int(value) if value and value.isdecimal() else value)

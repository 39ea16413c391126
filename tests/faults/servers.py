"""Databases that may be harmed: servers of our own, and a proxy that cuts connections."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pymysql

from tests import services
from tests.serving import free_port

LIMIT_S = 60
_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing sends a reset instead of an end."""


def until(done, limit_s=LIMIT_S):
    """Ask again and again until it is so."""
    deadline = time.monotonic() + limit_s
    while not (found := done()):
        assert time.monotonic() < deadline, f"still not so after {limit_s} s"
        time.sleep(0.02)
    return found


class Proxy:
    """A port on this machine that leads to a server, until it is cut.

    Attributes:
        port: Where to connect.
        marker: Bytes (in lower case) that the server never gets: who sends them is cut off.
    """

    def __init__(self, port):
        """Lead to a port of this machine."""
        self._target = port
        self._pairs = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.marker = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(
                    target=self._pump, args=(source, sink, source is client), daemon=True
                ).start()

    def _pump(self, source, sink, from_client):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if from_client and self.marker is not None and self.marker in data.lower():
                    self.marker = None
                    self.cut()
                    return
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Reset every connection there is; new ones get through."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for side in pair:
                with contextlib.suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    side.shutdown(socket.SHUT_RD)  # wakes who waits in recv()
                side.close()

    def close(self):
        """Cut everything, and refuse new connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


@contextlib.contextmanager
def proxied(port):
    """Give a Proxy to a port of this machine for a block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


# -- servers of our own ------------------------------------------------------------------------


def _program(name):
    """Return the path of a server's program; Debian keeps some of them off PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        known = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(known[-1]) if known else None
    if found is None:
        services._missing(f"needs the program {name}")
    return found


def _as(user, *command):
    """Return a command as another user's where this one is root: servers refuse root."""
    return ["runuser", "-u", user, "--", *command] if os.geteuid() == 0 else list(command)


def _run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


class PostgreSQL:
    """A server whose data nobody misses."""

    def __init__(self, folder):
        """Make and start it in an empty folder."""
        programs = Path(_program("initdb")).resolve().parent
        self.folder = folder
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._data = folder / "data"
        self._control = _as("postgres", str(programs / "pg_ctl"), "-D", str(self._data), "-s", "-w")
        _run(
            *_as("postgres", str(programs / "initdb"), "-D", str(self._data), "-U", "postgres"),
            "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8", cwd=folder,
        )  # fmt: skip
        self._options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{folder}' "
            "-c fsync=off -c deadlock_timeout=50ms"
        )
        self.start()

    @property
    def url(self):
        """The URL of a database in it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self):
        """Start, and wait until it answers."""
        log = str(self.folder / "log")
        _run(*self._control, "-l", log, "-o", self._options, "start", cwd=self.folder)

    def stop(self):
        """Stop at once: no connection is said goodbye."""
        _run(*self._control, "-m", "immediate", "stop", cwd=self.folder)

    def restart(self):
        """Stop at once and start again."""
        self.stop()
        self.start()

    def answers(self):
        """Tell whether it takes connections."""
        try:
            psycopg.connect(self.url, connect_timeout=3).close()
        except psycopg.Error:
            return False
        return True


class MariaDB:
    """A server whose data nobody misses."""

    def __init__(self, folder):
        """Make and start it in an empty folder."""
        self._program = _program("mariadbd")
        self.folder = folder
        self.port = free_port()
        user = []
        if os.geteuid() == 0:
            shutil.chown(folder, "mysql")
            user = ["--user=mysql"]
        self._arguments = [*user, f"--datadir={folder / 'data'}"]
        _run(
            _program("mariadb-install-db"), "--no-defaults", *self._arguments,
            "--auth-root-authentication-method=normal", "--skip-test-db", cwd=folder,
        )  # fmt: skip
        self._server = None
        self.start()

    @property
    def url(self):
        """The URL of a database in it."""
        return f"mysql://root@127.0.0.1:{self.port}/mysql"

    def start(self):
        """Start, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    self._program, "--no-defaults", *self._arguments, f"--port={self.port}",
                    "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}",
                    f"--pid-file={self.folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            until(self.answers)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Kill it: no connection is said goodbye."""
        self._server.send_signal(signal.SIGKILL)
        self._server.wait(LIMIT_S)

    def restart(self):
        """Kill it and start again."""
        self.stop()
        self.start()

    def answers(self):
        """Tell whether it takes connections."""
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root").close()
        except pymysql.Error:
            return False
        return True


@contextlib.contextmanager
def running(kind):
    """Give a server of our own in a folder that its user may enter, and end it in any case."""
    folder = Path(tempfile.mkdtemp(prefix="queryscope-faults-"))
    folder.chmod(0o755)
    server = None
    try:
        server = kind(folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)

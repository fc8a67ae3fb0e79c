"""Where things are, as whom servers run, and waiting. Relies on `./dev env` for the paths, so that pytest can also be
started without ./dev once `./dev install` has run."""

import contextlib
import fcntl
import os
import pwd
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def _setting(name):
    if name not in os.environ:
        output = subprocess.run([CHECKOUT / "dev", "env"], check=True, capture_output=True, text=True).stdout
        for line in output.splitlines():
            key, _, value = line.partition("=")
            os.environ.setdefault(key, value)
    return os.environ[name]


RUN = Path(_setting("INSYNC_RUN"))
BIN = Path(_setting("INSYNC_BIN"))
BUILD = Path(_setting("INSYNC_BUILD"))
PG_MAJOR = int(_setting("PG_MAJOR"))
# One directory a running server. ./dev test has them in memory where it can.
SERVERS = Path(os.environ.get("INSYNC_SERVERS") or RUN / "servers")
# The program that a Cluster with pg_insync runs as its postmaster, where it isn't postgres itself: a script that sets up
# a sanitizer or valgrind and then execs $INSYNC_BIN/postgres with its arguments (and perhaps more settings: -c). It gets
# the clean environment below, so it is the one way in which such variables reach a server.
POSTMASTER = Path(os.environ.get("INSYNC_POSTMASTER") or BIN / "postgres")
# Such a server is slow: whoever waits for it waits this many times as long before he gives up.
PATIENCE = int(os.environ.get("INSYNC_PATIENCE") or 1)

# A server, psql or a driver must not be led elsewhere by what the developer has in his environment.
CLEAN_ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("PG", "MYSQL", "MARIADB", "ODBC", "LC_")) and key not in ("LANG", "LANGUAGE", "TZ")
} | {"LC_ALL": "C.UTF-8"}


def server_user(root_runs_as="postgres"):
    """The user servers run as: PostgreSQL refuses root, so root uses `root_runs_as`; None stands for oneself."""
    return root_runs_as if os.geteuid() == 0 else None


def identity(user):
    """Arguments for subprocess with which a child runs as `user` (None: as oneself)."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def give_to(user, *paths):
    """Makes `user` the owner of the paths (of whole trees)."""
    if user is None:
        return
    entry = pwd.getpwnam(user)
    for path in paths:
        os.chown(path, entry.pw_uid, entry.pw_gid)
        for directory, folders, files in os.walk(path):
            for name in folders + files:
                os.lchown(os.path.join(directory, name), entry.pw_uid, entry.pw_gid)


def execute(*command, user=None, check=True, **more):
    """Runs a command as `user` in a clean environment and returns the CompletedProcess with its text output. A failure
    raises with what the command said."""
    environment = CLEAN_ENVIRONMENT | ({"HOME": pwd.getpwnam(user).pw_dir} if user else {}) | more.pop("env", {})
    more.setdefault("cwd", RUN)
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        **identity(user),
        **more,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{command[0]} exited with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def free_port():
    """A port that is free now and that no outgoing connection takes, whose ports come from the kernel's range: a server needs
    its port again when it is restarted."""
    first_of_the_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    below = range(10000, first_of_the_kernel)
    for _ in range(1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.SystemRandom().choice(below) if below else 0))
            return probe.getsockname()[1]
    raise RuntimeError("there is no free port")


def new_directory(name):
    """An empty directory for a server, named after it and this process."""
    for number in range(1000):
        directory = SERVERS / f"{name}-{os.getpid()}-{number}"
        try:
            directory.mkdir(parents=True, mode=0o755)
            return directory
        except FileExistsError:
            continue
    raise RuntimeError(f"no free directory name for {name} in {SERVERS}")


@contextlib.contextmanager
def locked(name):
    """Holds a lock of the run directory, for what several processes must not do at once."""
    with open(RUN / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def alive(pid):
    """Whether the process runs; a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parents():
    """Every process id of the machine with its parent's, as /proc lists them."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def wait_for(condition, what=None, timeout=60, interval=0.05):
    """Calls `condition` until it returns something true and returns that; fails after `timeout` seconds, saying `what`
    was waited for. The time-out is only there to end a hanging test: nothing is asserted by it."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what or getattr(condition, '__name__', 'a condition')}")
        time.sleep(interval)


def copy_tree(source, destination):
    """Copies a directory with all that is in it, and its owners."""
    execute("cp", "-a", source, destination)


def remove(directory):
    shutil.rmtree(directory, ignore_errors=True)

"""The ODBC driver of tests/driver, which misbehaves on command, registered for one cluster."""

import contextlib
import shutil
from pathlib import Path

from .cluster import Cluster
from .environment import BUILD, alive, new_directory, remove

PASSWORD = "hunter2-hunter2"


class MisbehavingDriver:
    """A directory with the driver and an odbcinst.ini that names it, and clusters that know no other.

    Orders reach the driver by the server option driver_options (orders()): MISBEHAVE=deed;AT=place;VALUE=parameter.
    With `note`, it makes that file when it begins; the deed "wait" ends when the file is removed.
    """

    name = "Misbehaving"
    quoting_name = "MariaDB Unicode"  # one whose driver is known to understand a password with braces
    # As they happen while a library is loaded or unloaded, these deeds are ordered by the library's name.
    deeds_of_libraries = [
        f"{place}-{deed}" for place in ("constructor", "destructor") for deed in ("segfault", "abort", "exit", "throw", "overflow", "hang")
    ]

    def __init__(self):
        self.directory = new_directory("driver")
        library = self.directory / "driver.so"
        shutil.copy(BUILD / "libmisbehaving_driver.so", library)
        registered = "".join(f"[{name}]\nDriver = {library}\n" for name in (self.name, self.quoting_name))
        for deed in self.deeds_of_libraries:
            shutil.copy(library, self.directory / f"{deed}.so")
            registered += f"[{deed}]\nDriver = {self.directory / deed}.so\n"
        (self.directory / "odbcinst.ini").write_text(registered)

    def cluster(self, name="driver", **settings):
        """A cluster (not started) whose connectors find this driver and no other."""
        settings = {"insync.odbc_drivers": "*", "insync.connector_memory": "400MB"} | settings
        return Cluster(name, settings, environment={"ODBCSYSINI": str(self.directory)})

    @staticmethod
    def orders(misbehave=None, at=None, value=None, note=None, rows=10):
        given = {"MISBEHAVE": misbehave, "AT": at, "VALUE": value, "NOTE": note, "ROWS": rows}
        return ";".join(f"{name}={text}" for name, text in given.items() if text is not None)

    def processes(self):
        """Every living connector of its clusters, and what these have started and left, wherever it hangs by now."""
        found = []
        mark = f"ODBCSYSINI={self.directory}\0".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_connector = (entry / "comm").read_text().startswith("pg_insync_conne")
                if is_connector and mark in (entry / "environ").read_bytes() and alive(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def remove(self):
        remove(self.directory)

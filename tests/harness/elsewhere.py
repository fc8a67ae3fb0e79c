"""The planner of tests/planner, built for the tested server: it leads rows elsewhere, as TimescaleDB and Citus do."""

import subprocess
from pathlib import Path

from .environment import BIN, CHECKOUT, PG_MAJOR, RUN, give_to, locked, server_user

EXTENSIONS = BIN.parents[3] / f"share/postgresql/{PG_MAJOR}/extension"

# What the catalogs of TimescaleDB say of a hypertable, in an extension of that name.
CATALOG = """CREATE SCHEMA _timescaledb_catalog; GRANT USAGE ON SCHEMA _timescaledb_catalog TO PUBLIC;
CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);
GRANT SELECT ON _timescaledb_catalog.hypertable TO PUBLIC;
"""


def library():
    """Compiles the module where that has not been done; its path, for shared_preload_libraries."""
    source, path = CHECKOUT / "tests/planner/elsewhere.c", RUN / f"elsewhere-{PG_MAJOR}.so"
    with locked("elsewhere"):
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            config = f"/usr/lib/postgresql/{PG_MAJOR}/bin/pg_config"
            include = subprocess.run([config, "--includedir-server"], check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-I", include, source, "-o", path], check=True)
            give_to(server_user(), path)
    return path


def install_catalog():
    """Makes CREATE EXTENSION timescaledb known to the private copy of the server: the catalog alone."""
    assert Path(EXTENSIONS).is_relative_to(RUN), "never into a server that is not a copy"
    if (EXTENSIONS / "timescaledb.control").exists():
        return
    (EXTENSIONS / "timescaledb--0.sql").write_text(CATALOG)
    (EXTENSIONS / "timescaledb.control").write_text("default_version = '0'\nrelocatable = false\n")

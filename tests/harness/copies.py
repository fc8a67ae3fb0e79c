"""The ways in which a database gets elsewhere: dumps, copies of the data directory, standbys, restores from an archive."""

import os
import shutil

from .cluster import SUPERUSER, Cluster
from .environment import BIN, execute, give_to


def tool(cluster, program, *arguments, dbname="postgres", **more):
    """Runs one of PostgreSQL's programs, as the servers' user, against a cluster."""
    environment = cluster.psql_environment(dbname)
    return execute(BIN / program, *arguments, user=cluster.user, env=environment, **more)


def base_backup(cluster, destination, *arguments):
    """A physical copy of a running cluster, with the WAL it needs."""
    tool(cluster, "pg_basebackup", "-D", destination, "-c", "fast", "--no-sync", *arguments)


def cold_copy(cluster, destination):
    """The files of a stopped cluster."""
    shutil.copytree(cluster.data, destination, symlinks=True)


def standby(primary, name="standby", **settings):
    """A streaming standby, to be started, of `primary`; settings of the primary hold unless given."""
    connection = f"host={primary.directory} port={primary.port} user={SUPERUSER} application_name={name}"
    given = _inherited(primary) | {"primary_conninfo": connection} | settings
    cluster = Cluster(name, given, make_data=lambda data: base_backup(primary, data))
    signal_file(cluster, "standby.signal")
    return cluster


def restored(primary, backup, **target):
    """A cluster, to be started, that restores a base backup and the WAL of the primary's `archive` up to recovery_target_… = …
    and begins a life of its own there."""
    given = _inherited(primary) | {"restore_command": f"cp {primary.archive}/%f %p", "recovery_target_action": "promote"}
    given |= {f"recovery_target_{name}": value for name, value in target.items()}
    cluster = Cluster("restored", given, make_data=lambda data: shutil.copytree(backup, data, symlinks=True))
    signal_file(cluster, "recovery.signal")
    return cluster


def signal_file(cluster, name):
    (cluster.data / name).touch()
    give_to(cluster.user, cluster.data)


def promote(cluster):
    tool(cluster, "pg_ctl", "promote", "-w", "-D", cluster.data)


def stop_following(standby):
    """Takes the way to its primary from a standby; what it has received it keeps."""
    standby.write_settings(primary_conninfo=f"host={standby.directory}/nowhere")
    standby.reload()


def new_folder(cluster, name):
    """A folder of a cluster's directory that its processes can write."""
    folder = cluster.directory / name
    os.mkdir(folder)
    give_to(cluster.user, folder)
    return folder


def _inherited(cluster):
    """The cluster's settings but for those that are its own: two who archive into one place would mix their WAL."""
    own = ("port", "unix_socket_directories", "archive_mode", "archive_command")
    return {name: value for name, value in cluster.settings.items() if name not in own}

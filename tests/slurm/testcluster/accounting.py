"""slurmdbd and its database, for clusters with accounting. Runs inside the cluster's own namespaces."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from .processes import until
from .spec import LOGIN, Spec

SOCKET = "/run/munge/mysqld.sock"  # short: at most 108 characters
PORT = 6819

_SQL = """
create database if not exists slurm_acct_db;
create user if not exists slurm@localhost identified by 'slurm';
create user if not exists slurm@'127.0.0.1' identified by 'slurm';
grant all on slurm_acct_db.* to slurm@localhost;
grant all on slurm_acct_db.* to slurm@'127.0.0.1';
"""


def start_database(spec: Spec) -> None:
    """Start MariaDB and slurmdbd, and tell slurmdbd of the cluster."""
    data = spec.directory / "database"
    if not (data / "mysql").is_dir():
        _create(spec, data)
    options = {
        "user": "root",
        "datadir": data,
        "tmpdir": spec.directory / "run",
        "socket": SOCKET,
        "bind-address": "127.0.0.1",
        "pid-file": spec.directory / "run/mariadbd.pid",
        "innodb-buffer-pool-size": "64M",
        "innodb-flush-log-at-trx-commit": "0",
        "innodb-lock-wait-timeout": "900",
    }
    with (spec.directory / "log/mariadbd.log").open("w") as log:
        argv = ["mariadbd", "--no-defaults", "--skip-log-bin", *(f"--{key}={value}" for key, value in options.items())]
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    until(_grant, 60, "the database takes commands", every_s=0.05)
    _write_slurmdbd_conf(spec)
    subprocess.Popen(["slurmdbd", "-D"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: _listens(spec), 60, "slurmdbd listens", every_s=0.05)
    subprocess.run(["sacctmgr", "-i", "add", "cluster", "testcluster"], capture_output=True, check=False)


def _create(spec: Spec, data: Path) -> None:
    argv = [
        "mariadb-install-db",
        "--user=root",
        f"--datadir={data}",
        f"--tmpdir={spec.directory}/run",  # not /tmp: its files are named by process number, and those repeat
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
    ]
    with (spec.directory / "log/mariadb-install.log").open("w") as log:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)


def _grant() -> bool:
    argv = ["mariadb", f"--socket={SOCKET}", "--user=root"]
    return subprocess.run(argv, input=_SQL, text=True, capture_output=True, check=False).returncode == 0


def _listens(spec: Spec) -> bool:
    with suppress(OSError), socket.create_connection((spec.address(LOGIN), PORT), timeout=1):
        return True
    return False


def _write_slurmdbd_conf(spec: Spec) -> None:
    settings = {
        "AuthType": "auth/munge",
        "DbdHost": LOGIN,
        "DbdAddr": spec.address(LOGIN),
        "SlurmUser": "root",
        "LogFile": spec.directory / "log/slurmdbd.log",
        "PidFile": spec.directory / "run/slurmdbd.pid",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StorageUser": "slurm",
        "StoragePass": "slurm",
        "StorageLoc": "slurm_acct_db",
    }
    path = spec.directory / "etc/slurmdbd.conf"
    path.touch(mode=0o600)
    path.chmod(0o600)  # slurmdbd refuses any other mode
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

"""The file of an SQLite log: how it is created, recognised and opened."""

import os
import sqlite3
from contextlib import closing, suppress
from enum import Enum
from pathlib import Path
from time import time_ns
from uuid import uuid4

from leftfold.errors import StoreCopied, StoreCorrupt, StoreFailed, StoreNotFound
from leftfold.model.clock import Clock, microseconds_of
from leftfold.store.identity import Replacement
from leftfold.store.private_files import Group, create_private
from leftfold.store.sqlite.copies import WAL_HEADER, foreign_wal, torn_end
from leftfold.store.sqlite.errors import Transaction, named_errors
from leftfold.store.sqlite.format import FORMAT, create_schema, lift, look_like_newest

TICK = 100_000_000  # nanoseconds within which two changes may leave a folder with the same time
APPLICATION = 0x6C66_6C64  # "lfld" in the file's header
CHECKPOINT_PAGES = 4_000  # in the write-ahead log, before a commit copies them into the file
MAPPED_BYTES = 33_554_432  # of the file for each reader: faster than read(), but it counts as resident memory


class Use(Enum):
    """What the writing connection is used for: whether it syncs, waits for the lock of others, and checkpoints."""

    COMMIT = (True, True, True)
    COMMIT_ON_LOOP = (True, False, False)
    TIDY = (False, False, True)

    def __init__(self, syncs: bool, waits: bool, checkpoints: bool) -> None:
        self.syncs = syncs
        self.waits = waits
        self.checkpoints = checkpoints


class LogFile:
    """Opens connections to one log. The connection of the writer creates the log unless it exists.

    A log that is opened for reading only is never created. SQLite reads a WAL database through files beside it. If they
    do not exist and cannot be made, because the folder is not writable, nobody has the log open; it is then read as it
    is (`immutable`), until somebody changes it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        durable: bool,
        read_only: bool,
        busy_timeout: float,
        group: Group | None = None,
    ) -> None:
        self.path = path
        self._group: Group | None = group
        self._place = path.absolute()  # the working directory may change
        self.durable = durable
        self.read_only = read_only
        self._clock = clock
        self._busy_timeout = busy_timeout
        self.format = FORMAT
        # The file as it was when it was opened to be read as it is, because nobody has it open and nobody can.
        self.standing: os.stat_result | None = None
        self._use: Use | None = None
        self._folder = os.path.dirname(os.path.realpath(self._place))
        self._unchanged = (0, 0)  # the folder, as it was when each file was last found in place
        self._identities: list[
            tuple[str, tuple[int, int]]
        ] = []  # of the file and of the files that SQLite has beside it
        self.replacement = Replacement(str(path))

    def __repr__(self) -> str:
        return f"<LogFile {self.path}>"

    @property
    def _synchronous(self) -> str:
        return "FULL" if self.durable else "NORMAL"

    @property
    def wal(self) -> Path:
        """Return the -wal file, where SQLite keeps recent commits: beside the file itself, not beside a link to it."""
        return Path(f"{os.path.realpath(self._place)}-wal")

    def open(self) -> sqlite3.Connection:
        """Open the first connection, which is the one that writes if the log may be written."""
        with named_errors(str(self.path)):
            if not os.path.isdir(self.path.parent):
                raise StoreNotFound(
                    f"folder for the file {self.path}", "a folder that exists", "make the folder, or check the URL"
                )
            if os.path.isdir(self.path):
                raise StoreNotFound(f"file {self.path}: it is a folder")
            if self.read_only:
                self._look()
            else:
                create_private(self._place, group=self._group)
            self._check_wal()
            connection = self._connect()
            try:
                self._prepare(connection)
                self._identify()
                if not self.read_only and (problem := torn_end(connection)):
                    raise StoreCopied(str(self.path), problem)
                return connection
            except BaseException:
                connection.close()
                raise

    def open_reader(self) -> sqlite3.Connection:
        """Open another connection, for reading."""
        connection = self._connect()
        look_like_newest(connection, self.format)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # this opens the files beside it
        self.check_in_place()
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        return connection

    def set_up(self, connection: sqlite3.Connection, use: Use) -> sqlite3.Connection:
        """Set the writing connection up for what it is used for next."""
        if self._use is not use:
            self._use = None  # until all of it is done
            connection.execute(f"PRAGMA synchronous = {self._synchronous if use.syncs else 'NORMAL'}")
            connection.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout * 1000) if use.waits else 0}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES if use.checkpoints else 0}")
            self._use = use
        return connection

    def check_in_place(self, *, written: bool = False) -> None:
        """Raise `LogReplaced` if the file, or a file that SQLite has beside it, was moved, replaced or deleted.

        Commits would then be lost, or be written by two processes at once. SQLite itself keeps the files in place while
        anyone has the log open. If nothing in the folder was made, renamed or deleted since the last check, the files
        need no check.
        """
        try:
            folder = os.stat(self._folder)
        except OSError:
            folder = None
        if folder is None or (folder.st_mtime_ns, folder.st_ino) != self._unchanged:
            self._look_at_each(folder, written=written)

    def _look_at_each(self, folder: os.stat_result | None, *, written: bool) -> None:
        for path, identity in self._identities:
            try:
                now = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                break
            if (now.st_ino, now.st_dev) != identity:
                break
        else:
            if folder is not None and time_ns() - folder.st_mtime_ns > TICK and not self._place.is_symlink():
                self._unchanged = (folder.st_mtime_ns, folder.st_ino)
            return
        name = "the file" if path == self._identities[0][0] else f"the file {os.path.basename(path)}"
        lost = "; what was just appended is not in it" if written else ""
        self.replacement.refuse(f"{name} was moved, replaced or deleted while it was open{lost}", written=written)

    def _identify(self) -> None:
        """Note which files the first connection has opened."""
        beside = () if self.standing is not None else (str(self.wal), f"{str(self.wal)[:-4]}-shm")
        for path in (str(self._place), *beside):
            with suppress(FileNotFoundError):
                opened = os.stat(path)
                self._identities.append((path, (opened.st_ino, opened.st_dev)))

    def _check_wal(self) -> None:
        """Raise `StoreCopied` if the -wal file belongs to another file, or to another state of this one."""
        try:
            size = os.stat(self.wal).st_size
        except OSError:
            size = 0
        if self.standing is not None or size <= WAL_HEADER:
            return
        problem = foreign_wal(Path(os.path.realpath(self._place)))
        if problem is not None:
            raise StoreCopied(str(self.path), problem)

    def check_standing(self) -> None:
        """Raise `LogReplaced` if the log was found replaced, `StoreFailed` if an immutable log was written."""
        self.replacement.check()
        if self.standing is not None and (self.wal.exists() or _changed(self.standing, self._place.stat())):
            raise StoreFailed(
                str(self.path),
                "it was opened as immutable, because nobody had it open, and another program has written to it since",
            )

    def _look(self) -> None:
        if not (self.path.is_file() and os.access(self.path, os.R_OK)):
            raise StoreNotFound(f"file {self.path}")
        if not os.access(self.path.parent, os.W_OK) and not self.wal.exists():
            self.standing = self.path.stat()

    def _connect(self) -> sqlite3.Connection:
        mode = "mode=ro" if self.read_only else "mode=rwc"
        connection = sqlite3.connect(
            f"{self._place.as_uri()}?{mode if self.standing is None else 'immutable=1'}",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = bytes
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if found != APPLICATION and (tables or self.read_only):
            raise StoreCorrupt(str(self.path), "it is another program's database" if tables else "it is empty")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise StoreCorrupt(str(self.path), f"it has format {version}; this leftfold reads up to {FORMAT}")
        if self.read_only:
            self.format = version
            return
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -65536")
        if version < FORMAT:
            self._create_or_lift(connection)
        self.format = FORMAT

    def _create_or_lift(self, connection: sqlite3.Connection) -> None:
        with Transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version:  # perhaps another process has just created it
                lift(connection, version, self.path)
                return
            create_schema(connection)
            created = microseconds_of(self._clock)
            connection.execute("INSERT INTO log (id, created) VALUES (?, ?)", (uuid4().hex, created))
            connection.execute(f"PRAGMA application_id = {APPLICATION}")


def _changed(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_mtime_ns, before.st_size, before.st_ino) != (now.st_mtime_ns, now.st_size, now.st_ino)


def is_log(path: Path) -> bool:
    """Return whether a file is a leftfold log.

    SQLite reads it, because to open and close the file here would release the locks that this process has on it.
    """
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error:
        return False
    return bool(found == APPLICATION)

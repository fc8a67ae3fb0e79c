"""A session beside the test's own."""

import threading


class Session(threading.Thread):
    """Runs statements in one transaction, in a thread of its own; end() waits for it and raises what they raised."""

    def __init__(self, db, *statements):
        super().__init__(daemon=True)
        self.db, self.statements, self.error = db, statements, None
        self.connection = db.connect(autocommit=False)
        self.pid = self.connection.info.backend_pid
        self.start()

    def run(self):
        try:
            for statement in self.statements:
                self.connection.execute(statement)
            self.connection.commit()
        except Exception as error:
            self.error = error
        finally:
            self.connection.close()

    def waits(self):
        """Whether it waits for a lock."""
        return bool(self.db.query("SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", self.pid))

    def end(self):
        self.join(120)
        assert not self.is_alive(), "the session still waits"
        if self.error:
            raise self.error

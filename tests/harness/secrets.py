"""The passwords that the tests give away, and a look at whether a server's log got to know one."""

# Breaks whoever pastes it into a connection string, and is found in whatever repeats a part of it.
PASSWORD = "s3cr3t;{}=é"
MARKS = {PASSWORD, PASSWORD.split(";")[0]}

# What a session found: "log file: line".
leaks = []


def lines_with_secrets(text, marks=MARKS):
    """Lines that hold a secret, but for statements in which somebody sets it: those PostgreSQL logs when they fail."""
    setting = ("USER MAPPING", "CREATE ROLE", "ALTER ROLE", "IDENTIFIED BY", "CREATE USER")
    return [line for line in text.splitlines() if any(mark in line for mark in marks) and not any(word in line for word in setting)]


def look(log_file):
    """Notes what the log of a server that is being removed says; conftest.py fails the session for it."""
    if log_file.exists():
        leaks.extend(f"{log_file}: {line[:200]}" for line in lines_with_secrets(log_file.read_text(errors="replace")))

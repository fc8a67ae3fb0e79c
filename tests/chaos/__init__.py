"""Proof of exactly-once under faults: four sources that change all along, streams that follow them, and a fault a round.

    sources.py        what a source is: SQLite, MariaDB, PostgreSQL, each with the same three tables
    rest_source.py    … and a JSON API over such tables
    changes.py        random changes, as SQL that every source understands
    world.py          the sources, the target cluster, the streams, and the threads that write
    faults.py         what is broken at the connector, the workers, the server
    source_faults.py  … at the source and on the way to it
    target_faults.py  … at the target: locks, disk, DDL, settings, time-outs
    truth.py          what status and history must say while things break
    checks.py         what must hold once everything is quiet
    main.py           rounds, checkpoints, the report
"""

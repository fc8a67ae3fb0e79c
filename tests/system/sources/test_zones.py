"""Time zones as people write them: an offset counts east of Greenwich wherever a zone is taken."""

import datetime

import psycopg
import pytest
from harness import wait_for

UTC = datetime.timezone.utc
ZONES = {"-05:00": 15, "+02:00": 8, "-0500": 15, "+02": 8, "Z": 10}


def made(db, shop, name="ventas", **options):
    shop.script("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, m TIMESTAMP); INSERT OR IGNORE INTO t VALUES (1, '2025-01-05 10:00:00')")
    return db.create_stream(name, "tienda", "t", target=name, watermark="m", options=options)


@pytest.mark.parametrize("zone", ZONES)
def test_an_offset_is_where_the_source_s_clock_stands(db, shop, zone):
    made(db, shop, "t", source_time_zone=zone)
    assert db.run("t")["inserted"] == 1
    assert db.value("SELECT m FROM t") == datetime.datetime(2025, 1, 5, ZONES[zone], tzinfo=UTC)


def test_a_day_of_the_ledger_begins_where_the_offset_says(db, shop):
    """10:00 is still the day before in the zone 14 hours behind; the same hours are found again by backfill and verification."""
    made(db, shop, "t", source_time_zone="Z", slice_time_zone="-11:00", slice_column="m")
    db.run("t")
    assert db.value("SELECT bucket FROM insync.slice") == datetime.datetime(2025, 1, 4)
    db.execute("DELETE FROM t")
    (run_id,) = [run for (run,) in db.query("SELECT run_id FROM sync_backfill('t', '2025-01-04', '2025-01-05')")]
    assert db.wait(run_id) == "succeeded"
    assert db.query("SELECT id FROM t") == [(1,)]
    assert db.query("SELECT * FROM sync_verify('t', '2025-01-04', '2025-01-05')") == []


def test_a_cron_schedule_keeps_to_the_offset(db, shop):
    """Two zones whose clocks agree all year, one told by an offset: the next run is at the same time."""
    for name, zone in (("named", "Asia/Kolkata"), ("offset", "+05:30")):
        made(db, shop, name, time_zone=zone)
        db.run(name)
        db.alter_stream(name, schedule="0 3 * * *")
    named, offset = (wait_for(lambda name=name: db.status(name)["next_run"], "the next run to be known") for name in ("named", "offset"))
    assert named == offset and named.astimezone(UTC).hour == 21, "03:00 in India"


@pytest.mark.parametrize("option", ["source_time_zone", "time_zone", "slice_time_zone"])
@pytest.mark.parametrize("zone, spelling", [("UTC-5", "'-05:00'"), ("GMT+2", "'+02:00'"), ("Etc/GMT+5", "'-05:00'"), ("-5", "'-05:00'")])
def test_what_posix_reads_the_other_way_round_is_refused(db, shop, option, zone, spelling):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as error:
        made(db, shop, "t", **{option: zone})
    assert f'time zone "{zone}" in option {option} is ambiguous' in str(error.value)
    assert spelling in error.value.diag.message_hint
    assert db.query("SELECT FROM insync.stream") == []

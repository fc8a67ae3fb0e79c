/* How many rows the targets hold, counted into slices. */

-- since 0.2
CREATE TABLE insync.ledger (
    stream_id integer PRIMARY KEY,
    column_name name NOT NULL,
    unit text NOT NULL CHECK (unit OPERATOR(pg_catalog.=) ANY (ARRAY['hour', 'day', 'week', 'month'])),
    time_zone text NOT NULL,
    rule text NOT NULL,
    complete boolean NOT NULL DEFAULT false,
    steady boolean,
    reason text,
    lag integer NOT NULL DEFAULT 0,
    first_read timestamp,
    moved bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE insync.ledger IS 'how the rows of a stream are counted into slices, and by which column of the target';
COMMENT ON COLUMN insync.ledger.stream_id IS 'the stream';
COMMENT ON COLUMN insync.ledger.column_name IS 'date or time column of the target';
COMMENT ON COLUMN insync.ledger.unit IS 'size of a slice: hour, day, week (from Monday) or month';
COMMENT ON COLUMN insync.ledger.time_zone IS 'time zone in which times with a zone are assigned to their day';
COMMENT ON COLUMN insync.ledger.rule IS
    'SQL over a row t of the target: its slice, and whether it counts. If it is no longer the right expression (for example, because the type of the column or option deletes was changed), rows must be counted again';
COMMENT ON COLUMN insync.ledger.complete IS 'true if the rows that were in the target before are counted, too; see sync_profile()';
COMMENT ON COLUMN insync.ledger.steady IS
    'true: the first rows have shown that slices are filled steadily, and an empty slice is a gap; false: they are not, and gaps are not searched for; NULL: not known yet. Not used if option slice_column names the column';
COMMENT ON COLUMN insync.ledger.reason IS 'why slices are not filled steadily';
COMMENT ON COLUMN insync.ledger.lag IS 'number of latest slices for which the source had no rows yet when steadiness was determined';
COMMENT ON COLUMN insync.ledger.first_read IS 'when steadiness was determined, in time_zone: long ranges that were already empty then are not gaps';
COMMENT ON COLUMN insync.ledger.moved IS 'rows that updates moved from one slice to another; not counted if slices are not filled steadily, or if option slice_column names the column';
SELECT pg_catalog.pg_extension_config_dump('insync.ledger', '');

-- since 0.2
CREATE TABLE insync.slice (
    stream_id integer NOT NULL,
    bucket timestamp NOT NULL,
    rows bigint NOT NULL,
    first_watermark text,
    last_watermark text,
    touched_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    verified_at timestamptz,
    source_rows bigint,
    differences bigint,
    repair_attempts integer NOT NULL DEFAULT 0,
    repair_at timestamptz,
    PRIMARY KEY (stream_id, bucket)
) WITH (fillfactor = 70);
COMMENT ON TABLE insync.slice IS
    'rows of a stream in its target, counted for each slice; written in the transaction of the rows';
COMMENT ON COLUMN insync.slice.stream_id IS 'the stream';
COMMENT ON COLUMN insync.slice.bucket IS
    'beginning of the slice, in the time zone of the ledger; -infinity: rows without a time';
COMMENT ON COLUMN insync.slice.rows IS 'rows in the target, without rows that are marked as deleted';
COMMENT ON COLUMN insync.slice.first_watermark IS 'watermark of the stream when the slice was first touched, as the source writes it';
COMMENT ON COLUMN insync.slice.last_watermark IS 'watermark of the stream when the slice was last touched';
COMMENT ON COLUMN insync.slice.touched_at IS 'when a row of it was last inserted, updated or deleted by a run, or counted by sync_profile()';
COMMENT ON COLUMN insync.slice.verified_at IS 'when a verification or a backfill last compared it with the source; NULL: never';
COMMENT ON COLUMN insync.slice.source_rows IS 'rows of the source in the slice at verified_at, minus rows that have left it since';
COMMENT ON COLUMN insync.slice.differences IS 'rows that were missing, extra or changed at verified_at, minus rows that have left the slice since';
COMMENT ON COLUMN insync.slice.repair_attempts IS 'attempts of auto_repair since the slice was last whole';
COMMENT ON COLUMN insync.slice.repair_at IS 'earliest time of the next attempt of auto_repair';
SELECT pg_catalog.pg_extension_config_dump('insync.slice', '');

-- since 0.2
CREATE FUNCTION insync.note(batch_row bigint, was boolean, before anyelement, is_there boolean, after anyelement) RETURNS boolean
    LANGUAGE c COST 100000 AS 'MODULE_PATHNAME', 'insync_note';
COMMENT ON FUNCTION insync.note(bigint, boolean, anyelement, boolean, anyelement) IS
    'used by apply statements to report what they do to a slice; always returns true and has no effect elsewhere';
REVOKE ALL ON FUNCTION insync.note(bigint, boolean, anyelement, boolean, anyelement) FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_profile(pattern text, OUT stream text, OUT run_id bigint)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_profile';
COMMENT ON FUNCTION sync_profile(text) IS
    'counts the rows of targets into slices again, in the background. Use it for rows that were in a table before its stream, or that others changed. Runs go on in the meantime';
REVOKE ALL ON FUNCTION sync_profile(text) FROM PUBLIC;

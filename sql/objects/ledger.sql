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
COMMENT ON TABLE insync.ledger IS 'by which column of its target the rows of a stream are counted into slices, and how';
COMMENT ON COLUMN insync.ledger.stream_id IS 'the stream';
COMMENT ON COLUMN insync.ledger.column_name IS 'date or time of the target';
COMMENT ON COLUMN insync.ledger.unit IS 'size of a slice: hour, day, week (from Monday) or month';
COMMENT ON COLUMN insync.ledger.time_zone IS 'where times with a zone have their day';
COMMENT ON COLUMN insync.ledger.rule IS
    'SQL over a row t of the target: its slice, and whether it counts. Where another one would be right (the column''s type or the way to delete was changed, say), rows are to be counted anew';
COMMENT ON COLUMN insync.ledger.complete IS 'the rows that the target held before are counted, too; see sync_profile()';
COMMENT ON COLUMN insync.ledger.steady IS
    'the first rows have shown that its slices are filled steadily, so that an empty one is a gap; false: they aren''t, and nothing is said of gaps; NULL: not known yet. Without meaning where option slice_column names the column';
COMMENT ON COLUMN insync.ledger.reason IS 'why it isn''t steady';
COMMENT ON COLUMN insync.ledger.lag IS 'slices before the last one for which the source had no rows yet when that was found out';
COMMENT ON COLUMN insync.ledger.first_read IS 'when that was found out, as a clock in time_zone showed it: long stretches without rows that were there already are no gaps';
COMMENT ON COLUMN insync.ledger.moved IS 'rows that updates have moved from one slice to another; not counted where the column isn''t steady, or is named by option slice_column';
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
    'how many rows of a stream its target holds in each time bucket; written in the transaction of the rows';
COMMENT ON COLUMN insync.slice.stream_id IS 'the stream';
COMMENT ON COLUMN insync.slice.bucket IS
    'beginning of the bucket, as a clock in the ledger''s zone shows it; -infinity: rows without a time';
COMMENT ON COLUMN insync.slice.rows IS 'rows that the target holds, without those that are marked as deleted';
COMMENT ON COLUMN insync.slice.first_watermark IS 'how far the stream had read when the slice was first touched, in the source''s own words';
COMMENT ON COLUMN insync.slice.last_watermark IS 'the same, when it was last touched';
COMMENT ON COLUMN insync.slice.touched_at IS 'when a row of it was last inserted, updated or deleted by a run, or counted by sync_profile()';
COMMENT ON COLUMN insync.slice.verified_at IS 'when the source was last asked about it, by a verification or a backfill; NULL: never';
COMMENT ON COLUMN insync.slice.source_rows IS 'rows that the source had in it then, less those that have left it since';
COMMENT ON COLUMN insync.slice.differences IS 'rows that were missing, too many or not equal then, less those that have left it since';
COMMENT ON COLUMN insync.slice.repair_attempts IS 'how often auto_repair has tried to fill it since it last was whole';
COMMENT ON COLUMN insync.slice.repair_at IS 'not before this time does auto_repair try again';
SELECT pg_catalog.pg_extension_config_dump('insync.slice', '');

-- since 0.2
CREATE FUNCTION insync.note(batch_row bigint, was boolean, before anyelement, is_there boolean, after anyelement) RETURNS boolean
    LANGUAGE c COST 100000 AS 'MODULE_PATHNAME', 'insync_note';
COMMENT ON FUNCTION insync.note(bigint, boolean, anyelement, boolean, anyelement) IS
    'for apply statements, which tell by it what they do to a slice; always true, and elsewhere without effect';
REVOKE ALL ON FUNCTION insync.note(bigint, boolean, anyelement, boolean, anyelement) FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_profile(pattern text, OUT stream text, OUT run_id bigint)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_profile';
COMMENT ON FUNCTION sync_profile(text) IS
    'has the rows of targets counted anew into slices, in the background: for what was in a table before its stream, or was changed by others. Runs go on meanwhile';
REVOKE ALL ON FUNCTION sync_profile(text) FROM PUBLIC;

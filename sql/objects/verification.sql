/* Comparing targets with their sources. */

-- since 0.2
CREATE TABLE insync.difference (
    stream_id integer NOT NULL,
    run_id bigint NOT NULL,
    bucket timestamp NOT NULL,
    kind text NOT NULL CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['missing', 'extra', 'changed'])),
    key jsonb NOT NULL
);
CREATE INDEX difference_stream ON insync.difference (stream_id, bucket);
COMMENT ON TABLE insync.difference IS
    'rows that the last verification of their slice, by keys or rows, found to differ from the source';
COMMENT ON COLUMN insync.difference.stream_id IS 'the stream';
COMMENT ON COLUMN insync.difference.run_id IS 'the verification';
COMMENT ON COLUMN insync.difference.bucket IS 'slice that the row is in, or is to be in';
COMMENT ON COLUMN insync.difference.kind IS
    'missing: the target hasn''t got it; extra: the source has it no more; changed: the target has other values';
COMMENT ON COLUMN insync.difference.key IS 'the target''s key';

-- since 0.2
CREATE FUNCTION insync.row_hash(format text, VARIADIC columns "any") RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'insync_row_hash';
COMMENT ON FUNCTION insync.row_hash(text, "any") IS
    'hash of a row, as its source reckons it: the format names the hash and how each column is written, as in crc32:i,n2,t,s';
REVOKE ALL ON FUNCTION insync.row_hash(text, "any") FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_verify(stream text, "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, depth text DEFAULT 'rows',
                            repair boolean DEFAULT false, OUT slice timestamp, OUT state text, OUT rows bigint, OUT source_rows bigint,
                            OUT missing bigint, OUT extra bigint, OUT changed bigint, OUT keys jsonb)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_verify';
COMMENT ON FUNCTION sync_verify(text, timestamp, timestamp, text, boolean) IS
    'asks the source what it has between two times ("to" isn''t included; without them: all) and returns the slices in which the target has something else, with the first 100 keys; depth counts compares numbers of rows (and sums of whole numbers where the source can''t hash rows), keys which rows there are, rows all values. Rows that the source has changed within option min_age, or since the stream''s last run, don''t count. With repair they are made right: read again, and deleted where the stream deletes';
REVOKE ALL ON FUNCTION sync_verify(text, timestamp, timestamp, text, boolean) FROM PUBLIC;

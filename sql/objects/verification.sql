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
    'rows that differed from the source in the last verification of their slice by keys or rows';
COMMENT ON COLUMN insync.difference.stream_id IS 'the stream';
COMMENT ON COLUMN insync.difference.run_id IS 'the verification';
COMMENT ON COLUMN insync.difference.bucket IS 'slice of the row';
COMMENT ON COLUMN insync.difference.kind IS
    'missing: in the source, not in the target; extra: in the target, not in the source; changed: the target has other values';
COMMENT ON COLUMN insync.difference.key IS 'the target''s key';

-- since 0.2
CREATE FUNCTION insync.row_hash(format text, VARIADIC columns "any") RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'insync_row_hash';
COMMENT ON FUNCTION insync.row_hash(text, "any") IS
    'hash of a row, as the source computes it. The format names the hash and the text form of each column, as in crc32:i,n2,t,s';
REVOKE ALL ON FUNCTION insync.row_hash(text, "any") FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_verify(stream text, "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, depth text DEFAULT 'rows',
                            repair boolean DEFAULT false, OUT slice timestamp, OUT state text, OUT rows bigint, OUT source_rows bigint,
                            OUT missing bigint, OUT extra bigint, OUT changed bigint, OUT keys jsonb)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_verify';
COMMENT ON FUNCTION sync_verify(text, timestamp, timestamp, text, boolean) IS
    'compares the target with the source in a time range ("to" is exclusive; default: everything). Returns the slices that differ, with the first 100 keys. depth counts compares numbers of rows (and sums of whole numbers if the source cannot hash rows), keys compares keys, rows compares all values. Rows that the source changed within option min_age, or since the last run of the stream, do not count as different. With repair, slices that differ are read again, and extra rows are deleted if the stream deletes rows';
REVOKE ALL ON FUNCTION sync_verify(text, timestamp, timestamp, text, boolean) FROM PUBLIC;

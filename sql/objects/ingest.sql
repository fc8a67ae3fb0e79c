/* Rows that are pushed. */

-- since 0.2
CREATE FUNCTION sync_ingest(stream text, records jsonb, OUT received bigint, OUT inserted bigint, OUT updated bigint,
                            OUT unchanged bigint, OUT deleted bigint, OUT rejected bigint)
    RETURNS record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_ingest';
COMMENT ON FUNCTION sync_ingest(text, jsonb) IS
    'applies pushed rows (an array of objects, or one object) to the target of a stream, as its runs do. Each object is a whole row with the names of the source columns. The watermark of the stream does not change';
REVOKE ALL ON FUNCTION sync_ingest(text, jsonb) FROM PUBLIC;

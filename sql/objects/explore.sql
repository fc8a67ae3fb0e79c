/* What a server has, and what a stream would do. */

CREATE FUNCTION sync_test(server text, OUT step text, OUT ok boolean, OUT ms numeric, OUT message text)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_test';
COMMENT ON FUNCTION sync_test(text) IS 'tests a server step by step as the current user: connect, log in, read; times in milliseconds';
REVOKE ALL ON FUNCTION sync_test(text) FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_test(server text, source text, OUT step text, OUT ok boolean, OUT ms numeric, OUT message text)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_test';
COMMENT ON FUNCTION sync_test(text, text) IS
    'like sync_test(server), and also reads the first rows of one source. For an API, only this shows if the credentials are accepted';
REVOKE ALL ON FUNCTION sync_test(text, text) FROM PUBLIC;

CREATE FUNCTION sync_discover(server text, pattern text DEFAULT '%', OUT source text, OUT kind text, OUT columns jsonb,
                              OUT key text, OUT estimated_rows bigint)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_discover';
COMMENT ON FUNCTION sync_discover(text, text) IS
    'sources of a server whose name matches the LIKE pattern, NULL for all, with columns and key';
REVOKE ALL ON FUNCTION sync_discover(text, text) FROM PUBLIC;

CREATE FUNCTION sync_preview(server text, source text, rows integer DEFAULT 10) RETURNS SETOF jsonb
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_preview';
COMMENT ON FUNCTION sync_preview(text, text, integer) IS 'the first rows of a source, as jsonb';
REVOKE ALL ON FUNCTION sync_preview(text, text, integer) FROM PUBLIC;

CREATE FUNCTION sync_explain(name text, OUT step text, OUT statement text)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_explain';
COMMENT ON FUNCTION sync_explain(text) IS 'what the next run of a stream would read and how it would apply it, without running it';
REVOKE ALL ON FUNCTION sync_explain(text) FROM PUBLIC;

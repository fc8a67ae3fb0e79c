/* What can be set on servers, user mappings and streams. */

/* What only looks at what is here is STABLE: PostgREST serves it to GET. */
CREATE FUNCTION sync_options(OUT name text, OUT type text, OUT default_value text, OUT applies_to text, OUT description text)
    RETURNS SETOF record LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_options';
COMMENT ON FUNCTION sync_options() IS 'every option of servers, user mappings and streams';
REVOKE ALL ON FUNCTION sync_options() FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_presets(OUT preset text, OUT option text, OUT value text)
    RETURNS SETOF record LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_presets';
COMMENT ON FUNCTION sync_presets() IS 'options that each value of option preset sets; each of them can be overridden';
REVOKE ALL ON FUNCTION sync_presets() FROM PUBLIC;

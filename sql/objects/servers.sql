/* The two kinds of foreign servers. */

CREATE FUNCTION insync_odbc_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'insync_odbc_validator';
COMMENT ON FUNCTION insync_odbc_validator(text[], oid) IS 'checks the options of servers and user mappings of insync_odbc';
REVOKE ALL ON FUNCTION insync_odbc_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER insync_odbc VALIDATOR insync_odbc_validator;
COMMENT ON FOREIGN DATA WRAPPER insync_odbc IS 'source databases reached through ODBC; see sync_options()';

-- since 0.2
CREATE FUNCTION insync_rest_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'insync_rest_validator';
COMMENT ON FUNCTION insync_rest_validator(text[], oid) IS 'checks the options of servers and user mappings of insync_rest';
REVOKE ALL ON FUNCTION insync_rest_validator(text[], oid) FROM PUBLIC;

-- since 0.2
CREATE FOREIGN DATA WRAPPER insync_rest VALIDATOR insync_rest_validator;
COMMENT ON FOREIGN DATA WRAPPER insync_rest IS 'sources with a JSON API, reached through HTTP; see sync_options()';

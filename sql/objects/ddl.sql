/* Streams follow what becomes of their servers and targets. Included last: the event triggers would fire for what comes after. */

-- since 0.2
/* Streams have names of servers and tables, as a dump has to restore them; what the names mean now is known by OID. */
CREATE TABLE insync.dependency (
    stream_id integer PRIMARY KEY,
    system_identifier text NOT NULL,
    server_oid oid,
    target_oid oid,
    created_target boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE insync.dependency IS
    'OIDs of the server and the target of each stream. They make it possible to follow renames and to notice drops. They are not dumped; a restored database looks them up by name';
COMMENT ON COLUMN insync.dependency.stream_id IS 'the stream';
COMMENT ON COLUMN insync.dependency.system_identifier IS 'system identifier, as in pg_control_system(), of the cluster in which the OIDs are valid';
COMMENT ON COLUMN insync.dependency.server_oid IS 'the foreign server; NULL: not looked up yet';
COMMENT ON COLUMN insync.dependency.target_oid IS 'the target table; NULL: not looked up yet; 0: it was dropped';
COMMENT ON COLUMN insync.dependency.created_target IS
    'true if the stream created its target in this database and no other stream has filled it; sync_drop(..., true) can then drop it';
/* Nobody but the extension's owner looks at it. */
ALTER TABLE insync.dependency ENABLE ROW LEVEL SECURITY;

-- since 0.2
CREATE FUNCTION insync.follow_ddl() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'insync_follow_ddl';
COMMENT ON FUNCTION insync.follow_ddl() IS
    'updates streams when their servers, targets or schemas are renamed, and prevents DROP of a server that streams read from';
REVOKE ALL ON FUNCTION insync.follow_ddl() FROM PUBLIC;

-- since 0.2
CREATE EVENT TRIGGER insync_follow_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER SCHEMA', 'ALTER SERVER') EXECUTE FUNCTION insync.follow_ddl();
COMMENT ON EVENT TRIGGER insync_follow_ddl IS 'updates streams when servers, tables or schemas are renamed';
ALTER EVENT TRIGGER insync_follow_ddl ENABLE ALWAYS;

-- since 0.2
CREATE EVENT TRIGGER insync_follow_drops ON sql_drop EXECUTE FUNCTION insync.follow_ddl();
COMMENT ON EVENT TRIGGER insync_follow_drops IS 'notices that servers and targets of streams are dropped';
ALTER EVENT TRIGGER insync_follow_drops ENABLE ALWAYS;

/* Who sees what, and who may do what. Nothing is PUBLIC's: sync_grant() gives a role what it needs for streams of its own. */

/* A role sees what belongs to streams of the roles that it is a member of; the extension's owner sees all. */
CREATE FUNCTION insync.is_owner(owner name) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT EXISTS (SELECT FROM pg_catalog.pg_roles AS r
                         WHERE r.rolname OPERATOR(pg_catalog.=) owner
                           AND pg_catalog.pg_has_role(current_user, r.oid, 'USAGE')) $$;
COMMENT ON FUNCTION insync.is_owner(name) IS 'true if the current role has the rights of this role';
REVOKE ALL ON FUNCTION insync.is_owner(name) FROM PUBLIC;

CREATE FUNCTION insync.is_stream_owner(stream integer) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream) $$;
COMMENT ON FUNCTION insync.is_stream_owner(integer) IS 'true if the current role may see this stream: as its owner, as an operator, or as a member of pg_monitor';
REVOKE ALL ON FUNCTION insync.is_stream_owner(integer) FROM PUBLIC;

-- since 0.2
/* Who may execute it is an operator: sync_grant(role, 'operate') gives that. */
CREATE FUNCTION insync.operate() RETURNS void LANGUAGE sql IMMUTABLE AS '';
COMMENT ON FUNCTION insync.operate() IS 'does nothing; a role that may execute it may operate the streams of others; see sync_grant()';
REVOKE ALL ON FUNCTION insync.operate() FROM PUBLIC;

ALTER TABLE insync.stream ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.watermark ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.run ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.error ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.mended ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner_reads ON insync.watermark FOR SELECT USING (insync.is_stream_owner(stream_id));
CREATE POLICY owner_reads ON insync.run FOR SELECT USING (insync.is_stream_owner(stream_id));

-- since 0.2
/* Members of pg_monitor see what becomes of all streams, but no values of rows. Those who read rejected rows and keys that
   differ, as sync_grant() lets them, see those of their own streams only, even if they are members. */
CREATE POLICY owner_reads ON insync.stream FOR SELECT
    USING (insync.is_owner(owner) AND owner_id OPERATOR(pg_catalog.=)
           (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) owner));
CREATE POLICY monitor_reads ON insync.stream FOR SELECT
    USING (pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE') OR pg_catalog.has_function_privilege(current_user, 'insync.operate()', 'EXECUTE'));
CREATE POLICY owner_mends ON insync.error
    USING (EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream_id AND insync.is_owner(s.owner)
           AND s.owner_id OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner)));
CREATE POLICY monitor_counts ON insync.error FOR SELECT
    USING ((pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE') OR pg_catalog.has_function_privilege(current_user, 'insync.operate()', 'EXECUTE'))
           AND NOT pg_catalog.has_column_privilege('insync.error', 'record', 'SELECT'));

-- since 0.2
ALTER TABLE insync.origin ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.slice ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.difference ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_reads ON insync.origin FOR SELECT
    USING (EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream_id AND insync.is_owner(s.owner)
           AND s.owner_id OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner)));
CREATE POLICY owner_reads ON insync.ledger FOR SELECT USING (insync.is_stream_owner(stream_id));
CREATE POLICY owner_reads ON insync.slice FOR SELECT USING (insync.is_stream_owner(stream_id));
CREATE POLICY owner_reads ON insync.job FOR SELECT USING (insync.is_stream_owner(stream_id));
CREATE POLICY owner_reads ON insync.difference FOR SELECT
    USING (EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream_id AND insync.is_owner(s.owner)
           AND s.owner_id OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner)));

CREATE FUNCTION sync_grant(role text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_grant';
COMMENT ON FUNCTION sync_grant(text) IS
    'allows a role to create and run its own streams on servers for which it has USAGE; only for the owner of the extension';
REVOKE ALL ON FUNCTION sync_grant(text) FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_grant(role text, may text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_grant';
COMMENT ON FUNCTION sync_grant(text, text) IS
    'with may ''use'', the same as sync_grant(role). With ''operate'', allows the role to see, trigger, cancel, pause and resume the streams of all owners, and nothing else. Only for the owner of the extension';
REVOKE ALL ON FUNCTION sync_grant(text, text) FROM PUBLIC;

-- since 0.2
CREATE FUNCTION sync_revoke(role text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_revoke';
COMMENT ON FUNCTION sync_revoke(text) IS
    'revokes from a role what sync_grant() granted; its streams go on. Only for the owner of the extension';
REVOKE ALL ON FUNCTION sync_revoke(text) FROM PUBLIC;

-- since 0.2
GRANT USAGE ON SCHEMA insync TO pg_monitor;
GRANT SELECT ON insync.run, insync.home, insync.ledger, insync.slice, insync.job, insync.status, insync.progress, insync.gaps,
    insync.coverage, insync.daily TO pg_monitor;
/* Options may hold headers with secrets; positions and rejected rows hold values of rows. */
GRANT SELECT (id, name, owner, owner_id, server, source, target_schema, target_table, key, watermark, mode, schedule, paused, created_at,
    watermark_kind, source_key, source_key_unique, schedule_since) ON insync.stream TO pg_monitor;
GRANT SELECT (stream_id, watermark, failures, retry_at, updated_at, reconciled_at, verify_planned_at, repair_planned_at,
    last_run_at, last_success_at, hold_until, refused_login)
    ON insync.watermark TO pg_monitor;
GRANT SELECT (id, stream_id, stream, run_id, operation, sqlstate, error_type, column_name, constraint_name, occurred_at)
    ON insync.error TO pg_monitor;
GRANT EXECUTE ON FUNCTION insync.live(), insync.unreachable(), insync.is_owner(name), insync.is_stream_owner(integer),
    insync.find_gaps(text, timestamp, timestamp, timestamptz), insync.find_coverage(text, timestamptz), sync_status(text),
    sync_gaps(text, timestamp, timestamp, timestamptz), sync_coverage(text, timestamptz), sync_health(timestamptz), sync_options(),
    sync_presets() TO pg_monitor;

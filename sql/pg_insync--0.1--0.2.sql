/* pg_insync 0.1 to 0.2: a stream that runs meanwhile waits for the update, or the update for its transaction. */
\echo Use "ALTER EXTENSION pg_insync UPDATE TO '0.2'" to load this file. \quit

/* First of all, as this locks the extension: whoever writes the tables below has the same lock, before any other. */
COMMENT ON EXTENSION pg_insync IS 'keeps ordinary tables in sync with outside databases';

ALTER TABLE insync.stream ADD COLUMN owner_id oid NOT NULL DEFAULT 0;
COMMENT ON COLUMN insync.stream.owner_id IS
    'the owner''s number: a role that gets the name of one that was dropped doesn''t inherit its streams';
UPDATE insync.stream AS s SET owner_id = r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner;
DROP POLICY owner_reads ON insync.stream;
CREATE POLICY owner_reads ON insync.stream FOR SELECT
    USING (insync.is_owner(owner) AND owner_id OPERATOR(pg_catalog.=)
           (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) owner));

COMMENT ON TABLE insync.home IS
    'the database whose workers may run these streams; one that was restored, copied or upgraded finds another one''s name here, and stays stopped until sync_resume()';

/* pg_restore -j loads the tables of an extension in any order, and each in a transaction of its own. */
ALTER TABLE insync.watermark DROP CONSTRAINT watermark_stream_id_fkey;
ALTER TABLE insync.error DROP CONSTRAINT error_stream_id_fkey;
ALTER TABLE insync.mended DROP CONSTRAINT mended_stream_id_fkey;

/* Why nothing runs is said where everybody looks: a copy waits for sync_resume(), a standby for its promotion. */
CREATE OR REPLACE VIEW insync.status WITH (security_invoker = true) AS
SELECT s.name AS stream,
       CASE WHEN live.state IN ('starting', 'running', 'processing') THEN live.state
            WHEN s.paused OR stopped.message IS NOT NULL THEN 'stopped'
            WHEN w.failures > 0 AND w.retry_at IS NOT NULL THEN 'recovering'
            WHEN w.failures > 0 THEN 'error'
            WHEN r.status = 'queued' THEN 'starting'
            ELSE 'idle' END AS state,
       s.server::text AS server,
       s.source,
       pg_catalog.format('%I.%I', s.target_schema, s.target_table) AS target,
       s.mode,
       s.schedule,
       w.watermark,
       pg_catalog.make_interval(secs => live.lag_seconds)
           + CASE WHEN live.lag_seconds IS NOT NULL THEN pg_catalog.now() - live.last_poll END AS lag,
       coalesce(greatest(live.last_poll, r.started_at), r.queued_at) AS last_run,
       r.status AS last_status,
       CASE WHEN s.paused OR stopped.message IS NOT NULL THEN NULL ELSE coalesce(live.next_run, w.retry_at) END AS next_run,
       r.rows_read AS rows,
       coalesce(w.failures, 0) AS failures,
       (SELECT pg_catalog.count(*) FROM insync.error AS e WHERE e.stream_id = s.id) AS rejects,
       coalesce(stopped.message, live.message, r.message) AS message
  FROM insync.stream AS s
  CROSS JOIN (SELECT CASE
      WHEN NOT EXISTS (SELECT FROM insync.home AS h, pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
                        WHERE h.system_identifier = c.system_identifier::text AND h.database_oid = d.oid
                          AND d.datname = pg_catalog.current_database())
      THEN 'the stream belongs to another database or server, as this one was restored, copied or upgraded; to run it here: SELECT sync_resume();'
      WHEN pg_catalog.pg_is_in_recovery()
      THEN 'this server is a standby; the stream goes on when it is promoted' END AS message) AS stopped
  LEFT JOIN insync.watermark AS w ON w.stream_id = s.id
  LEFT JOIN insync.live() AS live ON live.stream_id = s.id
  LEFT JOIN LATERAL (SELECT * FROM insync.run AS x WHERE x.stream_id = s.id ORDER BY x.id DESC LIMIT 1) AS r ON true;

/* At the end: streams stood still since the library of this version met the tables of the one before. */
CREATE FUNCTION insync.wake() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'insync_wake';
SELECT insync.wake() WHERE EXISTS (SELECT FROM insync.stream);
DROP FUNCTION insync.wake();

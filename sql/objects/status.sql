/* What streams and workers do at the moment. */

CREATE FUNCTION insync.live(OUT stream_id integer, OUT state text, OUT pid integer, OUT run_id bigint, OUT started_at timestamptz,
                            OUT batches bigint, OUT rows_read bigint, OUT written bigint, OUT bytes bigint,
                            OUT polls bigint, OUT quiet_since timestamptz, OUT last_poll timestamptz, OUT next_run timestamptz,
                            OUT lag_seconds double precision, OUT message text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'insync_live';
COMMENT ON FUNCTION insync.live() IS
    'state of each stream in shared memory, for the workers of this database; empty if the library is not preloaded';
REVOKE ALL ON FUNCTION insync.live() FROM PUBLIC;

-- since 0.2
CREATE FUNCTION insync.unreachable(OUT server name, OUT failing_since timestamptz, OUT attempts integer, OUT last_attempt timestamptz,
                                   OUT next_attempt timestamptz, OUT message text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'insync_unreachable';
COMMENT ON FUNCTION insync.unreachable() IS
    'servers that the caller may use and that did not answer the last attempt to connect: since when, the number of failed attempts, the last and the next attempt, and the last error. All streams of a server wait for one attempt at a time';
REVOKE ALL ON FUNCTION insync.unreachable() FROM PUBLIC;

-- since 0.2
/* Why nothing runs is said where everybody looks: a copy waits for sync_resume(), a standby for its promotion. Replaced by an
   update, not dropped and made again, as what was granted on it would be lost. */
CREATE OR REPLACE VIEW insync.status WITH (security_invoker = true) AS
SELECT s.name AS stream,
       CASE WHEN live.state OPERATOR(pg_catalog.=) ANY (ARRAY['starting', 'running', 'processing']) THEN live.state
            WHEN s.paused OR stopped.message IS NOT NULL THEN 'stopped'
            WHEN s.schedule IS NOT NULL AND u.server IS NOT NULL THEN 'recovering'
            WHEN w.failures OPERATOR(pg_catalog.>) 0 AND w.retry_at IS NOT NULL THEN 'recovering'
            WHEN w.failures OPERATOR(pg_catalog.>) 0 THEN 'error'
            WHEN r.status OPERATOR(pg_catalog.=) 'queued' THEN 'starting'
            ELSE 'idle' END AS state,
       s.server::text AS server,
       s.source,
       pg_catalog.format('%I.%I', s.target_schema, s.target_table) AS target,
       s.mode,
       s.schedule,
       w.watermark,
       pg_catalog.make_interval(secs => live.lag_seconds)
           OPERATOR(pg_catalog.+) CASE WHEN live.lag_seconds IS NOT NULL THEN pg_catalog.now() OPERATOR(pg_catalog.-) live.last_poll END AS lag,
       coalesce(greatest(live.last_poll, r.started_at, w.last_run_at), r.queued_at) AS last_run,
       r.status AS last_status,
       CASE WHEN s.paused OR stopped.message IS NOT NULL THEN NULL WHEN s.schedule IS NULL THEN coalesce(live.next_run, w.retry_at)
            ELSE greatest(coalesce(live.next_run, w.retry_at), u.next_attempt) END AS next_run,
       r.rows_read AS rows,
       coalesce(w.failures, 0) AS failures,
       (SELECT pg_catalog.count(*) FROM insync.error AS e WHERE e.stream_id OPERATOR(pg_catalog.=) s.id) AS rejects,
       coalesce(stopped.message, u.message, CASE WHEN pg_catalog.starts_with(r.message, live.message) THEN r.message END, -- it is clipped there
                live.message, r.message) AS message,
       CASE WHEN live.polls OPERATOR(pg_catalog.>) 0 THEN live.rows_read ELSE r.reread END AS reread,
       r.filtered AS filtered
  FROM insync.stream AS s
  CROSS JOIN (SELECT CASE
      WHEN NOT EXISTS (SELECT FROM insync.home AS h, pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
                        WHERE h.system_identifier OPERATOR(pg_catalog.=) c.system_identifier::text AND h.database_oid OPERATOR(pg_catalog.=) d.oid
                          AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
      THEN 'the stream belongs to another database or server, as this one was restored, copied or upgraded; to run it here: SELECT sync_resume();'
      WHEN pg_catalog.pg_is_in_recovery()
      THEN 'this server is a standby; the stream goes on when it is promoted' END AS message) AS stopped
  LEFT JOIN insync.watermark AS w ON w.stream_id OPERATOR(pg_catalog.=) s.id
  LEFT JOIN insync.unreachable() AS u ON u.server OPERATOR(pg_catalog.=) s.server
  LEFT JOIN insync.live() AS live ON live.stream_id OPERATOR(pg_catalog.=) s.id
  LEFT JOIN LATERAL (SELECT * FROM insync.run AS x WHERE x.stream_id OPERATOR(pg_catalog.=) s.id
                        AND x.mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full', 'keys']) ORDER BY x.id DESC LIMIT 1) AS r ON true;
COMMENT ON VIEW insync.status IS 'state, watermark, lag, last and next run, one row for each stream of the current role; the view behind sync_status()';
COMMENT ON COLUMN insync.status.stream IS 'name of the stream';
COMMENT ON COLUMN insync.status.state IS 'starting, running (reading), processing (applying), idle, recovering (waiting to retry), error, stopped';
COMMENT ON COLUMN insync.status.server IS 'foreign server that the stream reads from';
COMMENT ON COLUMN insync.status.source IS 'table, view or SELECT at the source';
COMMENT ON COLUMN insync.status.target IS 'table that is written to';
COMMENT ON COLUMN insync.status.mode IS 'incremental or full';
COMMENT ON COLUMN insync.status.schedule IS 'interval or cron expression; NULL: runs only when asked';
COMMENT ON COLUMN insync.status.watermark IS 'how far the stream has read, as the source wrote it';
COMMENT ON COLUMN insync.status.lag IS 'age of the watermark by the clock of the source at the last poll, plus the time since then';
COMMENT ON COLUMN insync.status.last_run IS 'when the stream last ran or was requested to run';
COMMENT ON COLUMN insync.status.last_status IS 'status of the last run that has a row in insync.run';
COMMENT ON COLUMN insync.status.next_run IS 'when the stream runs next; NULL: only when requested';
COMMENT ON COLUMN insync.status.rows IS 'rows read by the last run';
COMMENT ON COLUMN insync.status.failures IS 'failed runs since the last success';
COMMENT ON COLUMN insync.status.rejects IS 'rows in insync.error';
COMMENT ON COLUMN insync.status.message IS 'the last error, or a note about the last success';
COMMENT ON COLUMN insync.status.reread IS
    'rows of the overlap that the last run or poll read again; if they stay many for a long time, see option lookback';
COMMENT ON COLUMN insync.status.filtered IS 'rows of the last run that option filter left out';

CREATE FUNCTION sync_status(pattern text DEFAULT '%') RETURNS SETOF insync.status
    LANGUAGE sql STABLE
    AS $$ SELECT * FROM insync.status AS s WHERE s.stream OPERATOR(pg_catalog.~~) pattern ORDER BY s.stream $$;
COMMENT ON FUNCTION sync_status(text) IS 'one row for each stream of the current role whose name matches the LIKE pattern';
REVOKE ALL ON FUNCTION sync_status(text) FROM PUBLIC;

-- since 0.2
/* Runs that consist of pieces have several processes, or none at the moment. */
CREATE OR REPLACE VIEW insync.progress WITH (security_invoker = true) AS
SELECT s.name AS stream, live.run_id, live.state, live.pid, live.started_at,
       pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) live.started_at AS elapsed,
       live.batches, live.rows_read, live.written AS rows_written, live.bytes,
       NULL::bigint AS slices, NULL::bigint AS slices_done, NULL::interval AS time_left
  FROM insync.live() AS live JOIN insync.stream AS s ON s.id OPERATOR(pg_catalog.=) live.stream_id
 WHERE live.state OPERATOR(pg_catalog.=) ANY (ARRAY['starting', 'running', 'processing'])
UNION ALL
SELECT s.name, r.id, r.mode, j.pid, r.started_at, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) r.started_at,
       r.batches, r.rows_read, r.inserted OPERATOR(pg_catalog.+) r.updated OPERATOR(pg_catalog.+) r.deleted, r.bytes, j.slices, j.done,
       CASE WHEN j.done OPERATOR(pg_catalog.>) 0
            THEN (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) r.started_at)
                 OPERATOR(pg_catalog.*) ((j.slices OPERATOR(pg_catalog.-) j.done)::double precision OPERATOR(pg_catalog./) j.done::double precision)
            END
  FROM insync.run AS r JOIN insync.stream AS s ON s.id OPERATOR(pg_catalog.=) r.stream_id
  JOIN LATERAL (SELECT pg_catalog.count(*) AS slices,
                       pg_catalog.count(*) FILTER (WHERE x.status OPERATOR(pg_catalog.=) 'done') AS done,
                       pg_catalog.min(x.pid) FILTER (WHERE x.status OPERATOR(pg_catalog.=) 'running') AS pid
                  FROM insync.job AS x WHERE x.run_id OPERATOR(pg_catalog.=) r.id) AS j ON true
 WHERE r.status OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'running'])
   AND r.mode OPERATOR(pg_catalog.=) ANY (ARRAY['backfill', 'verify', 'profile']);
COMMENT ON VIEW insync.progress IS 'active runs';
COMMENT ON COLUMN insync.progress.stream IS 'name of the stream';
COMMENT ON COLUMN insync.progress.run_id IS 'number of the run, once it has one';
COMMENT ON COLUMN insync.progress.state IS 'starting, running (reading) or processing (applying); for runs with jobs: backfill, verify or profile';
COMMENT ON COLUMN insync.progress.pid IS 'process that runs it, the first if there are several; NULL: it waits for a worker';
COMMENT ON COLUMN insync.progress.started_at IS 'when it began';
COMMENT ON COLUMN insync.progress.elapsed IS 'how long it has run';
COMMENT ON COLUMN insync.progress.batches IS 'transactions in which rows were applied so far';
COMMENT ON COLUMN insync.progress.rows_read IS 'rows that the source sent so far';
COMMENT ON COLUMN insync.progress.rows_written IS 'rows inserted, updated or deleted so far';
COMMENT ON COLUMN insync.progress.bytes IS 'bytes of rows received so far';
COMMENT ON COLUMN insync.progress.slices IS 'number of its jobs; NULL: it has no jobs';
COMMENT ON COLUMN insync.progress.slices_done IS 'jobs that are done';
COMMENT ON COLUMN insync.progress.time_left IS 'estimated time left, at the average speed until now';

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

ALTER TABLE insync.stream ADD COLUMN target_columns jsonb;
COMMENT ON COLUMN insync.stream.target_columns IS
    'names and numbers of the target''s columns that the stream fills, so that one that was renamed is noticed; NULL: it has not run yet';

/* What schedules and back-off need: kept a row a stream, as the history isn't dumped and can be deleted. */
ALTER TABLE insync.stream ADD COLUMN schedule_since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp();
COMMENT ON COLUMN insync.stream.schedule_since IS
    'when the stream was made or resumed, or its schedule altered: times of a cron expression before that are not made up for';
UPDATE insync.stream SET schedule_since = created_at;
ALTER TABLE insync.watermark ADD COLUMN last_run_at timestamptz, ADD COLUMN last_success_at timestamptz, ADD COLUMN hold_until timestamptz,
    ADD COLUMN refused_login boolean NOT NULL DEFAULT false, ADD COLUMN failed_server text;
COMMENT ON COLUMN insync.watermark.last_run_at IS
    'when the stream last ran, by schedule or not; of polls that find nothing, one is noted every five minutes';
COMMENT ON COLUMN insync.watermark.last_success_at IS 'the same, of runs that read what is new and succeeded';
COMMENT ON COLUMN insync.watermark.hold_until IS 'not before this time does its schedule run a stream that has failed; NULL: at its schedule';
COMMENT ON COLUMN insync.watermark.refused_login IS
    'the source has refused the credentials: until hold_until, no stream with the same server and user mapping logs in by itself';
COMMENT ON COLUMN insync.watermark.failed_server IS
    'version of the server and the user mapping that the last failure met; a stream whose server or mapping has another one is tried at once';
INSERT INTO insync.watermark AS w (stream_id, last_run_at, last_success_at)
SELECT s.id, r.last_run_at, g.last_success_at FROM insync.stream AS s
 CROSS JOIN LATERAL (SELECT CASE WHEN x.polls OPERATOR(pg_catalog.>) 1 THEN x.ended_at ELSE x.started_at END AS last_run_at
                       FROM insync.run AS x WHERE x.stream_id OPERATOR(pg_catalog.=) s.id AND x.started_at IS NOT NULL
                        AND x.mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full']) ORDER BY x.id DESC LIMIT 1) AS r
  LEFT JOIN LATERAL (SELECT CASE WHEN x.polls OPERATOR(pg_catalog.>) 1 THEN x.ended_at ELSE x.started_at END AS last_success_at
                       FROM insync.run AS x WHERE x.stream_id OPERATOR(pg_catalog.=) s.id AND x.status OPERATOR(pg_catalog.=) 'succeeded'
                        AND x.mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full']) ORDER BY x.id DESC LIMIT 1) AS g ON true
    ON CONFLICT (stream_id) DO UPDATE SET last_run_at = excluded.last_run_at, last_success_at = excluded.last_success_at;
/* The stream's own runs, without the work beside them: what its status shows. */
CREATE INDEX run_own ON insync.run (stream_id, id) WHERE mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full', 'keys']);
/* Members of pg_monitor see what becomes of all streams, but no values of rows. Those who read rejected rows and keys that
   differ, as sync_grant() lets them, see those of their own streams only, even if they are members. */
/* Who may execute it is an operator: sync_grant(role, 'operate') gives that. */
CREATE FUNCTION insync.operate() RETURNS void LANGUAGE sql IMMUTABLE AS '';
COMMENT ON FUNCTION insync.operate() IS 'does nothing: who may execute it may operate the streams of others; see sync_grant()';
REVOKE ALL ON FUNCTION insync.operate() FROM PUBLIC;
CREATE POLICY monitor_reads ON insync.stream FOR SELECT
    USING (pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE') OR pg_catalog.has_function_privilege(current_user, 'insync.operate()', 'EXECUTE'));
DROP POLICY owner_mends ON insync.error;
CREATE POLICY owner_mends ON insync.error
    USING (EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream_id AND insync.is_owner(s.owner)
           AND s.owner_id OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner)));
CREATE POLICY monitor_counts ON insync.error FOR SELECT
    USING ((pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE') OR pg_catalog.has_function_privilege(current_user, 'insync.operate()', 'EXECUTE'))
           AND NOT pg_catalog.has_column_privilege('insync.error', 'record', 'SELECT'));

/* What 0.1 left without words. */
COMMENT ON COLUMN insync.home.only_row IS 'keeps the table at one row';
COMMENT ON COLUMN insync.home.system_identifier IS 'the cluster, as pg_control_system() has it';
COMMENT ON COLUMN insync.home.database_oid IS 'the database';
COMMENT ON COLUMN insync.stream.id IS 'number of the stream, which stays when its name changes';
COMMENT ON COLUMN insync.stream.name IS 'name of the stream';
COMMENT ON COLUMN insync.stream.server IS 'foreign server that the stream reads from';
COMMENT ON COLUMN insync.stream.source IS 'table, view or SELECT at the source';
COMMENT ON COLUMN insync.stream.target_schema IS 'schema of the target table';
COMMENT ON COLUMN insync.stream.target_table IS 'table that is written to';
COMMENT ON COLUMN insync.stream.mode IS 'incremental or full';
COMMENT ON COLUMN insync.watermark.failures IS 'failed runs since the last that succeeded or moved the stream on';
COMMENT ON COLUMN insync.stream.schedule IS 'interval or cron expression; NULL: runs only when asked';
COMMENT ON COLUMN insync.stream.watermark_kind IS 'how watermarks are compared: time, integer, text or rowversion';
COMMENT ON COLUMN insync.stream.paused IS 'set by sync_pause(): the stream doesn''t run';
COMMENT ON COLUMN insync.stream.created_at IS 'when the stream was made';
COMMENT ON COLUMN insync.watermark.stream_id IS 'the stream';
COMMENT ON COLUMN insync.watermark.updated_at IS 'when the position last moved';
COMMENT ON COLUMN insync.run.id IS 'number of the run';
COMMENT ON COLUMN insync.run.stream_id IS 'the stream';
COMMENT ON COLUMN insync.run.stream IS 'name of the stream';
COMMENT ON COLUMN insync.run.status IS 'queued, running, succeeded, failed or cancelled';
COMMENT ON COLUMN insync.run.trigger IS 'what began it: its schedule, a retry, a request by sync_trigger(), or a call of sync_run()';
COMMENT ON COLUMN insync.run.queued_at IS 'when it was asked for; NULL: nobody asked';
COMMENT ON COLUMN insync.run.started_at IS 'when it began';
COMMENT ON COLUMN insync.run.ended_at IS 'when it ended; NULL: it hasn''t';
COMMENT ON COLUMN insync.run.batches IS 'transactions in which rows were applied';
COMMENT ON COLUMN insync.run.inserted IS 'rows that were new in the target';
COMMENT ON COLUMN insync.run.updated IS 'rows of the target that changed';
COMMENT ON COLUMN insync.run.deleted IS 'rows that were deleted from the target, or marked as deleted';
COMMENT ON COLUMN insync.run.sqlstate IS 'SQLSTATE of the error that ended it';
COMMENT ON COLUMN insync.run.message IS 'the error that ended it, or what is to be known of a success';
COMMENT ON COLUMN insync.error.id IS 'number of the rejected row';
COMMENT ON COLUMN insync.error.stream_id IS 'the stream';
COMMENT ON COLUMN insync.error.stream IS 'name of the stream';
COMMENT ON COLUMN insync.error.run_id IS 'run that rejected it';
COMMENT ON COLUMN insync.error.operation IS 'what was to be done with the row: upsert or delete';
COMMENT ON COLUMN insync.error.sqlstate IS 'SQLSTATE of the refusal';
COMMENT ON COLUMN insync.error.message IS 'why the row was refused';
COMMENT ON COLUMN insync.error.column_name IS 'column that is to blame, where one is known';
COMMENT ON COLUMN insync.error.constraint_name IS 'constraint that refused it, where one did';
COMMENT ON COLUMN insync.error.watermark IS 'how far the stream had read with this row''s batch';
COMMENT ON COLUMN insync.error.occurred_at IS 'when it was refused';
COMMENT ON COLUMN insync.mended.stream_id IS 'the stream';
COMMENT ON COLUMN insync.mended.fingerprint IS 'identifies the row within its stream';
COMMENT ON COLUMN insync.mended.source_hash IS 'the source''s version of the record that was mended here';
COMMENT ON COLUMN insync.mended.mended_at IS 'when it was replayed';
COMMENT ON COLUMN insync.status.stream IS 'name of the stream';
COMMENT ON COLUMN insync.status.server IS 'foreign server that the stream reads from';
COMMENT ON COLUMN insync.status.source IS 'table, view or SELECT at the source';
COMMENT ON COLUMN insync.status.target IS 'table that is written to';
COMMENT ON COLUMN insync.status.mode IS 'incremental or full';
COMMENT ON COLUMN insync.status.schedule IS 'interval or cron expression; NULL: runs only when asked';
COMMENT ON COLUMN insync.status.watermark IS 'how far the stream has read, as the source wrote it';
COMMENT ON COLUMN insync.status.last_run IS 'when the stream last ran or was asked to';
COMMENT ON COLUMN insync.status.last_status IS 'how the last run that left a row in insync.run ended';
COMMENT ON COLUMN insync.status.next_run IS 'when the stream runs next; NULL: not by itself';
COMMENT ON COLUMN insync.status.failures IS 'failed runs since the last success';
COMMENT ON COLUMN insync.status.rejects IS 'rows in insync.error';
COMMENT ON COLUMN insync.status.message IS 'the last error, or what is to be known of the last success';
COMMENT ON COLUMN insync.progress.stream IS 'name of the stream';
COMMENT ON COLUMN insync.progress.run_id IS 'number of the run, once it has one';
COMMENT ON COLUMN insync.progress.state IS 'starting, running (reading) or processing (applying)';
COMMENT ON COLUMN insync.progress.pid IS 'process that runs it';
COMMENT ON COLUMN insync.progress.started_at IS 'when it began';
COMMENT ON COLUMN insync.progress.elapsed IS 'how long it has run';
COMMENT ON COLUMN insync.progress.batches IS 'transactions in which rows were applied so far';
COMMENT ON COLUMN insync.progress.rows_read IS 'rows that the source sent so far';
COMMENT ON COLUMN insync.progress.rows_written IS 'rows inserted, updated or deleted so far';
COMMENT ON COLUMN insync.progress.bytes IS 'bytes of rows received so far';

COMMENT ON TABLE insync.home IS
    'the database whose workers may run these streams; one that was restored, copied or upgraded finds another one''s name here, and stays stopped until sync_resume()';

/* pg_restore -j loads the tables of an extension in any order, and each in a transaction of its own. */
ALTER TABLE insync.watermark DROP CONSTRAINT watermark_stream_id_fkey;
ALTER TABLE insync.error DROP CONSTRAINT error_stream_id_fkey;
ALTER TABLE insync.mended DROP CONSTRAINT mended_stream_id_fkey;

CREATE FUNCTION insync.unreachable(OUT server name, OUT failing_since timestamptz, OUT attempts integer, OUT last_attempt timestamptz,
                                   OUT next_attempt timestamptz, OUT message text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'insync_unreachable';
COMMENT ON FUNCTION insync.unreachable() IS
    'servers that gave no answer when a connection was last tried, of those that the caller may use: since when, how many attempts failed, the last and the next attempt, and what the last one said. All streams of a server wait for one attempt at a time';
REVOKE ALL ON FUNCTION insync.unreachable() FROM PUBLIC;
/* The view below calls it: whoever could read the view goes on to. */
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT r.rolname FROM pg_catalog.pg_proc AS p, LATERAL pg_catalog.aclexplode(p.proacl) AS a
          JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
         WHERE p.oid OPERATOR(pg_catalog.=) 'insync.live()'::pg_catalog.regprocedure AND a.grantee OPERATOR(pg_catalog.<>) p.proowner
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION insync.unreachable() TO %I', granted.rolname);
    END LOOP;
END $$;

/* What is read again shows. */
ALTER TABLE insync.run ADD COLUMN reread bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN insync.run.reread IS
    'rows of the overlap: read again, as they stand at or before the watermark that the run began from; of a stretch of quiet polls, those of the last one';
ALTER TABLE insync.run ADD COLUMN filtered bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN insync.run.filtered IS 'rows that the source sent and the stream''s filter left out';
COMMENT ON COLUMN insync.run.unchanged IS 'rows that were right already';

/* Why nothing runs is said where everybody looks: a copy waits for sync_resume(), a standby for its promotion. Not dropped
   and made again, as what was granted on it would be lost. */
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
COMMENT ON COLUMN insync.status.filtered IS 'rows of the last run that its filter left out';

COMMENT ON COLUMN insync.status.reread IS
    'rows of the overlap that the last run or poll read again; many for a long time: see option lookback';

/* The other kind of server. */
CREATE FUNCTION insync_rest_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'insync_rest_validator';
COMMENT ON FUNCTION insync_rest_validator(text[], oid) IS 'checks the options of servers and user mappings of insync_rest';
REVOKE ALL ON FUNCTION insync_rest_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER insync_rest VALIDATOR insync_rest_validator;
COMMENT ON FOREIGN DATA WRAPPER insync_rest IS 'sources with a JSON API, reached through HTTP; see sync_options()';

CREATE FUNCTION sync_create_all(server text, pattern text DEFAULT '%', schema text DEFAULT NULL, options jsonb DEFAULT '{}',
                                schedule text DEFAULT NULL, OUT source text, OUT stream text, OUT target_table text,
                                OUT key_columns text, OUT mode text, OUT created boolean, OUT message text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_create_all';
COMMENT ON FUNCTION sync_create_all(text, text, text, jsonb, text) IS
    'makes a stream for each source of a server whose name matches the LIKE pattern and that has none yet, with its target in the schema; a row each, with the reason where none was made. Sources that may not be looked at are warned of. Streams are called as their sources';
REVOKE ALL ON FUNCTION sync_create_all(text, text, text, jsonb, text) FROM PUBLIC;

CREATE FUNCTION sync_presets(OUT preset text, OUT option text, OUT value text)
    RETURNS SETOF record LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_presets';
COMMENT ON FUNCTION sync_presets() IS 'what each value of option preset fills in; every option of them can be set to something else';
REVOKE ALL ON FUNCTION sync_presets() FROM PUBLIC;

CREATE FUNCTION sync_ingest(stream text, records jsonb, OUT received bigint, OUT inserted bigint, OUT updated bigint,
                            OUT unchanged bigint, OUT deleted bigint, OUT rejected bigint)
    RETURNS record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_ingest';
COMMENT ON FUNCTION sync_ingest(text, jsonb) IS
    'applies rows that are pushed (an array of objects, or one object) to the target of a stream, as its runs do; each is a whole row, by the names of the source''s columns. How far the stream has read stays as it is';
REVOKE ALL ON FUNCTION sync_ingest(text, jsonb) FROM PUBLIC;

ALTER FUNCTION sync_discover(text, text) CALLED ON NULL INPUT;
/* What only looks at what is here says so: PostgREST serves it to GET. */
ALTER FUNCTION sync_options() STABLE;

CREATE FUNCTION sync_test(server text, source text, OUT step text, OUT ok boolean, OUT ms numeric, OUT message text)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_test';
COMMENT ON FUNCTION sync_test(text, text) IS
    'the same as sync_test(server), and reads the first rows of one source: of an API, only that tells whether the credentials are accepted';
REVOKE ALL ON FUNCTION sync_test(text, text) FROM PUBLIC;
COMMENT ON FUNCTION sync_discover(text, text) IS
    'sources of a server whose name matches the LIKE pattern, NULL for all, with columns and key';

ALTER TABLE insync.run DROP CONSTRAINT run_mode_check;
ALTER TABLE insync.run ADD CONSTRAINT run_mode_check
    CHECK (mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full', 'keys', 'backfill', 'verify', 'profile', 'replay', 'ingest']));
COMMENT ON COLUMN insync.run.mode IS 'incremental, full, keys (only those, to find what vanished), backfill, verify, profile (counting the target''s rows), replay of rejected rows, or ingest of pushed ones';
COMMENT ON FUNCTION sync_wait(bigint, interval) IS
    'waits until a run has ended; returns its status; SQLSTATE 55006 if it still runs at the time-out, after which it goes on';
COMMENT ON FUNCTION sync_trigger(text, text) IS
    'asks the workers to run the caller''s streams whose name matches the LIKE pattern, at commit; mode incremental, full or keys overrides the stream''s own';

COMMENT ON COLUMN insync.watermark.position IS
    'where the next read goes on, in the source''s own literals; its member deletes is that of the option delete_feed; NULL: from the beginning';
ALTER TABLE insync.watermark ADD COLUMN reconciled_at timestamptz;
COMMENT ON COLUMN insync.watermark.reconciled_at IS
    'when an incremental stream with option reconcile was last read in full and compared; NULL: not since it was made';

ALTER TABLE insync.watermark ADD COLUMN verify_planned_at timestamptz, ADD COLUMN repair_planned_at timestamptz;
COMMENT ON COLUMN insync.watermark.verify_planned_at IS 'when option verify_schedule last had slices verified, or was set; NULL: never';
COMMENT ON COLUMN insync.watermark.repair_planned_at IS 'when option auto_repair last had gaps looked for; NULL: never';

CREATE TABLE insync.ledger (
    stream_id integer PRIMARY KEY,
    column_name name NOT NULL,
    unit text NOT NULL CHECK (unit OPERATOR(pg_catalog.=) ANY (ARRAY['hour', 'day', 'week', 'month'])),
    time_zone text NOT NULL,
    rule text NOT NULL,
    complete boolean NOT NULL DEFAULT false,
    steady boolean,
    reason text,
    lag integer NOT NULL DEFAULT 0,
    first_read timestamp,
    moved bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN insync.ledger.stream_id IS 'the stream';
COMMENT ON COLUMN insync.ledger.column_name IS 'date or time of the target';
COMMENT ON TABLE insync.ledger IS 'by which column of its target the rows of a stream are counted into slices, and how';
COMMENT ON COLUMN insync.ledger.unit IS 'size of a slice: hour, day, week (from Monday) or month';
COMMENT ON COLUMN insync.ledger.time_zone IS 'where times with a zone have their day';
COMMENT ON COLUMN insync.ledger.rule IS
    'SQL over a row t of the target: its slice, and whether it counts. Where another one would be right (the column''s type or the way to delete was changed, say), rows are to be counted anew';
COMMENT ON COLUMN insync.ledger.complete IS 'the rows that the target held before are counted, too; see sync_profile()';
COMMENT ON COLUMN insync.ledger.steady IS
    'the first rows have shown that its slices are filled steadily, so that an empty one is a gap; false: they aren''t, and nothing is said of gaps; NULL: not known yet. Without meaning where option slice_column names the column';
COMMENT ON COLUMN insync.ledger.reason IS 'why it isn''t steady';
COMMENT ON COLUMN insync.ledger.lag IS 'slices before the last one for which the source had no rows yet when that was found out';
COMMENT ON COLUMN insync.ledger.first_read IS 'when that was found out, as a clock in time_zone showed it: long stretches without rows that were there already are no gaps';
COMMENT ON COLUMN insync.ledger.moved IS 'rows that updates have moved from one slice to another; not counted where the column isn''t steady, or is named by option slice_column';

CREATE TABLE insync.slice (
    stream_id integer NOT NULL,
    bucket timestamp NOT NULL,
    rows bigint NOT NULL,
    first_watermark text,
    last_watermark text,
    touched_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    verified_at timestamptz,
    source_rows bigint,
    differences bigint,
    repair_attempts integer NOT NULL DEFAULT 0,
    repair_at timestamptz,
    PRIMARY KEY (stream_id, bucket)
) WITH (fillfactor = 70);
COMMENT ON TABLE insync.slice IS
    'how many rows of a stream its target holds in each time bucket; written in the transaction of the rows';
COMMENT ON COLUMN insync.slice.stream_id IS 'the stream';
COMMENT ON COLUMN insync.slice.bucket IS
    'beginning of the bucket, as a clock in the ledger''s zone shows it; -infinity: rows without a time';
COMMENT ON COLUMN insync.slice.rows IS 'rows that the target holds, without those that are marked as deleted';
COMMENT ON COLUMN insync.slice.first_watermark IS 'how far the stream had read when the slice was first touched, in the source''s own words';
COMMENT ON COLUMN insync.slice.last_watermark IS 'the same, when it was last touched';
COMMENT ON COLUMN insync.slice.touched_at IS 'when a row of it was last inserted, updated or deleted by a run, or counted by sync_profile()';
COMMENT ON COLUMN insync.slice.verified_at IS 'when the source was last asked about it, by a verification or a backfill; NULL: never';
COMMENT ON COLUMN insync.slice.source_rows IS 'rows that the source had in it then, less those that have left it since';
COMMENT ON COLUMN insync.slice.differences IS 'rows that were missing, too many or not equal then, less those that have left it since';
COMMENT ON COLUMN insync.slice.repair_attempts IS 'how often auto_repair has tried to fill it since it last was whole';
COMMENT ON COLUMN insync.slice.repair_at IS 'not before this time does auto_repair try again';

CREATE FUNCTION insync.note(batch_row bigint, was boolean, before anyelement, is_there boolean, after anyelement) RETURNS boolean
    LANGUAGE c COST 100000 AS 'MODULE_PATHNAME', 'insync_note';
COMMENT ON FUNCTION insync.note(bigint, boolean, anyelement, boolean, anyelement) IS
    'for apply statements, which tell by it what they do to a slice; always true, and elsewhere without effect';

CREATE FUNCTION insync.row_hash(format text, VARIADIC columns "any") RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'insync_row_hash';
COMMENT ON FUNCTION insync.row_hash(text, "any") IS
    'hash of a row, as its source reckons it: the format names the hash and how each column is written, as in crc32:i,n2,t,s';

REVOKE ALL ON FUNCTION insync.note(bigint, boolean, anyelement, boolean, anyelement), insync.row_hash(text, "any") FROM PUBLIC;

CREATE TABLE insync.job (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL,
    stream_id integer NOT NULL,
    kind text NOT NULL CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['profile', 'backfill', 'verify'])),
    window_from timestamp,
    window_to timestamp,
    options jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending'
        CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'running', 'done', 'failed', 'cancelled'])),
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    pid integer,
    rows bigint,
    message text,
    started_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX job_run ON insync.job (run_id);
CREATE INDEX job_open ON insync.job (stream_id, id) WHERE status OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'running']);
COMMENT ON TABLE insync.job IS
    'work beside the scheduled runs, in pieces that workers take one by one when nothing is due: slices of a backfill, verifications, profiles';
COMMENT ON COLUMN insync.job.id IS 'number of the piece';
COMMENT ON COLUMN insync.job.run_id IS 'the run that it is a piece of, in insync.run';
COMMENT ON COLUMN insync.job.stream_id IS 'the stream';
COMMENT ON COLUMN insync.job.kind IS 'profile, backfill or verify';
COMMENT ON COLUMN insync.job.window_from IS 'first time of its window, in the ledger''s zone; NULL: no bound';
COMMENT ON COLUMN insync.job.window_to IS 'end of its window, exclusive; NULL: no bound';
COMMENT ON COLUMN insync.job.options IS 'what else was asked for';
COMMENT ON COLUMN insync.job.status IS 'pending, running, done, failed or cancelled; one that runs and whose process is gone is taken again';
COMMENT ON COLUMN insync.job.attempts IS 'how often it was begun';
COMMENT ON COLUMN insync.job.not_before IS 'when it may be tried again after a failure';
COMMENT ON COLUMN insync.job.pid IS 'process that last took it';
COMMENT ON COLUMN insync.job.rows IS 'rows that the source had in the window';
COMMENT ON COLUMN insync.job.message IS 'why it failed last';
COMMENT ON COLUMN insync.job.started_at IS 'when it was last begun';
COMMENT ON COLUMN insync.job.ended_at IS 'when it ended';

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

CREATE TABLE insync.origin (
    stream_id integer NOT NULL,
    key_hash bigint NOT NULL,
    source_key text NOT NULL,
    PRIMARY KEY (stream_id, key_hash)
);
COMMENT ON TABLE insync.origin IS
    'which row of the source each target row came from, for streams whose key could be the same in the target for different rows of the source';
COMMENT ON COLUMN insync.origin.stream_id IS 'the stream';
COMMENT ON COLUMN insync.origin.key_hash IS 'hash of the target''s key';
COMMENT ON COLUMN insync.origin.source_key IS 'the source''s key, as a JSON array';
ALTER TABLE insync.origin ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_reads ON insync.origin FOR SELECT
    USING (EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream_id AND insync.is_owner(s.owner)
           AND s.owner_id OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner)));
SELECT pg_catalog.pg_extension_config_dump('insync.origin', '');

ALTER TABLE insync.ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.slice ENABLE ROW LEVEL SECURITY;
ALTER TABLE insync.job ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_reads ON insync.job FOR SELECT USING (insync.is_stream_owner(stream_id));
ALTER TABLE insync.difference ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_reads ON insync.difference FOR SELECT
    USING (EXISTS (SELECT FROM insync.stream AS s WHERE s.id OPERATOR(pg_catalog.=) stream_id AND insync.is_owner(s.owner)
           AND s.owner_id OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner)));
CREATE POLICY owner_reads ON insync.ledger FOR SELECT USING (insync.is_stream_owner(stream_id));
CREATE POLICY owner_reads ON insync.slice FOR SELECT USING (insync.is_stream_owner(stream_id));
SELECT pg_catalog.pg_extension_config_dump('insync.ledger', '');
SELECT pg_catalog.pg_extension_config_dump('insync.slice', '');

CREATE FUNCTION sync_profile(pattern text, OUT stream text, OUT run_id bigint)
    RETURNS SETOF record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_profile';
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
COMMENT ON COLUMN insync.progress.state IS 'starting, running (reading) or processing (applying); of work in pieces backfill, verify or profile';
COMMENT ON COLUMN insync.progress.pid IS 'process that runs it, of several the first; NULL: it waits for a worker';
COMMENT ON COLUMN insync.progress.slices IS 'pieces that it consists of; NULL: it isn''t in pieces';
COMMENT ON COLUMN insync.progress.slices_done IS 'pieces that are done';
COMMENT ON COLUMN insync.progress.time_left IS 'how long it will take as fast as it was until now';

CREATE FUNCTION sync_verify(stream text, "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, depth text DEFAULT 'rows',
                            repair boolean DEFAULT false, OUT slice timestamp, OUT state text, OUT rows bigint, OUT source_rows bigint,
                            OUT missing bigint, OUT extra bigint, OUT changed bigint, OUT keys jsonb)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_verify';
COMMENT ON FUNCTION sync_verify(text, timestamp, timestamp, text, boolean) IS
    'asks the source what it has between two times ("to" isn''t included; without them: all) and returns the slices in which the target has something else, with the first 100 keys; depth counts compares numbers of rows (and sums of whole numbers where the source can''t hash rows), keys which rows there are, rows all values. Rows that the source has changed within option min_age, or since the stream''s last run, don''t count. With repair they are made right: read again, and deleted where the stream deletes';
REVOKE ALL ON FUNCTION sync_verify(text, timestamp, timestamp, text, boolean) FROM PUBLIC;

COMMENT ON FUNCTION sync_profile(text) IS
    'has the rows of targets counted anew into slices, in the background: for what was in a table before its stream, or was changed by others. Runs go on meanwhile';

CREATE FUNCTION sync_backfill(stream text, "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, step interval DEFAULT NULL,
                              OUT run_id bigint, OUT slices integer)
    RETURNS record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_backfill';
COMMENT ON FUNCTION sync_backfill(text, timestamp, timestamp, interval) IS
    'reads what a source has between two times again ("to" isn''t included; without them from the first slice to now), in pieces of step (a slice, by default), newest first and by several workers, while scheduled runs go on and come first. How far the stream has read stays as it is';
REVOKE ALL ON FUNCTION sync_profile(text), sync_backfill(text, timestamp, timestamp, interval) FROM PUBLIC;

/* What is missing. The views ask functions that stand in their own schema, as the other's name isn't known here. */
CREATE FUNCTION insync.find_gaps(pattern text, since timestamp, until timestamp, as_of timestamptz, OUT stream text, OUT kind text, OUT "from" timestamp,
                                 OUT "to" timestamp, OUT buckets bigint, OUT rows bigint, OUT expected bigint, OUT completeness numeric,
                                 OUT days_behind integer, OUT severity text, OUT recommendation text, OUT fix text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_gaps';
COMMENT ON FUNCTION insync.find_gaps(text, timestamp, timestamp, timestamptz) IS 'what the view insync.gaps shows; see sync_gaps()';
REVOKE ALL ON FUNCTION insync.find_gaps(text, timestamp, timestamp, timestamptz) FROM PUBLIC;

CREATE VIEW insync.gaps WITH (security_invoker = true) AS
SELECT g.stream, g.kind, g."from", g."to", g.buckets, g.rows, g.expected, g.completeness, g.days_behind, g.severity, g.recommendation, g.fix
  FROM insync.find_gaps('%', NULL, NULL, NULL) AS g;
COMMENT ON VIEW insync.gaps IS 'what is missing in the targets of the current role''s streams; the view of sync_gaps()';
COMMENT ON COLUMN insync.gaps.stream IS 'name of the stream';
COMMENT ON COLUMN insync.gaps.kind IS
    'missing (no rows), short (fewer than usual, or than the source has), differs (from the source), late (the source wasn''t read since they were due, or was never loaded), stopped (it was read, and has had no rows since), or unknown (an option of the stream fails)';
COMMENT ON COLUMN insync.gaps."from" IS 'beginning of the first slice, as a clock in the ledger''s zone shows it; NULL: the stream never held a row, or has no slices that could be late';
COMMENT ON COLUMN insync.gaps."to" IS 'end of the last slice, which is no longer part of it';
COMMENT ON COLUMN insync.gaps.buckets IS 'slices in which rows are expected';
COMMENT ON COLUMN insync.gaps.rows IS 'rows that the target holds there';
COMMENT ON COLUMN insync.gaps.expected IS
    'rows that should be there: what the source had when it was asked, else what is usual; NULL: too little is known';
COMMENT ON COLUMN insync.gaps.completeness IS
    'percent of the stream''s expected slices, in the time that was asked for, that are whole; rounded down';
COMMENT ON COLUMN insync.gaps.days_behind IS 'of a late stream: days for which rows should have come, without those that are usually empty';
COMMENT ON COLUMN insync.gaps.severity IS 'info, warning or critical, by the options gap_warning and gap_critical';
COMMENT ON COLUMN insync.gaps.recommendation IS 'what to do, as a sentence';
COMMENT ON COLUMN insync.gaps.fix IS 'the statement that does it; NULL where none would help, or somebody has to decide first, as the stream is paused';

CREATE FUNCTION sync_gaps(pattern text DEFAULT '%', "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, as_of timestamptz DEFAULT NULL)
    RETURNS SETOF insync.gaps
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_gaps';
COMMENT ON FUNCTION sync_gaps(text, timestamp, timestamp, timestamptz) IS
    'what is missing, short, late or different in the targets of the caller''s streams whose name matches the LIKE pattern, one row for slices that follow each other; column fix repairs it: SELECT fix FROM sync_gaps() \gexec. With as_of, what is counted and recorded now is judged as if it were that time: runs and rows after it are ignored';
REVOKE ALL ON FUNCTION sync_gaps(text, timestamp, timestamp, timestamptz) FROM PUBLIC;

CREATE FUNCTION insync.find_coverage(pattern text, as_of timestamptz, OUT stream text, OUT target text, OUT rows bigint, OUT first_slice timestamp,
                                     OUT last_slice timestamp, OUT days_behind integer, OUT completeness numeric, OUT gaps bigint,
                                     OUT missing bigint, OUT short bigint, OUT differing bigint, OUT last_verified timestamptz,
                                     OUT severity text, OUT message text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_coverage';
COMMENT ON FUNCTION insync.find_coverage(text, timestamptz) IS 'what the view insync.coverage shows; see sync_coverage()';
REVOKE ALL ON FUNCTION insync.find_coverage(text, timestamptz) FROM PUBLIC;

CREATE VIEW insync.coverage WITH (security_invoker = true) AS
SELECT c.stream, c.target, c.rows, c.first_slice, c.last_slice, c.days_behind, c.completeness, c.gaps, c.missing, c.short, c.differing,
       c.last_verified, c.severity, c.message
  FROM insync.find_coverage('%', NULL) AS c;
COMMENT ON VIEW insync.coverage IS 'one row a stream of the current role: how complete its target is; the view of sync_coverage()';
COMMENT ON COLUMN insync.coverage.stream IS 'name of the stream';
COMMENT ON COLUMN insync.coverage.target IS 'table that is written to';
COMMENT ON COLUMN insync.coverage.rows IS 'rows of the stream that the target holds; NULL: none are counted';
COMMENT ON COLUMN insync.coverage.first_slice IS 'beginning of the first slice with rows, as a clock in the ledger''s zone shows it';
COMMENT ON COLUMN insync.coverage.last_slice IS 'beginning of the last slice with rows that isn''t in the future';
COMMENT ON COLUMN insync.coverage.days_behind IS
    'days for which rows should have come by the stream''s schedule, after the last slice that has all; NULL: not known';
COMMENT ON COLUMN insync.coverage.completeness IS
    'percent of the expected slices that are whole, rounded down; NULL: none is expected, or they aren''t judged';
COMMENT ON COLUMN insync.coverage.gaps IS 'rows that sync_gaps() has for the stream';
COMMENT ON COLUMN insync.coverage.missing IS 'slices without rows, without those that are late';
COMMENT ON COLUMN insync.coverage.short IS 'slices with fewer rows than usual, or than the source has';
COMMENT ON COLUMN insync.coverage.differing IS 'slices that differ from the source';
COMMENT ON COLUMN insync.coverage.last_verified IS 'when the source was last asked about one of the slices; NULL: never';
COMMENT ON COLUMN insync.coverage.severity IS 'ok, info, warning or critical: that of the gravest gap';
COMMENT ON COLUMN insync.coverage.message IS
    'what is to be known, such as why no gaps are looked for and how to choose the column that slices are counted by; NULL: all is well';

CREATE FUNCTION sync_coverage(pattern text DEFAULT '%', as_of timestamptz DEFAULT NULL) RETURNS SETOF insync.coverage
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_coverage';
COMMENT ON FUNCTION sync_coverage(text, timestamptz) IS
    'one row a stream of the caller whose name matches the LIKE pattern: how complete its target is, and how far behind; with as_of, as if it were that time';
REVOKE ALL ON FUNCTION sync_coverage(text, timestamptz) FROM PUBLIC;

CREATE FUNCTION sync_health(as_of timestamptz DEFAULT NULL, OUT "check" text, OUT status text, OUT message text, OUT hint text)
    RETURNS SETOF record LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_health';
COMMENT ON FUNCTION sync_health(timestamptz) IS
    'one row a check (workers, database, runs, paused, rejects, gaps, late) of the caller''s streams: status ok, warning or critical, what is wrong, and what to do; with as_of, gaps and late are told as if it were that time';
REVOKE ALL ON FUNCTION sync_health(timestamptz) FROM PUBLIC;

/* A row of history may stand for polls of several days; those that found nothing aren't in it yet, and are the last. What is
   noted of them survives a restart. */
CREATE VIEW insync.daily WITH (security_invoker = true) AS
WITH ran AS (
    SELECT days.day::date AS day, r.stream_id, r.stream, r.id, r.status, r.mode, r.trigger OPERATOR(pg_catalog.=) 'retry' AS retried,
           CASE WHEN days.number OPERATOR(pg_catalog.=) 1
                THEN r.inserted OPERATOR(pg_catalog.+) r.updated OPERATOR(pg_catalog.+) r.deleted ELSE 0 END AS rows,
           CASE WHEN days.number OPERATOR(pg_catalog.=) 1 THEN r.rejected ELSE 0 END AS rejected
      FROM insync.run AS r
     CROSS JOIN LATERAL pg_catalog.generate_series(
               pg_catalog.date_trunc('day', coalesce(r.started_at, r.queued_at)),
               CASE WHEN r.polls OPERATOR(pg_catalog.>) 1 THEN r.ended_at ELSE coalesce(r.started_at, r.queued_at) END,
               '1 day') WITH ORDINALITY AS days (day, number)
    UNION ALL
    SELECT days.day::date, s.id, s.name, NULL, 'succeeded', 'incremental', false, 0, 0
      FROM insync.live() AS l JOIN insync.stream AS s ON s.id OPERATOR(pg_catalog.=) l.stream_id
     CROSS JOIN LATERAL pg_catalog.generate_series(pg_catalog.date_trunc('day', l.quiet_since), l.last_poll, '1 day') AS days (day)
     WHERE l.polls OPERATOR(pg_catalog.>) 0
    UNION ALL
    SELECT w.last_success_at::date, s.id, s.name, NULL, 'succeeded', 'incremental', false, 0, 0
      FROM insync.watermark AS w JOIN insync.stream AS s ON s.id OPERATOR(pg_catalog.=) w.stream_id
     WHERE w.last_success_at OPERATOR(pg_catalog.=) w.last_run_at
), last_of_day AS (
    SELECT DISTINCT ON (r.day, r.stream_id) r.day, r.stream_id, r.stream, r.id, r.status
      FROM ran AS r WHERE r.mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full', 'keys'])
     ORDER BY r.day, r.stream_id, r.id DESC NULLS FIRST
), streams AS (
    SELECT l.day, pg_catalog.count(*) AS streams,
           pg_catalog.count(*) FILTER (WHERE l.status OPERATOR(pg_catalog.=) 'succeeded') AS succeeded,
           pg_catalog.count(*) FILTER (WHERE l.status OPERATOR(pg_catalog.=) 'failed') AS failed,
           pg_catalog.string_agg(l.stream, ', ' ORDER BY l.stream) FILTER (
               WHERE l.status OPERATOR(pg_catalog.=) 'failed' AND NOT EXISTS (
                   SELECT FROM insync.run AS later WHERE later.stream_id OPERATOR(pg_catalog.=) l.stream_id
                      AND later.id OPERATOR(pg_catalog.>) l.id AND later.status OPERATOR(pg_catalog.=) 'succeeded'
                      AND later.mode OPERATOR(pg_catalog.=) ANY (ARRAY['incremental', 'full', 'keys']))) AS open
      FROM last_of_day AS l GROUP BY l.day
), work AS (
    SELECT r.day, pg_catalog.count(DISTINCT r.stream_id) FILTER (WHERE r.retried) AS retried,
           pg_catalog.sum(r.rows)::bigint AS rows, pg_catalog.sum(r.rejected)::bigint AS rejected
      FROM ran AS r GROUP BY r.day
), days AS (
    SELECT w.day FROM work AS w UNION SELECT current_date
)
SELECT d.day, coalesce(s.streams, 0) AS streams, coalesce(s.succeeded, 0) AS succeeded, coalesce(s.failed, 0) AS failed,
       coalesce(w.retried, 0) AS retried, coalesce(w.rows, 0) AS rows, coalesce(w.rejected, 0) AS rejected, s.open,
       CASE WHEN d.day OPERATOR(pg_catalog.=) current_date THEN (
           SELECT pg_catalog.string_agg(i.stream, ', ' ORDER BY i.stream) FROM insync.status AS i
            WHERE i.next_run OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) '15 minutes'::interval)
              AND NOT i.state OPERATOR(pg_catalog.=) ANY (ARRAY['starting', 'running', 'processing'])) END AS overdue,
       CASE WHEN d.day OPERATOR(pg_catalog.=) current_date THEN (
           SELECT coalesce(pg_catalog.sum(c.gaps), 0) FROM insync.coverage AS c
            WHERE c.severity OPERATOR(pg_catalog.=) ANY (ARRAY['warning', 'critical'])) END AS gaps
  FROM days AS d LEFT JOIN streams AS s ON s.day OPERATOR(pg_catalog.=) d.day
  LEFT JOIN work AS w ON w.day OPERATOR(pg_catalog.=) d.day
 ORDER BY d.day DESC;
COMMENT ON VIEW insync.daily IS
    'one row a day of the history, the latest first, and today''s in any case: how the runs of the current role''s streams ended, and what is still open; days are those of the setting TimeZone';
COMMENT ON COLUMN insync.daily.day IS 'the day on which the runs began';
COMMENT ON COLUMN insync.daily.streams IS 'streams that ran';
COMMENT ON COLUMN insync.daily.succeeded IS 'streams whose last run of the day succeeded';
COMMENT ON COLUMN insync.daily.failed IS 'streams whose last run of the day failed';
COMMENT ON COLUMN insync.daily.retried IS 'streams of which a failed run was tried again';
COMMENT ON COLUMN insync.daily.rows IS 'rows inserted, updated or deleted';
COMMENT ON COLUMN insync.daily.rejected IS 'rows that went to insync.error';
COMMENT ON COLUMN insync.daily.open IS 'names of the streams that failed and have not succeeded since, to this moment; NULL: none';
COMMENT ON COLUMN insync.daily.overdue IS 'of today: names of the streams whose run has been due for a quarter of an hour and hasn''t begun';
COMMENT ON COLUMN insync.daily.gaps IS 'of today: gaps of the streams for which sync_coverage() has a warning, or worse';

/* Streams have names of servers and tables, as a dump has to restore them; what the names mean now is known by OID. */
CREATE TABLE insync.dependency (
    stream_id integer PRIMARY KEY,
    system_identifier text NOT NULL,
    server_oid oid,
    target_oid oid,
    created_target boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE insync.dependency IS
    'the server and the target of each stream by OID, so that renames are followed and drops are noticed. Not dumped: in a restored database the OIDs are looked up by name again';
COMMENT ON COLUMN insync.dependency.stream_id IS 'the stream';
COMMENT ON COLUMN insync.dependency.system_identifier IS 'the cluster in which the OIDs are valid, as pg_control_system() has it';
COMMENT ON COLUMN insync.dependency.server_oid IS 'the foreign server; NULL: not looked up yet';
COMMENT ON COLUMN insync.dependency.target_oid IS 'the target table; NULL: not looked up yet; 0: it was dropped';
COMMENT ON COLUMN insync.dependency.created_target IS
    'the stream created its target in this database and has been the only one to fill it, so that sync_drop(..., true) may drop it';
ALTER TABLE insync.dependency ENABLE ROW LEVEL SECURITY;
INSERT INTO insync.dependency (stream_id, system_identifier, server_oid, target_oid)
SELECT s.id, c.system_identifier::text, f.oid, t.oid
  FROM insync.stream AS s CROSS JOIN pg_catalog.pg_control_system() AS c
  LEFT JOIN pg_catalog.pg_foreign_server AS f ON f.srvname OPERATOR(pg_catalog.=) s.server
  LEFT JOIN (pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.relnamespace)
    ON n.nspname OPERATOR(pg_catalog.=) s.target_schema AND t.relname OPERATOR(pg_catalog.=) s.target_table;

CREATE FUNCTION insync.follow_ddl() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'insync_follow_ddl';
COMMENT ON FUNCTION insync.follow_ddl() IS
    'has streams follow renames of their servers, targets and schemas, and refuses to drop a server that streams read from';
REVOKE ALL ON FUNCTION insync.follow_ddl() FROM PUBLIC;
CREATE EVENT TRIGGER insync_follow_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER SCHEMA', 'ALTER SERVER') EXECUTE FUNCTION insync.follow_ddl();
COMMENT ON EVENT TRIGGER insync_follow_ddl IS 'has streams follow renames of servers, tables and schemas';
CREATE EVENT TRIGGER insync_follow_drops ON sql_drop EXECUTE FUNCTION insync.follow_ddl();
COMMENT ON EVENT TRIGGER insync_follow_drops IS 'notices that servers and targets of streams are dropped';
ALTER EVENT TRIGGER insync_follow_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER insync_follow_drops ENABLE ALWAYS;

COMMENT ON FUNCTION sync_drop(text, boolean) IS
    'forgets a stream with its watermark, history and rejected rows; the target table stays unless drop_target, which only drops a table that the stream created and filled alone';

CREATE FUNCTION sync_alter(name text, options jsonb, reread boolean) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_alter';
COMMENT ON FUNCTION sync_alter(text, jsonb, boolean) IS
    'the same as sync_alter(name, options); with reread the next run reads all rows again, so that what was changed is true of the older ones as well';
REVOKE ALL ON FUNCTION sync_alter(text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION sync_alter(text, jsonb) IS
    'sets options of a stream (a null value resets one), also schedule, name, owner, server, source, target, key and watermark; takes effect with the next run. How far the stream has read is kept where it still means the same; a notice says where it is not, and what becomes of rows that were read before';

/* Who may do what. Whoever could read insync.progress goes on to: it looks at jobs now. */
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT r.rolname FROM pg_catalog.pg_class AS c, LATERAL pg_catalog.aclexplode(c.relacl) AS a
          JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
         WHERE c.oid OPERATOR(pg_catalog.=) 'insync.progress'::pg_catalog.regclass AND a.privilege_type OPERATOR(pg_catalog.=) 'SELECT'
           AND a.grantee OPERATOR(pg_catalog.<>) c.relowner
    LOOP
        EXECUTE pg_catalog.format('GRANT SELECT ON insync.job TO %I', granted.rolname);
    END LOOP;
END $$;

CREATE FUNCTION sync_grant(role text, may text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_grant';
COMMENT ON FUNCTION sync_grant(text, text) IS
    'with may ''use'' the same as sync_grant(role); with ''operate'' lets the role see all streams and trigger, cancel, pause and resume them, whoever owns them, and nothing else. To be called by the extension''s owner';
REVOKE ALL ON FUNCTION sync_grant(text, text) FROM PUBLIC;

CREATE FUNCTION sync_revoke(role text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_revoke';
COMMENT ON FUNCTION sync_revoke(text) IS
    'takes from a role what sync_grant() gave it; its streams go on. To be called by the extension''s owner';
REVOKE ALL ON FUNCTION sync_revoke(text) FROM PUBLIC;

COMMENT ON FUNCTION insync.is_stream_owner(integer) IS 'true if the current role may see this stream: as its owner, as an operator, or as a member of pg_monitor';
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

/* At the end: streams stood still since the library of this version met the tables of the one before. */
CREATE FUNCTION insync.wake() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'insync_wake';
SELECT insync.wake() WHERE EXISTS (SELECT FROM insync.stream);
DROP FUNCTION insync.wake();

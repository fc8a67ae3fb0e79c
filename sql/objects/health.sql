/* What an administrator looks at once a day. */

-- since 0.2
CREATE FUNCTION sync_health(as_of timestamptz DEFAULT NULL, OUT "check" text, OUT status text, OUT message text, OUT hint text)
    RETURNS SETOF record LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_health';
COMMENT ON FUNCTION sync_health(timestamptz) IS
    'checks of the caller''s streams, one row for each check (workers, database, runs, paused, rejects, gaps, late): status ok, warning or critical, what is wrong, and what to do. With as_of, the checks gaps and late are as of that time';
REVOKE ALL ON FUNCTION sync_health(timestamptz) FROM PUBLIC;

-- since 0.2
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
    'results of the runs of the current role''s streams and failures that are still open, one row for each day with runs, latest first; today always has a row. Days are those of the setting TimeZone';
COMMENT ON COLUMN insync.daily.day IS 'the day on which the runs began';
COMMENT ON COLUMN insync.daily.streams IS 'streams that ran';
COMMENT ON COLUMN insync.daily.succeeded IS 'streams whose last run of the day succeeded';
COMMENT ON COLUMN insync.daily.failed IS 'streams whose last run of the day failed';
COMMENT ON COLUMN insync.daily.retried IS 'streams with a retry of a failed run';
COMMENT ON COLUMN insync.daily.rows IS 'rows inserted, updated or deleted';
COMMENT ON COLUMN insync.daily.rejected IS 'rows that went to insync.error';
COMMENT ON COLUMN insync.daily.open IS 'names of the streams that failed and have not succeeded until now; NULL: none';
COMMENT ON COLUMN insync.daily.overdue IS 'today only: names of the streams with a run that has been due for 15 minutes and has not started';
COMMENT ON COLUMN insync.daily.gaps IS 'today only: gaps of the streams that are warning or critical in sync_coverage()';

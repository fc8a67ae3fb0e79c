-- What is missing: what the options may say, and what is told where there is nothing to tell.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER gaps_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
CREATE TABLE closed (day date, since date, note text);
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"open_days": "mon-funday"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"open_days": ""}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"short_below": "40"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"gap_warning": 0}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"gap_warning": 7}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"calendar": "day"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"calendar": "dia > ''2025-01-01''"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"calendar": "day NOT IN (SELECT c.day FROM closed AS c)"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"holidays": "closed"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"holidays": "public.closed"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"holidays": "public.closed(note)"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"holidays": "public.closed(days)"}');
SELECT sync_create('g', 'gaps_shop', 'sales', options => '{"holidays": "public.closing"}');
SELECT sync_create('g', 'gaps_shop', 'sales', watermark => 'modified', options => '{"holidays": "public.closed(day)", "open_days": "mon-sat",
    "calendar": "day NOT IN (SELECT c.since FROM public.closed AS c WHERE c.since IS NOT NULL)", "short_below": "40%", "gap_critical": 5,
    "slice_column": "modified"}');
SELECT * FROM sync_gaps();
SELECT stream, target, completeness, gaps, severity, message FROM sync_coverage();
INSERT INTO insync.slice (stream_id, bucket, rows) SELECT id, d, 100 FROM insync.stream, generate_series('2025-01-01', '2025-03-01', interval '1 day') AS d
 WHERE d <> ALL ('{2025-01-15,2025-02-03,2025-02-04}');
ALTER TABLE closed RENAME TO shut;
SELECT kind, "from", buckets, rows, severity, recommendation, fix FROM sync_gaps();
SELECT message, severity FROM sync_coverage();
SELECT sync_alter('g', '{"gap_critical": null}');
SELECT sync_alter('g', '{"holidays": null, "calendar": null}');
SELECT kind, "from", "to", buckets, rows, expected, completeness, severity, recommendation, fix FROM sync_gaps('g', '2025-01-01', '2025-03-01');
SELECT kind, "from", "to" FROM sync_gaps('g', '2025-02-04', '2025-03-01');
SELECT * FROM sync_gaps('h');
SELECT * FROM sync_coverage('gg');
SELECT * FROM sync_gaps('%', 'yesterday or so');
SELECT "check", status, message FROM sync_health() WHERE "check" NOT IN ('runs', 'late');
SELECT sync_drop('g', true);
SELECT count(*) FROM sync_coverage();
DROP TABLE shut;
DROP SERVER gaps_shop;

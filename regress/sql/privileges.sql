-- Nothing is PUBLIC's; sync_grant() gives a role streams of its own, and it sees no others.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER privileges_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT sync_create('theirs', 'privileges_shop', 'sales', target => 'theirs');
CREATE ROLE insync_regress_analyst;
CREATE SCHEMA analysis AUTHORIZATION insync_regress_analyst;
SET ROLE insync_regress_analyst;
SET search_path = analysis, public;
SELECT count(*) FROM sync_status();
SELECT * FROM insync.stream;
SELECT count(*) FROM sync_gaps();
SELECT count(*) FROM sync_coverage();
SELECT count(*) FROM sync_health();
SELECT count(*) FROM insync.daily;
SELECT * FROM sync_preview('privileges_shop', 'sales');
RESET ROLE;
SELECT sync_grant('insync_regress_analyst');
SET ROLE insync_regress_analyst;
SELECT count(*) FROM sync_status();
SELECT * FROM sync_preview('privileges_shop', 'sales');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER privileges_shop TO insync_regress_analyst;
SET ROLE insync_regress_analyst;
SELECT target_table FROM sync_create('mine', 'privileges_shop', 'sales', target => 'mine');
SELECT stream, state, target, mode, rows, failures, rejects FROM sync_status();
SELECT stream, severity, message FROM sync_coverage();
SELECT stream FROM insync.coverage;
SELECT count(*) FROM sync_gaps();
SELECT "check", status, message FROM sync_health() WHERE "check" = 'runs';
SELECT count(*) FROM insync.daily;
SELECT * FROM sync_gaps('theirs');
SELECT sync_drop('theirs');
SELECT sync_reset('theirs');
CALL sync_run('theirs');
UPDATE insync.watermark SET position = NULL;
INSERT INTO insync.stream SELECT * FROM insync.stream;
SELECT sync_grant('insync_regress_analyst');
RESET ROLE;
SELECT stream, state, target FROM sync_status();
SELECT sync_drop(stream, true) FROM sync_status();
RESET search_path;
DROP OWNED BY insync_regress_analyst;
DROP ROLE insync_regress_analyst;
DROP SERVER privileges_shop;

-- A key that isn't unique at the source fails the first load and loads nothing.
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER doubles_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT * FROM sync_create('doubles', 'doubles_shop', 'doubles', key => 'a');
CALL sync_run('doubles');
SELECT count(*) FROM doubles;
SELECT status, message FROM insync.run;
SELECT sync_drop('doubles', true);
DROP SERVER doubles_shop;

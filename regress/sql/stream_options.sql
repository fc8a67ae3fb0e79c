-- Options of streams are checked before anything is stored.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER options_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"lookbak": "1 minute"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"schedule": "1 minute"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"host": "h"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"mode": "incremantal"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"mode": "incremental"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"batch_rows": -5}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"batch_bytes": "much"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"lookback": "soon"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"columns": ["id"]}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"deletes": "soft"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"operation_column": "op"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '{"source_time_zone": "Europe/Atlantis"}');
SELECT sync_create('s', 'options_shop', 'sales', options => '[1]');
SELECT count(*) FROM sync_status();
SELECT to_regclass('sales');
DROP SERVER options_shop;

-- What sync_create() refuses, and that nothing is left of it.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER create_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT sync_create('s', 'create_shob', 'sales');
SELECT sync_create('s', 'create_shop', 'sails');
SELECT sync_create('s', 'create_shop', 'sales', key => 'idd');
SELECT sync_create('s', 'create_shop', 'sales', watermark => 'modifed');
SELECT sync_create('s', 'create_shop', 'without_key', watermark => 'a');
SELECT sync_create('s', 'create_shop', 'never_set', watermark => 'modified');
SELECT sync_create('s', 'create_shop', 'pictures', watermark => 'picture');
SELECT sync_create('s', 'create_shop', 'sales', options => '{"columns": {"total": "quantity * prise"}}');
SELECT sync_create('s', 'create_shop', 'sales', options => '{"columns": {"total": "1) FROM batch; DROP TABLE x; SELECT (1"}}');
SELECT sync_create('s', 'create_shop', 'sales', options => '{"filter": "quantity + 1"}');
SELECT sync_create('s', 'create_shop', 'sales', options => '{"filter": "quantity >"}');
CREATE TABLE loose (id bigint, product text);
SELECT sync_create('s', 'create_shop', 'sales', target => 'loose');
SELECT sync_create('s', 'create_shop', 'sales', target => 'no_such_schema.sales');
SELECT sync_create(NULL, 'create_shop', 'sales');
SELECT count(*) FROM sync_status();
SELECT to_regclass('sales');
SELECT sync_create('s', 'create_shop', 'sales', target => 'sales_of_s');
SELECT sync_create('s', 'create_shop', 'sales', target => 'sales_of_s');
SELECT sync_drop('t');
SELECT sync_drop('s', true);
DROP TABLE loose;
DROP SERVER create_shop;

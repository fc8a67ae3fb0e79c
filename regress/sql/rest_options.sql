-- Servers and user mappings of insync_rest: what their options must be, and what is said where they aren't.
\set VERBOSITY default
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest;
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'ftp://127.0.0.1/');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://me:secret@127.0.0.1/');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (url 'http://127.0.0.1/');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', host '127.0.0.1');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', driver 'SQLite3');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', preset 'shopfy');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', auth 'oauth');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', auth 'header');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', token 'hunter2');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', rate 'slowly');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', timeout '1 ms');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', rows_path 'items');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', params '{"a": ["b"]}');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', lookback '1 hour');
ALTER FOREIGN DATA WRAPPER insync_rest OPTIONS (ADD base_url 'http://127.0.0.1/');
CREATE SERVER shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', rows_path '/items');
CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1:1/', preset 'ords', rate '2/s');
CREATE USER MAPPING FOR CURRENT_USER SERVER api OPTIONS (apikey 'hunter2');
CREATE USER MAPPING FOR CURRENT_USER SERVER api OPTIONS (base_url 'http://127.0.0.1/');
CREATE USER MAPPING FOR CURRENT_USER SERVER api OPTIONS (client_id 'me', client_secret 'hunter2');
ALTER SERVER api OPTIONS (SET rate '0/s');
ALTER SERVER api OPTIONS (DROP base_url);
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'api';
-- Options of a stream are those of its server's kind; nothing is asked of the source before they are right.
SELECT sync_create('s', 'api', 'items', options => '{"rows_pth": "/items"}');
SELECT sync_create('s', 'api', 'items', options => '{"page_rows": 100}');
SELECT sync_create('s', 'api', 'items', options => '{"rate": "1/s"}');
SELECT sync_create('s', 'api', 'items', options => '{"client_secret": "hunter2"}');
SELECT sync_create('s', 'api', 'items', options => '{"paging": "pages"}');
SELECT sync_create('s', 'api', 'items', options => '{"deleted_when": "gone"}');
SELECT sync_create('s', 'api', 'items', options => '{"on_status": {"404": ["empty"]}}');
-- Who is no superuser names no file.
CREATE ROLE rest_options_user;
GRANT USAGE ON FOREIGN DATA WRAPPER insync_rest TO rest_options_user;
GRANT EXECUTE ON FUNCTION insync_rest_validator(text[], oid) TO rest_options_user;
SET ROLE rest_options_user;
CREATE SERVER own FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1/', tls_ca '/etc/passwd');
RESET ROLE;
DROP OWNED BY rest_options_user;
DROP ROLE rest_options_user;
DROP USER MAPPING FOR CURRENT_USER SERVER api;
DROP SERVER api;
-- What presets fill in: one row for each option, with values that are valid.
SELECT preset, count(*) > 3 AS filled, bool_and(option IN (SELECT name FROM sync_options())) AS known FROM sync_presets() GROUP BY preset ORDER BY preset;

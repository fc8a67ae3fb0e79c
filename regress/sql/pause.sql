-- pause, resume, reset, and the states that show it.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER pause_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT sync_create('paused', 'pause_shop', 'sales', target => 'paused', watermark => 'modified');
CALL sync_run('paused');
SELECT state, watermark, last_status FROM sync_status('paused');
SELECT sync_pause('pau%');
SELECT state FROM sync_status('paused');
SELECT * FROM sync_trigger('paused');
SELECT sync_resume('paused');
SELECT state FROM sync_status('paused');
SELECT sync_reset('paused');
SELECT watermark FROM sync_status('paused');
SELECT sync_reset('paused', '2025-01-06 09:08:00');
SELECT watermark FROM sync_status('paused');
SELECT sync_pause('pauses');
SELECT * FROM sync_trigger('paused', 'backwards');
SELECT sync_wait(987654321);
SELECT sync_drop('paused', true);
DROP SERVER pause_shop;

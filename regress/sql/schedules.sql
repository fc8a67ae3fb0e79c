-- A schedule that can't be parsed is refused, at creation and later.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER schedules_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => 'often');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => '0 seconds');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => '-1 hour');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => '5');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => '61 * * * *');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => '* * *');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled', schedule => '0 0 30 2 *');
SELECT sync_create('s', 'schedules_shop', 'sales', target => 'scheduled');
SELECT sync_alter('s', '{"schedule": "never"}');
SELECT sync_alter('s', '{"time_zone": "Europe/Atlantis"}');
SELECT schedule FROM sync_status();
SELECT sync_drop('s', true);
DROP SERVER schedules_shop;

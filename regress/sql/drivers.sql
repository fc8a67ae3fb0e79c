-- Drivers come from a list, and only a superuser names one.
\set VERBOSITY default
SET insync.odbc_drivers = 'SQLite3, FreeTDS';
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver '/tmp/evil.so');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'MariaDB Unicode', host 'h');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'sqlite3', database '/x');
SET insync.odbc_drivers = '';
SELECT * FROM sync_preview('s', 'sales');
RESET insync.odbc_drivers;
CREATE ROLE insync_regress_user;
GRANT USAGE ON FOREIGN DATA WRAPPER insync_odbc TO insync_regress_user;
ALTER SERVER s OWNER TO insync_regress_user;
SET ROLE insync_regress_user;
CREATE SERVER t FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database '/x');
CREATE SERVER t FOREIGN DATA WRAPPER insync_odbc OPTIONS (dsn 'shop');
ALTER SERVER s OPTIONS (SET database '/etc/passwd');
SET insync.odbc_drivers = '*';
RESET ROLE;
DROP SERVER s;
DROP OWNED BY insync_regress_user;
DROP ROLE insync_regress_user;

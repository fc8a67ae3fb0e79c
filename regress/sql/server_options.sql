-- Options of servers and user mappings are checked, and the error says what was meant.
\set VERBOSITY default
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', databse '/x');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', dbname '/x');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', lookback '1 hour');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', zzz '/x');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc;
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', dsn 'shop');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string 'Driver={SQLite3}', host 'h');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'FreeTDS', host 'h', port '99999');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'FreeTDS', host 'h', connect_timeout 'soon');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'FreeTDS', host 'h', query_timeout '1 ms');
ALTER FOREIGN DATA WRAPPER insync_odbc OPTIONS (ADD driver 'SQLite3');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database '/x');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (usr 'me');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (host 'h');
ALTER SERVER s OPTIONS (DROP driver);
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 's';
DROP SERVER s;

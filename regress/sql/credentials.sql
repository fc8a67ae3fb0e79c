-- A server takes no credentials, however they are written, and the error doesn't repeat them.
\set VERBOSITY default
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', password 'secret1');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', user 'me');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string 'Driver={FreeTDS};Server=h;UID=me');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string 'Driver={FreeTDS};Server=h; pwd = secret1');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'FreeTDS', driver_options 'Encrypt=yes;Password={sec;ret1}');
CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string 'Driver={FreeTDS};Server={secret1');

/* pg_insync 0.1 to 0.2: a stream that runs meanwhile waits for the update, or the update for its transaction. */
\echo Use "ALTER EXTENSION pg_insync UPDATE TO '0.2'" to load this file. \quit

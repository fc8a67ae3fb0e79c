// PouchDB's server: the API of CouchDB, over databases in memory.
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory"));
const express = require("express");

const app = express();
app.use("/", require("express-pouchdb")(PouchDB.defaults({ adapter: "memory" }), { mode: "minimumForPouchDB", inMemoryConfig: true, logPath: "couch.log" }));
app.listen(Number(process.argv[2]), "127.0.0.1");

// Parse Server over PostgreSQL.
const { ParseServer } = require("parse-server");
const express = require("express");

(async () => {
  const [, , port, databaseURI] = process.argv;
  const api = new ParseServer({
    databaseURI, appId: "shop", masterKey: "master", serverURL: `http://127.0.0.1:${port}/parse`, allowClientClassCreation: true,
    verbose: false, silent: true, logsFolder: null, directAccess: true, enforcePrivateUsers: true,
    schema: { definitions: [{
      className: "Item",
      fields: { number: { type: "Number" }, name: { type: "String" }, quantity: { type: "Number" }, price: { type: "Number" }, active: { type: "Boolean" }, changed: { type: "Date" } },
      classLevelPermissions: { find: { "*": true }, count: { "*": true }, get: { "*": true } },
    }] },
  });
  await api.start();
  const app = express();
  app.use("/parse", api.app);
  app.listen(Number(port), "127.0.0.1");
})();

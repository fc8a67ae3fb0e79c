// A JSON:API server with rows in memory; pages by page[offset] and page[limit], with next links.
const server = require("jsonapi-server");
const rows = []; // the store itself: what GET /rows gives and PUT /rows replaces, past the API
const memory = new server.MemoryHandler();
const joi = server.Joi;

server.setConfig({ protocol: "http", urlPrefixAlias: process.argv[3], hostname: "127.0.0.1", port: Number(process.argv[2]), swagger: false, graphiql: false });
server.define({
  resource: "items",
  primaryKey: "string",
  handlers: memory,
  attributes: {
    name: joi.string().allow("", null),
    quantity: joi.number().allow(null),
    price: joi.number().allow(null),
    active: joi.boolean().allow(null),
    changed: joi.string().allow(null),
  },
  examples: rows,
});
const app = server.getExpressServer();
app.get("/rows", (request, response) => response.json(rows));
app.put("/rows", (request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    rows.splice(0, rows.length, ...JSON.parse(body));
    response.end();
  });
});
server.start();

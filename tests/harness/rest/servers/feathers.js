// Feathers with rows in memory; pages by $skip and $limit with a total, at most 100 rows each.
const { feathers } = require("@feathersjs/feathers");
const { default: express, json, urlencoded, rest, errorHandler } = require("@feathersjs/express");
const { MemoryService } = require("@feathersjs/memory");

const app = express(feathers());
app.use(json({ limit: "50mb" }));
app.use(urlencoded({ extended: true }));
app.configure(rest());
app.use("items", new MemoryService({ paginate: { default: 10, max: 100 }, multi: true }));
app.use(errorHandler({ logger: false }));
app.listen(Number(process.argv[2]), "127.0.0.1");

"""What an installed pg_insync consists of, object by object, as texts that don't depend on how it came to be."""

MEMBERS = """
WITH extension AS (SELECT * FROM pg_extension WHERE extname = 'pg_insync'), member AS (
    SELECT d.classid, d.objid FROM pg_depend AS d JOIN extension AS e ON d.refobjid = e.oid
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), relation AS (
    SELECT c.*, c.oid::regclass::text AS object FROM member AS m JOIN pg_class AS c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass
)
"""

# The first column names the object, the others are its properties. Indexes, constraints, policies and triggers are no members
# of an extension: they belong to its tables.
QUERIES = {
    "extension": "SELECT extname, extversion, extowner::regrole, extnamespace::regnamespace, obj_description(oid, 'pg_extension') AS comment FROM extension",
    "member": "SELECT pg_describe_object(classid, objid, 0), classid::regclass FROM member",
    "dumped table": "SELECT d.config::regclass, d.condition FROM extension, unnest(extconfig, extcondition) AS d (config, condition)",
    "schema": "SELECT n.nspname, nspowner::regrole, nspacl, obj_description(n.oid, 'pg_namespace') AS comment"
    " FROM member AS m JOIN pg_namespace AS n ON n.oid = m.objid WHERE m.classid = 'pg_namespace'::regclass",
    "relation": "SELECT object, relkind, relpersistence, relowner::regrole, relacl, reloptions, relrowsecurity, relforcerowsecurity, relreplident,"
    " relispartition, reloftype, relam, reltablespace, (SELECT array_agg(i.inhparent::regclass) FROM pg_inherits AS i WHERE i.inhrelid = oid) AS parents,"
    " obj_description(oid, 'pg_class') AS comment, CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END AS definition FROM relation",
    # By place among those that are there: a column that was dropped leaves its number behind. Minor versions of 15 keep a number
    # of their own among a column's options.
    "column": "SELECT object || '.' || attname, row_number() OVER (PARTITION BY object ORDER BY attnum) AS place,"
    " format_type(atttypid, atttypmod) AS type, attnotnull, attidentity, attgenerated, attcollation::regcollation, attstorage, attcompression,"
    " attislocal, (SELECT array_agg(o) FROM unnest(attoptions) AS o WHERE o NOT LIKE 'pg_attver=%') AS attoptions, attfdwoptions, attacl, pg_get_expr(d.adbin, d.adrelid) AS default_value, col_description(r.oid, attnum) AS comment"
    " FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND attnum > 0 AND NOT attisdropped"
    " LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum",
    "sequence": "SELECT object, seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle,"
    " pg_get_serial_sequence(d.refobjid::regclass::text, (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid)) AS owned"
    " FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid"
    " LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'i'",
    "constraint": "SELECT object || '.' || conname, contype, pg_get_constraintdef(k.oid) AS definition, convalidated,"
    " obj_description(k.oid, 'pg_constraint') AS comment FROM relation AS r JOIN pg_constraint AS k ON k.conrelid = r.oid",
    "index": "SELECT indexrelid::regclass, object AS of, pg_get_indexdef(indexrelid) AS definition, indisprimary, indisunique, indisvalid,"
    " indisreplident, indisclustered, obj_description(indexrelid, 'pg_class') AS comment FROM relation AS r JOIN pg_index AS i ON i.indrelid = r.oid",
    "policy": "SELECT object || '.' || polname, polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid) AS using,"
    " pg_get_expr(polwithcheck, polrelid) AS with_check, obj_description(p.oid, 'pg_policy') AS comment"
    " FROM relation AS r JOIN pg_policy AS p ON p.polrelid = r.oid",
    # Those of constraints have numbers in their names.
    "trigger": "SELECT object || '.' || CASE WHEN tgisinternal THEN tgfoid::regproc || ' of ' || k.conname ELSE tgname END, tgenabled,"
    " CASE WHEN NOT tgisinternal THEN pg_get_triggerdef(t.oid) END AS definition"
    " FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid LEFT JOIN pg_constraint AS k ON k.oid = t.tgconstraint",
    "rule": "SELECT object || '.' || rulename, ev_enabled, is_instead FROM relation AS r JOIN pg_rewrite AS w ON w.ev_class = r.oid",
    "routine": "SELECT p.oid::regprocedure, proowner::regrole, proacl, prokind, pg_get_functiondef(p.oid) AS definition, provolatile, prosecdef,"
    " proleakproof, proisstrict, proparallel, procost, prorows, proconfig, obj_description(p.oid, 'pg_proc') AS comment"
    " FROM member AS m JOIN pg_proc AS p ON p.oid = m.objid WHERE m.classid = 'pg_proc'::regclass",
    "type": "SELECT t.oid::regtype, typtype, typowner::regrole, typacl, obj_description(t.oid, 'pg_type') AS comment FROM pg_type AS t"
    " WHERE typrelid IN (SELECT oid FROM relation) OR t.oid IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)",
    "foreign-data wrapper": "SELECT fdwname, fdwowner::regrole, fdwhandler::regproc, fdwvalidator::regprocedure, fdwacl, fdwoptions,"
    " obj_description(w.oid, 'pg_foreign_data_wrapper') AS comment"
    " FROM member AS m JOIN pg_foreign_data_wrapper AS w ON w.oid = m.objid WHERE m.classid = 'pg_foreign_data_wrapper'::regclass",
    "event trigger": "SELECT evtname, evtevent, evtowner::regrole, evtfoid::regprocedure, evtenabled, evttags,"
    " obj_description(t.oid, 'pg_event_trigger') AS comment"
    " FROM member AS m JOIN pg_event_trigger AS t ON t.oid = m.objid WHERE m.classid = 'pg_event_trigger'::regclass",
    # pg_dump takes them for what CREATE EXTENSION gives.
    "initial rights": "SELECT pg_describe_object(classoid, objoid, objsubid), privtype, initprivs FROM pg_init_privs WHERE privtype = 'e'",
    "dependency": "SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), d.deptype"
    " FROM member AS m JOIN pg_depend AS d ON d.classid = m.classid AND d.objid = m.objid",
}


def surface(db):
    """Every object of the extension in this database: {its kind and name: {property: value}}."""
    found = {}
    for kind, query in QUERIES.items():
        rows = db.query(f"{MEMBERS} SELECT q.object, pg_catalog.to_jsonb(q) FROM ({query}) AS q (object)")
        for name, properties in rows:
            del properties["object"]
            # The same dependency may be there twice, once for each column.
            found.setdefault(f"{kind} {name}", {}).update(properties)
    return found


def differences(first, second):
    """What another surface has otherwise, a line for each object or property."""
    for name in sorted({*first, *second}):
        if name not in second:
            yield f"{name}: only in the first"
        elif name not in first:
            yield f"{name}: only in the second"
        else:
            for property, value in first[name].items():
                if second[name][property] != value:
                    yield f"{name}: {property} is {value!r} in the first, {second[name][property]!r} in the second"

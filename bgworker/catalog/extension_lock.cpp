// Reads and locks the row of pg_extension; see extension_lock.hpp.
#include "bgworker/catalog/extension_lock.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
}

#include "build_id.hpp"

namespace insync {

namespace {

constexpr int version_size = 64;

struct ExtensionRow {
    Oid owner;
    char version[version_size];
};

// Reads pg_extension itself: cheap, without an Spi, and always what is committed now.
ExtensionRow extension_row() {
    return pg::call([] {
        ExtensionRow row{InvalidOid, ""};
        Relation relation = table_open(ExtensionRelationId, AccessShareLock);
        ScanKeyData key;
        ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("pg_insync"));
        SysScanDesc scan = systable_beginscan(relation, ExtensionNameIndexId, true, nullptr, 1, &key);
        HeapTuple tuple = systable_getnext(scan);
        if (HeapTupleIsValid(tuple)) {
            bool null = false;
            Datum version = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(relation), &null);
            row.owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner;
            if (!null) strlcpy(row.version, TextDatumGetCString(version), version_size);
        }
        systable_endscan(scan);
        table_close(relation, AccessShareLock);
        return row;
    });
}

UnusableExtension not_installed() {
    UnusableExtension error(ERRCODE_UNDEFINED_OBJECT, "extension pg_insync is not installed in this database", "",
                            "CREATE EXTENSION pg_insync;");
    error.missing = true;
    return error;
}

}  // namespace

Oid extension_owner() {
    return extension_row().owner;
}

Oid usable_extension() {
    ExtensionRow row = extension_row();
    if (!OidIsValid(row.owner)) throw not_installed();
    if (std::string(row.version) == INSYNC_VERSION) return row.owner;
    const char* database = pg::call([] { return get_database_name(MyDatabaseId); });
    UnusableExtension error(
        ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        std::string("extension pg_insync has version ") + row.version + " in database \"" +
            (database != nullptr ? database : "") + "\", but its library has version " INSYNC_VERSION,
        "Streams do not run. No rows are lost: the streams continue where they stopped.",
        "ALTER EXTENSION pg_insync UPDATE; if that has been done, restart the server, to load the new "
        "library.");
    error.set_context("checking whether pg_insync can run here");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

void lock_extension() {
    bool found = pg::call([] {
        Oid oid = get_extension_oid("pg_insync", true);
        // Not AccessShareLock: an update script can take ShareUpdateExclusiveLock at most, by COMMENT ON EXTENSION,
        // and has to be kept out as well.
        if (OidIsValid(oid)) LockDatabaseObject(ExtensionRelationId, oid, 0, ShareLock);
        return OidIsValid(oid);
    });
    if (!found) throw not_installed();
    (void)usable_extension();
}

void begin_change(const char* function) {
    pg::call([&] { PreventCommandIfReadOnly(function); });
    lock_extension();
}

}  // namespace insync

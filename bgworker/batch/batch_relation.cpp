// Decodes rows into a tuplestore; see batch_relation.hpp.
#include "bgworker/batch/batch_relation.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

#include <algorithm>
#include <cstring>
#include <optional>

#include "bgworker/protocol/wire.hpp"

namespace insync {

namespace {

// Above this the planner would choose to scan the target instead of looking the rows up.
constexpr double estimated_rows = 1000;
// Memory of a batch before it spills to a file, kilobytes; the batch's own limit is what bounds it in practice.
constexpr int store_kilobytes = 256 * 1024;

// A receive function's call on bytes that stay ours.
Datum receive(PGFunction function, const char* data, int length) {
    StringInfoData buffer;
    buffer.data = const_cast<char*>(data);
    buffer.len = length;
    buffer.maxlen = length;
    buffer.cursor = 0;
    return DirectFunctionCall3(function, PointerGetDatum(&buffer), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

// Only inside pg::call. That a value has its type's form was checked when the batch took the row.
Datum decode(Transport transport, const char* data, int length) {
    switch (transport) {
        case Transport::boolean:
            return BoolGetDatum(*data != 0);
        case Transport::int2:
            return Int16GetDatum(wire::get_int16(data));
        case Transport::int4:
            return Int32GetDatum(wire::get_int32(data));
        case Transport::int8:
            return Int64GetDatum(wire::get_int64(data));
        case Transport::float4: {
            std::int32_t bits = wire::get_int32(data);
            float4 value;
            std::memcpy(&value, &bits, sizeof value);
            return Float4GetDatum(value);
        }
        case Transport::float8: {
            std::int64_t bits = wire::get_int64(data);
            float8 value;
            std::memcpy(&value, &bits, sizeof value);
            return Float8GetDatum(value);
        }
        case Transport::text:
            // Streams exist in UTF8 databases only; that it is UTF-8 the connector is not trusted with, either.
            pg_verifymbstr(data, length, false);
            return PointerGetDatum(cstring_to_text_with_len(data, length));
        case Transport::bytea:
            return PointerGetDatum(cstring_to_text_with_len(data, length));
        case Transport::numeric:
            return receive(numeric_recv, data, length);
        case Transport::date:
            return receive(date_recv, data, length);
        case Transport::time:
            return receive(time_recv, data, length);
        case Transport::timestamp:
            return receive(timestamp_recv, data, length);
        case Transport::timestamptz:
            return receive(timestamptz_recv, data, length);
        case Transport::uuid:
            return receive(uuid_recv, data, length);
        case Transport::jsonb:
            // A version byte and text; not jsonb_recv, which takes the text for the client's encoding.
            pg_verifymbstr(data + 1, length - 1, false);
            return DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(data + 1, length - 1)));
    }
    pg_unreachable();
}

Tuplestorestate* begin_store() {
    return tuplestore_begin_heap(false, false, store_kilobytes);
}

}  // namespace

Oid type_of(Transport transport) {
    switch (transport) {
        case Transport::boolean:
            return BOOLOID;
        case Transport::int2:
            return INT2OID;
        case Transport::int4:
            return INT4OID;
        case Transport::int8:
            return INT8OID;
        case Transport::float4:
            return FLOAT4OID;
        case Transport::float8:
            return FLOAT8OID;
        case Transport::numeric:
            return NUMERICOID;
        case Transport::text:
            return TEXTOID;
        case Transport::bytea:
            return BYTEAOID;
        case Transport::date:
            return DATEOID;
        case Transport::time:
            return TIMEOID;
        case Transport::timestamp:
            return TIMESTAMPOID;
        case Transport::timestamptz:
            return TIMESTAMPTZOID;
        case Transport::uuid:
            return UUIDOID;
        case Transport::jsonb:
            return JSONBOID;
    }
    return InvalidOid;
}

TupleDesc BatchRelation::descriptor(const std::vector<SourceColumn>& columns) {
    int count = static_cast<int>(columns.size());
    const SourceColumn* items = columns.data();
    return pg::call([&] {
        TupleDesc descriptor = CreateTemplateTupleDesc(count + 1);
        for (int i = 0; i < count; i++) {
            TupleDescInitEntry(descriptor, i + 1, items[i].field.c_str(), type_of(items[i].transport), -1, 0);
        }
        TupleDescInitEntry(descriptor, count + 1, row_number_column, INT8OID, -1, 0);
        return descriptor;
    });
}

BatchRelation::BatchRelation(TupleDesc descriptor) : store_(nullptr), exceptions_(std::uncaught_exceptions()) {
    store_ = pg::call([] { return begin_store(); });
    pg::register_relation(batch_relation_name, descriptor, store_, estimated_rows);
}

BatchRelation::BatchRelation(const Batch& batch, const std::vector<SourceColumn>& columns, TupleDesc descriptor,
                             const std::vector<std::size_t>& selection, std::vector<DecodeFault>* faults)
    : BatchRelation(descriptor) {
    std::size_t count = columns.size();
    std::vector<Field> fields(count);
    std::vector<Datum> values(count + 1);
    std::vector<char> nulls(count + 1);
    std::vector<char> refused(count);  // fields of the current row that already failed
    // Where the loop inside the guard stands, so that it can go on after a field that was refused.
    struct Cursor {
        std::size_t item, column;
    } volatile at{0, 0};
    const SourceColumn* items = columns.data();
    MemoryContext scratch =
        pg::call([] { return AllocSetContextCreate(CurrentMemoryContext, "insync row", ALLOCSET_DEFAULT_SIZES); });
    // A value that is no JSON is refused by an error, after which PostgreSQL may only be rolled back.
    const bool may_refuse = faults != nullptr && std::any_of(columns.begin(), columns.end(), [](const auto& column) {
                                return column.transport == Transport::jsonb;
                            });
    std::optional<pg::Subtransaction> subtransaction;
    while (at.item < selection.size()) {
        if (may_refuse) subtransaction.emplace();
        try {
            pg::call([&] {
                MemoryContext outer = MemoryContextSwitchTo(scratch);
                for (std::size_t item = at.item; item < selection.size(); item++) {
                    at.item = item;
                    batch.read_row(selection[item], fields.data());
                    for (std::size_t i = 0; i < count; i++) {
                        at.column = i;
                        nulls[i] = fields[i].length < 0 || refused[i];
                        if (!nulls[i]) values[i] = decode(items[i].transport, fields[i].data, fields[i].length);
                    }
                    values[count] = Int64GetDatum(static_cast<std::int64_t>(selection[item]));
                    nulls[count] = false;
                    tuplestore_putvalues(store_, descriptor, values.data(), reinterpret_cast<bool*>(nulls.data()));
                    std::memset(refused.data(), 0, count);
                    MemoryContextReset(scratch);
                }
                MemoryContextSwitchTo(outer);
            });
            if (subtransaction) subtransaction->commit();
            break;
        } catch (const pg::Error& error) {
            if (faults == nullptr || items[at.column].transport != Transport::jsonb || !error.is_data_fault()) throw;
            subtransaction->rollback();
            const Field& field = fields[at.column];
            faults->push_back({selection[at.item], at.column, std::string(field.data + 1, field.length - 1), error});
            refused[at.column] = 1;
        }
    }
    pg::call([&] { MemoryContextDelete(scratch); });
}

BatchRelation::~BatchRelation() {
    // After an error the transaction's end frees both, and nothing may be called before it.
    if (std::uncaught_exceptions() != exceptions_) return;
    pg::unregister_relation(batch_relation_name);
    tuplestore_end(store_);
}

}  // namespace insync

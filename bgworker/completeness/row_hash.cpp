// insync.row_hash(); see row_hash.hpp.
#include "bgworker/pg/guard.hpp"

#include "bgworker/completeness/row_hash.hpp"

extern "C" {
#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/md5.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

#include <algorithm>
#include <charconv>
#include <cstring>

#include "bgworker/pg/function_call.hpp"
#include "bgworker/protocol/crc32.hpp"

using namespace insync;

namespace {

using Kind = ValueFormat::Kind;

struct Column {
    Kind kind;
    int digits;
    Oid type;
};

// What is worked out once for all rows of a query. Plain data in the function's own memory.
struct Work {
    char* text;  // the format as it was given
    std::size_t text_size;
    HashKind hash;
    bool all_digits;  // of a second
    bool converts;    // texts to UTF-8
    int count;
    Column* columns;
    MemoryContext memory;
    char* buffer;
    std::size_t room;
};

// The name by which keeps_text() knows a type.
std::string_view type_name(Oid type) {
    switch (type) {
        case INT2OID:
            return "int2";
        case INT4OID:
            return "int4";
        case INT8OID:
            return "int8";
        case NUMERICOID:
            return "numeric";
        case BOOLOID:
            return "bool";
        case DATEOID:
            return "date";
        case TIMEOID:
            return "time";
        case TIMESTAMPOID:
            return "timestamp";
        case TIMESTAMPTZOID:
            return "timestamptz";
        case TEXTOID:
            return "text";
        case VARCHAROID:
            return "varchar";
        case BPCHAROID:
            return "bpchar";
        case BYTEAOID:
            return "bytea";
        case UUIDOID:
            return "uuid";
        default:
            return "";
    }
}

std::string_view bytes_of(Datum value) {
    const auto* stored = reinterpret_cast<struct varlena*>(DatumGetPointer(value));
    // What is compressed or stored elsewhere has to be fetched; the short form is read where it stands.
    if (VARATT_IS_EXTERNAL(stored) || VARATT_IS_COMPRESSED(stored)) {
        stored = pg::call([&] { return detoast_attr(const_cast<struct varlena*>(stored)); });
    }
    return {VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored)};
}

Work* prepare(FunctionCallInfo fcinfo, std::string_view text) {
    const std::optional<RowFormat> format = parse_row_format(text);
    if (!format) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "\"" + std::string(text) + "\" is not a format of rows", "",
                        "A format names a hash and the columns, as in crc32:i,n2,t,s.");
    }
    const int count = PG_NARGS() - 1;
    if (static_cast<std::size_t>(count) != format->columns.size() || get_fn_expr_variadic(fcinfo->flinfo)) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "the format of a row has " +
                                                             std::to_string(format->columns.size()) +
                                                             " columns, where " + std::to_string(count) + " are given");
    }
    MemoryContext memory = fcinfo->flinfo->fn_mcxt;
    Work* work = pg::call([&] {
        auto* made = static_cast<Work*>(MemoryContextAllocZero(memory, sizeof(Work)));
        made->columns = static_cast<Column*>(MemoryContextAlloc(memory, sizeof(Column) * static_cast<Size>(count)));
        made->text = static_cast<char*>(MemoryContextAlloc(memory, text.size()));
        made->room = 1024;
        made->buffer = static_cast<char*>(MemoryContextAlloc(memory, made->room));
        return made;
    });
    std::memcpy(work->text, text.data(), text.size());
    work->text_size = text.size();
    work->hash = format->kind;
    work->all_digits = format->kind != HashKind::hashtext;
    work->converts = GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII;
    work->memory = memory;
    work->count = count;
    for (int i = 0; i < count; i++) {
        const ValueFormat& column = format->columns[static_cast<std::size_t>(i)];
        const Oid type = pg::call([&] { return getBaseType(get_fn_expr_argtype(fcinfo->flinfo, i + 1)); });
        if (!keeps_text(column, type_name(type))) {
            const char* name = pg::call([&] { return format_type_be(type); });
            throw pg::Error(ERRCODE_DATATYPE_MISMATCH, "type " + std::string(name) +
                                                           " cannot be written in the format \"" +
                                                           std::string(1, static_cast<char>(column.kind)) + "\"");
        }
        work->columns[i] = {column.kind, column.digits, type};
    }
    fcinfo->flinfo->fn_extra = work;
    return work;
}

// Makes room for so many bytes more behind `at`, and returns where that is now.
char* with_room(Work& work, char* at, std::size_t more) {
    const std::size_t used = static_cast<std::size_t>(at - work.buffer);
    if (used + more <= work.room) return at;
    const std::size_t room = std::max(work.room * 2, used + more);
    work.buffer = pg::call([&] { return static_cast<char*>(repalloc_huge(work.buffer, room)); });
    work.room = room;
    return work.buffer + used;
}

// How many characters a UTF-8 text has: code points, or units of UTF-16.
std::size_t characters(std::string_view text, bool in_units) {
    std::size_t count = 0;
    for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (in_units) {
        for (const char c : text) count += static_cast<unsigned char>(c) >= 0xF0;
    }
    return count;
}

char* write_text(Work& work, char* out, std::string_view text, bool padded) {
    if (work.converts) {
        const char* converted =
            pg::call([&] { return pg_server_to_any(text.data(), static_cast<int>(text.size()), PG_UTF8); });
        if (converted != text.data()) text = converted;
    }
    while (padded && !text.empty() && text.back() == ' ') text.remove_suffix(1);
    out = with_room(work, out, text.size() + 32);
    out = std::to_chars(out, out + 20, characters(text, work.hash == HashKind::md5_utf16)).ptr;
    *out++ = '|';
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* write_bytes(Work& work, char* out, std::string_view bytes) {
    constexpr const char* digits = "0123456789ABCDEF";
    out = with_room(work, out, bytes.size() * 2 + 16);
    for (const char c : bytes) {
        *out++ = digits[static_cast<unsigned char>(c) >> 4];
        *out++ = digits[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

char* write_uuid(char* out, const pg_uuid_t* uuid) {
    constexpr const char* digits = "0123456789abcdef";
    for (int i = 0; i < UUID_LEN; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = digits[uuid->data[i] >> 4];
        *out++ = digits[uuid->data[i] & 15];
    }
    return out;
}

char* write_value(Work& work, char* out, const Column& column, Datum value) {
    out = with_room(work, out, 64);
    switch (column.type) {
        case INT2OID:
            return std::to_chars(out, out + 20, DatumGetInt16(value)).ptr;
        case INT4OID:
            return std::to_chars(out, out + 20, DatumGetInt32(value)).ptr;
        case INT8OID:
            return std::to_chars(out, out + 20, DatumGetInt64(value)).ptr;
        case NUMERICOID: {
            const std::string_view stored = bytes_of(value);
            out = with_room(work, out, room_for_numeric(stored.data(), stored.size(), column.digits));
            return write_numeric(out, stored.data(), stored.size(), column.digits);
        }
        case BOOLOID:
            *out = DatumGetBool(value) ? '1' : '0';
            return out + 1;
        case DATEOID:
            return write_date(out, DatumGetDateADT(value));
        case TIMEOID:
            return write_time(out, DatumGetTimeADT(value), work.all_digits);
        case TIMESTAMPOID:
        case TIMESTAMPTZOID:
            return write_timestamp(out, DatumGetTimestamp(value), work.all_digits);
        case BYTEAOID:
            return write_bytes(work, out, bytes_of(value));
        case UUIDOID:
            return write_uuid(out, DatumGetUUIDP(value));
        default:
            return write_text(work, out, bytes_of(value), column.kind == Kind::padded);
    }
}

// The text in UTF-16, low byte first, behind itself in the buffer.
std::string_view in_utf16(Work& work, std::size_t size) {
    char* out = with_room(work, work.buffer + size, size * 2 + 4);
    const auto* from = reinterpret_cast<const unsigned char*>(work.buffer);
    const unsigned char* const end = from + size;
    char* const begin = out;
    auto put = [&](pg_wchar unit) {
        *out++ = static_cast<char>(unit & 0xFF);
        *out++ = static_cast<char>(unit >> 8);
    };
    while (from < end) {
        const int length = std::min<int>(pg_utf_mblen(from), static_cast<int>(end - from));
        const pg_wchar point = length > 1 ? utf8_to_unicode(from) : *from;
        from += length;
        if (point < 0x10000) {
            put(point);
        } else {
            put(0xD800 + ((point - 0x10000) >> 10));
            put(0xDC00 + ((point - 0x10000) & 0x3FF));
        }
    }
    return {begin, static_cast<std::size_t>(out - begin)};
}

std::int64_t md5_of(std::string_view text) {
    std::uint8_t digest[16];
    const char* error = nullptr;
    if (!pg_md5_binary(text.data(), text.size(), digest, &error)) {
        throw pg::Error(ERRCODE_INTERNAL_ERROR, std::string("could not compute MD5: ") + (error ? error : "unknown"));
    }
    std::int64_t value = 0;
    for (int i = 0; i < 7; i++) value = value << 8 | digest[i];
    return value;
}

std::int64_t hash_of(Work& work, std::size_t size) {
    const std::string_view text(work.buffer, size);
    switch (work.hash) {
        case HashKind::crc32:
            return crc32_of(text);
        case HashKind::hashtext: {
            const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
            return static_cast<std::int64_t>(hash_bytes_extended(bytes, static_cast<int>(size), 0) & INT64_MAX);
        }
        case HashKind::md5:
            return md5_of(text);
        case HashKind::md5_utf16:
            return md5_of(in_utf16(work, size));
    }
    return 0;
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(insync_row_hash);

Datum insync_row_hash(PG_FUNCTION_ARGS) {
    return pg::entry([&]() -> Datum {
        if (PG_ARGISNULL(0)) PG_RETURN_NULL();
        const std::string_view format = bytes_of(PG_GETARG_DATUM(0));
        auto* work = static_cast<Work*>(fcinfo->flinfo->fn_extra);
        if (work == nullptr || format != std::string_view(work->text, work->text_size)) work = prepare(fcinfo, format);
        char* out = work->buffer;
        for (int i = 0; i < work->count; i++) {
            if (i > 0) *out++ = '|';
            if (PG_ARGISNULL(i + 1)) {
                *out++ = 'N';
            } else {
                out = write_value(*work, out, work->columns[i], PG_GETARG_DATUM(i + 1));
            }
            out = with_room(*work, out, 2);
        }
        PG_RETURN_INT64(hash_of(*work, static_cast<std::size_t>(out - work->buffer)));
    });
}
}

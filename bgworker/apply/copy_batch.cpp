// Feeds a batch to COPY FROM; see copy_batch.hpp.
#include "bgworker/apply/copy_batch.hpp"

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
}

#include <algorithm>
#include <vector>

#include "bgworker/batch/batch_relation.hpp"
#include "bgworker/protocol/wire.hpp"

namespace insync {

namespace {

// Signature, flags, length of the header's extension.
constexpr char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
constexpr int header_size = 19;

// One field of the rows that COPY reads.
struct Item {
    const char* name;      // of the target column
    std::size_t field;     // of the batch
    Oid source, target;    // types
    int source_width = 0;  // of an integer that gets another width
    int target_width = 0;
};

// What the callback, which has no argument, reads from. Plain data: errors leave it by longjmp.
struct Feed {
    const Batch* batch;
    const Item* items;
    int count;
    Field* fields;  // room for one row of the batch
    std::size_t row;
    bool ended;
    StringInfoData pending;  // from its cursor on
};
Feed* feed;

class CurrentFeed {
  public:
    explicit CurrentFeed(Feed* next) : before_(feed) { feed = next; }
    ~CurrentFeed() { feed = before_; }
    CurrentFeed(const CurrentFeed&) = delete;
    CurrentFeed& operator=(const CurrentFeed&) = delete;

  private:
    Feed* before_;
};

int width_of(Oid type) {
    return type == INT2OID ? 2 : type == INT4OID ? 4 : type == INT8OID ? 8 : 0;
}

// Only inside pg::call, as all of the functions below.
void append_integer(StringInfo out, const Item& item, const char* data) {
    int64 value = item.source_width == 2   ? wire::get_int16(data)
                  : item.source_width == 4 ? wire::get_int32(data)
                                           : wire::get_int64(data);
    char bytes[12];
    wire::put_int32(bytes, item.target_width);
    if (item.target_width == 2) {
        if (value < PG_INT16_MIN || value > PG_INT16_MAX)
            ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("smallint out of range")));
        wire::put_int16(bytes + 4, static_cast<std::int16_t>(value));
    } else if (item.target_width == 4) {
        if (value < PG_INT32_MIN || value > PG_INT32_MAX)
            ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("integer out of range")));
        wire::put_int32(bytes + 4, static_cast<std::int32_t>(value));
    } else {
        wire::put_int64(bytes + 4, value);
    }
    appendBinaryStringInfo(out, bytes, 4 + item.target_width);
}

void append_row(Feed& from) {
    char bytes[4];
    if (from.row == from.batch->rows()) {
        wire::put_int16(bytes, -1);
        appendBinaryStringInfo(&from.pending, bytes, 2);
        from.ended = true;
        return;
    }
    from.batch->read_row(from.row++, from.fields);
    wire::put_int16(bytes, static_cast<std::int16_t>(from.count));
    appendBinaryStringInfo(&from.pending, bytes, 2);
    for (int i = 0; i < from.count; i++) {
        const Item& item = from.items[i];
        const Field& field = from.fields[item.field];
        if (item.source_width != 0 && field.length >= 0) {
            append_integer(&from.pending, item, field.data);
            continue;
        }
        wire::put_int32(bytes, field.length);
        appendBinaryStringInfo(&from.pending, bytes, 4);
        if (field.length > 0) appendBinaryStringInfo(&from.pending, field.data, field.length);
    }
}

int read_feed(void* out, int, int most) {
    StringInfo pending = &feed->pending;
    if (pending->cursor == pending->len) {
        resetStringInfo(pending);
        while (pending->len < most && !feed->ended) append_row(*feed);
    }
    int count = std::min(most, pending->len - pending->cursor);
    memcpy(out, pending->data + pending->cursor, static_cast<std::size_t>(count));
    pending->cursor += count;
    return count;
}

// Does COPY make of the field's bytes what the apply statement's cast would? A type's receive function checks lengths
// as a cast does. What either would round doesn't come here: such values have to be looked at.
bool is_same(Item& item) {
    if (item.source == item.target) return true;
    item.source_width = width_of(item.source);
    item.target_width = width_of(item.target);
    if (item.source_width != 0 && item.target_width != 0) return true;
    return item.source == TEXTOID && (item.target == VARCHAROID || item.target == BPCHAROID);
}

bool may_insert(Relation relation, AttrNumber column) {
    Oid table = RelationGetRelid(relation), user = GetUserId();
    return pg_class_aclcheck(table, user, ACL_INSERT) == ACLCHECK_OK ||
           pg_attribute_aclcheck(table, column, user, ACL_INSERT) == ACLCHECK_OK;
}

// A column that the batch doesn't fill: COPY leaves it NULL without asking its domain, where INSERT asks.
bool has_other_domains(Relation relation, const Item* begin, const Item* end) {
    TupleDesc descriptor = RelationGetDescr(relation);
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        if (column->attisdropped || get_typtype(column->atttypid) != TYPTYPE_DOMAIN) continue;
        const char* name = NameStr(column->attname);
        if (std::none_of(begin, end, [&](const Item& item) { return strcmp(item.name, name) == 0; })) return true;
    }
    return false;
}

// A constraint that looks at the table: COPY shows it the rows of a page's worth later than INSERT does.
bool has_volatile_checks(Relation relation) {
    TupleConstr* constraints = RelationGetDescr(relation)->constr;
    for (int i = 0; constraints != nullptr && i < constraints->num_check; i++) {
        if (contain_volatile_functions(static_cast<Node*>(stringToNode(constraints->check[i].ccbin)))) return true;
    }
    return false;
}

bool is_left_alone(Relation relation) {
    char kind = relation->rd_rel->relkind;
    return (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE) && relation->rd_rules == nullptr &&
           ExecutorCheckPerms_hook == nullptr && !XactReadOnly && pg_get_client_encoding() == PG_UTF8 &&
           check_enable_rls(RelationGetRelid(relation), InvalidOid, true) != RLS_ENABLED;
}

int64 copy(Relation relation, Feed& from) {
    ParseState* parse = make_parsestate(nullptr);
    (void)addRangeTableEntryForRelation(parse, relation, RowExclusiveLock, nullptr, false, false);
    List* names = NIL;
    for (int i = 0; i < from.count; i++) names = lappend(names, makeString(pstrdup(from.items[i].name)));
    List* options =
        list_make1(makeDefElem(pstrdup("format"), reinterpret_cast<Node*>(makeString(pstrdup("binary"))), -1));
    initStringInfo(&from.pending);
    appendBinaryStringInfo(&from.pending, header, header_size);
    PushActiveSnapshot(GetTransactionSnapshot());
    CopyFromState state = BeginCopyFrom(parse, relation, nullptr, nullptr, false, read_feed, names, options);
    auto rows = static_cast<int64>(CopyFrom(state));
    EndCopyFrom(state);
    PopActiveSnapshot();
    CommandCounterIncrement();
    free_parsestate(parse);
    pfree(from.pending.data);
    return rows;
}

}  // namespace

std::optional<std::int64_t> copy_batch(const Batch& batch, const std::vector<SourceColumn>& columns,
                                       const ApplyShape& shape, const Stream& stream) {
    if (!shape.filter.empty() || !shape.delete_condition.empty()) return std::nullopt;
    std::vector<Item> items;
    for (const auto& column : shape.columns) {
        auto source = std::find_if(columns.begin(), columns.end(),
                                   [&](const SourceColumn& item) { return item.field == column.field; });
        if (source == columns.end()) return std::nullopt;
        items.push_back({column.plain_name.c_str(), static_cast<std::size_t>(source - columns.begin()),
                         type_of(source->transport), InvalidOid});
    }
    std::vector<Field> fields(columns.size());
    Feed from{&batch, items.data(), static_cast<int>(items.size()), fields.data(), 0, false, {}};
    CurrentFeed current(&from);
    const char *schema = stream.target_schema.c_str(), *table = stream.target_table.c_str();
    Item *begin = items.data(), *end = begin + items.size();
    int64 rows = pg::call([&]() -> int64 {
        RangeVar* name = makeRangeVar(pstrdup(schema), pstrdup(table), -1);
        Relation relation = table_openrv(name, RowExclusiveLock);
        bool possible =
            is_left_alone(relation) && !has_other_domains(relation, begin, end) && !has_volatile_checks(relation);
        for (Item* item = begin; item != end && possible; item++) {
            AttrNumber number = get_attnum(RelationGetRelid(relation), item->name);
            possible = number > 0 && may_insert(relation, number);
            if (possible) item->target = TupleDescAttr(RelationGetDescr(relation), number - 1)->atttypid;
            possible = possible && is_same(*item);
        }
        int64 copied = possible ? copy(relation, from) : -1;
        table_close(relation, NoLock);
        return copied;
    });
    if (rows < 0) return std::nullopt;
    return rows;
}

}  // namespace insync

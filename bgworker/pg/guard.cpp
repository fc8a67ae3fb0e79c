// Implementation of the wall; see guard.hpp.
#include "bgworker/pg/guard.hpp"

#include <cstring>
#include <new>

extern "C" {
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/guc.h"
}

namespace insync::pg {

Error Error::take(ErrorData* data) {
    auto text = [](const char* value) { return std::string(value != nullptr ? value : ""); };
    Error error(data->sqlerrcode, text(data->message), text(data->detail), text(data->hint));
    error.context = text(data->context);
    error.context_is_whole = true;
    error.schema = text(data->schema_name);
    error.table = text(data->table_name);
    error.column = text(data->column_name);
    error.datatype = text(data->datatype_name);
    error.constraint = text(data->constraint_name);
    error.query = text(data->internalquery);
    error.position = data->internalpos > 0 ? data->internalpos : data->cursorpos;
    insync_free_error(data);
    return error;
}

std::string Error::state() const {
    std::string code(5, '0');
    for (int i = 0, value = sqlstate; i < 5; i++, value >>= 6) code[i] = PGUNSIXBIT(value);
    return code;
}

bool Error::is_interrupt() const {
    return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
           sqlstate == ERRCODE_CRASH_SHUTDOWN;
}

bool Error::is_data_fault() const {
    int category = ERRCODE_TO_CATEGORY(sqlstate);
    return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
           sqlstate == ERRCODE_RAISE_EXCEPTION || sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
           sqlstate == ERRCODE_CARDINALITY_VIOLATION;
}

bool Error::is_permanent() const {
    if (error_class == ErrorClass::config || error_class == ErrorClass::auth) return true;
    int category = ERRCODE_TO_CATEGORY(sqlstate);
    return error_class == ErrorClass::database &&
           (category == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION || category == ERRCODE_INVALID_SCHEMA_NAME ||
            category == ERRCODE_FEATURE_NOT_SUPPORTED);
}

bool Error::is_transient() const {
    if (error_class == ErrorClass::transient || error_class == ErrorClass::rate_limited) return true;
    if (error_class != ErrorClass::database) return false;
    int category = ERRCODE_TO_CATEGORY(sqlstate);
    return category == ERRCODE_TRANSACTION_ROLLBACK || category == ERRCODE_INSUFFICIENT_RESOURCES ||
           category == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE || sqlstate == ERRCODE_CANNOT_CONNECT_NOW;
}

namespace detail {

namespace {
// A copy that needs no destructor; NULL for an empty text, or (never an error inside a handler) where memory is out.
const char* plain_copy(const char* prefix, const char* text) noexcept {
    const std::size_t before = std::strlen(prefix), length = std::strlen(text);
    if (before + length == 0) return nullptr;
    auto* copy =
        static_cast<char*>(MemoryContextAllocExtended(CurrentMemoryContext, before + length + 1, MCXT_ALLOC_NO_OOM));
    if (copy == nullptr) return nullptr;
    std::memcpy(copy, prefix, before);
    std::memcpy(copy + before, text, length + 1);
    return copy;
}

const char* plain_copy(const std::string& text) noexcept {
    return plain_copy("", text.c_str());
}
}  // namespace

PlainError flatten(const Error& error) noexcept {
    return {error.sqlstate,
            plain_copy(error.message),
            plain_copy(error.detail),
            plain_copy(error.hint),
            plain_copy(error.context),
            plain_copy(error.schema),
            plain_copy(error.table),
            plain_copy(error.column),
            plain_copy(error.datatype),
            plain_copy(error.constraint),
            plain_copy(error.query),
            error.position,
            error.context_is_whole};
}

PlainError flatten_current() noexcept {
    PlainError plain{};
    try {
        throw;
    } catch (const Error& error) {
        plain = flatten(error);
    } catch (const std::bad_alloc&) {
        plain.sqlstate = ERRCODE_OUT_OF_MEMORY;
        plain.message = "out of memory";
    } catch (const std::exception& error) {
        plain.sqlstate = ERRCODE_INTERNAL_ERROR;
        plain.message = plain_copy("pg_insync: ", error.what());
    } catch (...) {
        plain.sqlstate = ERRCODE_INTERNAL_ERROR;
    }
    if (plain.message == nullptr) plain.message = "pg_insync: unknown error";
    return plain;
}

void raise(const PlainError& plain) {
    // It was complete when the error was first raised; those who add to it are asked no second time. Whoever catches
    // the error sets the stack again.
    if (plain.context != nullptr && plain.context_is_whole) error_context_stack = nullptr;
    ereport(ERROR,
            (errcode(plain.sqlstate), errmsg_internal("%s", plain.message),
             plain.detail ? errdetail_internal("%s", plain.detail) : 0, plain.hint ? errhint("%s", plain.hint) : 0,
             plain.query ? internalerrquery(plain.query) : 0, plain.query ? internalerrposition(plain.position) : 0,
             plain.context ? errcontext_msg("%s", plain.context) : 0,
             plain.schema ? err_generic_string(PG_DIAG_SCHEMA_NAME, plain.schema) : 0,
             plain.table ? err_generic_string(PG_DIAG_TABLE_NAME, plain.table) : 0,
             plain.column ? err_generic_string(PG_DIAG_COLUMN_NAME, plain.column) : 0,
             plain.datatype ? err_generic_string(PG_DIAG_DATATYPE_NAME, plain.datatype) : 0,
             plain.constraint ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, plain.constraint) : 0));
    pg_unreachable();
}

}  // namespace detail

Subtransaction::Subtransaction() : context_(CurrentMemoryContext), owner_(CurrentResourceOwner) {
    call([&] {
        BeginInternalSubTransaction(nullptr);
        MemoryContextSwitchTo(context_);
    });
}

void Subtransaction::leave() noexcept {
    MemoryContextSwitchTo(context_);
    CurrentResourceOwner = owner_;
    open_ = false;
}

void Subtransaction::commit() {
    call([] { ReleaseCurrentSubTransaction(); });
    leave();
}

void Subtransaction::rollback() {
    call([] { RollbackAndReleaseCurrentSubTransaction(); });
    leave();
}

Subtransaction::~Subtransaction() {
    if (!open_) return;
    ErrorData* error = insync_try([](void*) noexcept { RollbackAndReleaseCurrentSubTransaction(); }, nullptr);
    if (error != nullptr) {
        ereport(FATAL, (errcode(error->sqlerrcode),
                        errmsg_internal("could not roll back a subtransaction: %s", error->message)));
    }
    leave();
}

RunAs::RunAs(Oid role, bool restricted) noexcept {
    GetUserIdAndSecContext(&saved_role_, &saved_context_);
    SetUserIdAndSecContext(
        role, saved_context_ | SECURITY_LOCAL_USERID_CHANGE | (restricted ? SECURITY_RESTRICTED_OPERATION : 0));
}

RunAs::~RunAs() {
    SetUserIdAndSecContext(saved_role_, saved_context_);
}

namespace {

constexpr const char* meaning[][2] = {
    {"search_path", "pg_catalog, pg_temp"},
    {"DateStyle", "ISO, YMD"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "UTC"},
    {"bytea_output", "hex"},
    {"extra_float_digits", "1"},
};

}  // namespace

std::vector<const char*> pinned_settings() {
    std::vector<const char*> names;
    for (const auto& [name, value] : meaning) names.push_back(name);
    return names;
}

PinnedSettings::PinnedSettings(Plans plans) : plans_(plans), nest_level_(0), exceptions_(std::uncaught_exceptions()) {
    nest_level_ = call([] {
        int level = NewGUCNestLevel();
        for (const auto& [name, value] : meaning)
            (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
        return level;
    });
}

PinnedSettings::~PinnedSettings() {
    // As an abort would: what the statements inside have SET is undone as well, or an owner's expression could change
    // the search path of whoever runs its stream. While an exception is on its way the abort that follows does it.
    if (std::uncaught_exceptions() == exceptions_) AtEOXact_GUC(false, nest_level_);
}

void check_interrupts() {
    if (INTERRUPTS_PENDING_CONDITION()) call([] { CHECK_FOR_INTERRUPTS(); });
}

}  // namespace insync::pg

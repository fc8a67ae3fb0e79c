// Arguments and results of SQL functions; see function_call.hpp.
#include "bgworker/pg/function_call.hpp"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
}

namespace insync {

pg::Value text_argument(FunctionCallInfo call, int index) {
    if (call->args[index].isnull) return std::nullopt;
    Datum value = call->args[index].value;
    return std::string(pg::call([&] { return TextDatumGetCString(value); }));
}

std::string required_text(FunctionCallInfo call, int index, const char* name) {
    auto value = text_argument(call, index);
    if (!value || value->empty())
        throw pg::Error(ERRCODE_NULL_VALUE_NOT_ALLOWED,
                        std::string("argument \"") + name + "\" must not be null or empty");
    return *value;
}

ResultSet::ResultSet(FunctionCallInfo call) : result_(nullptr), input_(nullptr) {
    pg::call([&] {
        InitMaterializedSRF(call, MAT_SRF_USE_EXPECTED_DESC);
        result_ = reinterpret_cast<ReturnSetInfo*>(call->resultinfo);
        MemoryContext outer = MemoryContextSwitchTo(result_->econtext->ecxt_per_query_memory);
        input_ = TupleDescGetAttInMetadata(result_->setDesc);
        MemoryContextSwitchTo(outer);
    });
}

void ResultSet::add(const std::vector<pg::Value>& row) {
    std::vector<char*> cells;
    for (const auto& value : row) cells.push_back(value ? const_cast<char*>(value->c_str()) : nullptr);
    pg::call([&] { tuplestore_puttuple(result_->setResult, BuildTupleFromCStrings(input_, cells.data())); });
}

Datum record_result(FunctionCallInfo call, const std::vector<pg::Value>& row) {
    std::vector<char*> cells;
    for (const auto& value : row) cells.push_back(value ? const_cast<char*>(value->c_str()) : nullptr);
    char** values = cells.data();
    return pg::call([&]() -> Datum {
        TupleDesc descriptor = nullptr;
        if (get_call_result_type(call, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
            elog(ERROR, "the function returns no record");
        AttInMetadata* input = TupleDescGetAttInMetadata(BlessTupleDesc(descriptor));
        return HeapTupleGetDatum(BuildTupleFromCStrings(input, values));
    });
}

}  // namespace insync

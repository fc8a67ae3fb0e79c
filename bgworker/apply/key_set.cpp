// Collects keys across transactions; see key_set.hpp.
#include "bgworker/apply/key_set.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

#include <algorithm>

namespace insync {

namespace {
constexpr int memory_kilobytes = 64 * 1024;
}

SeenKeys::SeenKeys(pg::Plan& keys) : context_(nullptr), descriptor_(nullptr), store_(nullptr) {
    begin([&] { return keys.descriptor(); });
}

SeenKeys::SeenKeys(const char* column) : context_(nullptr), descriptor_(nullptr), store_(nullptr) {
    begin([&] {
        return pg::call([&] {
            TupleDesc descriptor = CreateTemplateTupleDesc(1);
            TupleDescInitEntry(descriptor, 1, column, TEXTOID, -1, 0);
            return descriptor;
        });
    });
}

template <typename Describe>
void SeenKeys::begin(const Describe& describe) {
    context_ =
        pg::call([] { return AllocSetContextCreate(TopMemoryContext, "insync seen keys", ALLOCSET_DEFAULT_SIZES); });
    MemoryContext outer = MemoryContextSwitchTo(context_);
    try {
        descriptor_ = describe();
        // Its file, if it comes to one, outlives the transactions of the batches.
        store_ = pg::call([] { return tuplestore_begin_heap(false, true, memory_kilobytes); });
    } catch (...) {
        MemoryContextSwitchTo(outer);
        MemoryContextDelete(context_);
        throw;
    }
    MemoryContextSwitchTo(outer);
}

SeenKeys::~SeenKeys() {
    insync_free_error(insync_try(
        [](void* self) noexcept {
            auto* keys = static_cast<SeenKeys*>(self);
            tuplestore_end(keys->store_);
            MemoryContextDelete(keys->context_);
        },
        this));
}

void SeenKeys::add(pg::Plan& keys) {
    keys.execute_into(store_, descriptor_);
}

void SeenKeys::add(const std::vector<std::string>& texts) {
    const std::string* items = texts.data();
    const std::size_t count = texts.size();
    pg::call([&] {
        for (std::size_t i = 0; i < count; i++) {
            Datum value = PointerGetDatum(cstring_to_text_with_len(items[i].data(), static_cast<int>(items[i].size())));
            bool null = false;
            tuplestore_putvalues(store_, descriptor_, &value, &null);
            pfree(DatumGetPointer(value));
        }
    });
}

std::int64_t SeenKeys::count() const {
    return tuplestore_tuple_count(store_);
}

void SeenKeys::register_relation(const char* name) {
    pg::register_relation(name, descriptor_, store_, std::max<double>(1, static_cast<double>(count())));
}

}  // namespace insync

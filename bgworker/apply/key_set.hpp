// The keys that a full read has seen, over all of its batches: in memory up to a limit, then in a temporary file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bgworker/pg/spi.hpp"

namespace insync {

class SeenKeys {
  public:
    // `keys` is the plan whose result rows are keys; its row type is that of the relation.
    explicit SeenKeys(pg::Plan& keys);
    // Keys of one column of texts, with this name.
    explicit SeenKeys(const char* column);
    ~SeenKeys();
    SeenKeys(const SeenKeys&) = delete;
    SeenKeys& operator=(const SeenKeys&) = delete;

    // Adds the keys of the batch that is registered now.
    void add(pg::Plan& keys);
    void add(const std::vector<std::string>& texts);
    std::int64_t count() const;

    // Makes the keys readable as the relation of this name in the current Spi, until the Spi ends.
    void register_relation(const char* name);

  private:
    template <typename Describe>
    void begin(const Describe& describe);

    MemoryContext context_;
    TupleDesc descriptor_;
    Tuplestorestate* store_;
};

}  // namespace insync

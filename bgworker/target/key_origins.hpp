// Which row of the source a target row came from, where the target's key may be the same for different ones.
//
// A key that is computed (lower(code)), read from text (01 and 1 as integers) or compared loosely (citext, collations
// without regard to case) can make one of two rows of the source. Neither may silently stand in for the other, in one
// batch or in runs that are months apart: the first one keeps the target row, and the other is rejected. What the batch
// and the target hold doesn't tell them apart, so for such streams table insync.origin has the source's key of each
// target key; its size is the target's, and memory holds no more than a batch of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace insync {

// A row of the batch.
struct KeyOrigin {
    std::size_t row;
    std::int64_t key_hash;  // the same for keys that are the same to the target
    std::string key;        // the target's, as people read it
    std::string source_key;
};

// By the hash of the target's key: the source's.
using OriginMap = std::map<std::int64_t, std::string>;

// Both as the extension's owner, with an Spi in scope.
OriginMap load_origins(int stream_id, const std::vector<KeyOrigin>& rows);
void save_origins(int stream_id, const std::vector<KeyOrigin>& origins);
// All of the stream's, as it is read anew.
void forget_origins(int stream_id);

}  // namespace insync

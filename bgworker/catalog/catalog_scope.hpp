// The scope in which the extension keeps its own tables: as the extension's owner, with pinned settings, through SPI.
#pragma once

#include "bgworker/pg/spi.hpp"

namespace insync {

// The extension owner's identity, and never without pinned settings of its own: what ran before in the same transaction
// may have been a stream owner's SQL.
class ExtensionIdentity {
  public:
    ExtensionIdentity();

  private:
    pg::PinnedSettings settings_;
    pg::RunAs identity_;
};

class Bookkeeping {
  public:
    Bookkeeping() = default;

  private:
    ExtensionIdentity identity_;
    pg::Spi spi_;
};

}  // namespace insync

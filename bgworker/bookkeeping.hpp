// The scope in which the extension keeps its own tables: as the extension's owner, with pinned settings, through SPI.
#pragma once

#include "extension/pg/spi.hpp"

namespace insync {

class Bookkeeping {
  public:
    Bookkeeping();

  private:
    pg::PinnedSettings settings_;
    pg::RunAs identity_;
    pg::Spi spi_;
};

}  // namespace insync

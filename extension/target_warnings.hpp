// What an update of the extension tells of targets.
#pragma once

namespace insync {

// Warns of each stream whose target can't be filled any more, or holds rows that no query finds.
void warn_of_targets();

}  // namespace insync

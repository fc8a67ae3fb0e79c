// The settings that triggers of a target run with: their owner's, as in a statement of his own.
//
// The statements that apply a batch run with pinned settings, so that an expression of a stream means one thing whoever
// runs it. A target's triggers weren't written for that: a name that they leave unqualified is found by the search path
// that their stream's owner would have after a login, and days begin where his TimeZone has them begin. So the settings
// change for the time of each outermost call of a trigger function, which PostgreSQL's hook around functions tells;
// what the function sets for itself (ALTER FUNCTION … SET) goes first. Rights stay as they are: the owner's, in a
// security-restricted operation; temporary tables of the session are looked at last.
#pragma once

#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "postgres.h"
}

namespace insync {

// Installs the hooks; called once from _PG_init.
void install_trigger_settings();

struct TriggerSetting {
    const char* name;
    std::string pinned, own;
    bool differs = false;  // else the pinned value is the owner's own
};
using TriggerSettings = std::vector<TriggerSetting>;

// Those that a session of the role in this database would begin with, of the settings that are pinned at present. Needs
// an Spi in scope.
std::unique_ptr<TriggerSettings> trigger_settings(Oid role);

// While one of these lives, triggers get the settings.
class TriggersAsOwner {
  public:
    explicit TriggersAsOwner(const TriggerSettings& settings);
    ~TriggersAsOwner();
    TriggersAsOwner(const TriggersAsOwner&) = delete;
    TriggersAsOwner& operator=(const TriggersAsOwner&) = delete;

  private:
    const TriggerSettings* before_;
    bool was_inside_;
};

}  // namespace insync

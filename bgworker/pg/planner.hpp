// Plans of the extension's own statements: the apply statement finds rows by the key's unique index, whatever the
// statistics of a growing table say.
//
// The planner's switches are set while such a statement is planned, and only then: functions that it calls (triggers,
// expressions of the stream, the target's defaults and checks) plan their statements with the session's switches.
#pragma once

namespace insync::pg {

// any: the planner chooses. key_lookups: neither scans of the target nor joins that read all of it, and no compiler
// (jit), whose costs the switches would make look worth it. scans: the same without the first two, inside of such a
// scope.
enum class Plans { any, key_lookups, scans };

// Installs the hook; called once from _PG_init.
void install_planner();

// While one of these lives, own statements are planned so. Returns to the choice before.
class PlanChoice {
  public:
    explicit PlanChoice(Plans plans);
    ~PlanChoice();
    PlanChoice(const PlanChoice&) = delete;
    PlanChoice& operator=(const PlanChoice&) = delete;

  private:
    Plans before_;
};

// While one of these lives, the statement with this text is an own one. `text` must outlive it.
class OwnStatement {
  public:
    explicit OwnStatement(const char* text);
    ~OwnStatement();
    OwnStatement(const OwnStatement&) = delete;
    OwnStatement& operator=(const OwnStatement&) = delete;

  private:
    const char* before_;
};

}  // namespace insync::pg

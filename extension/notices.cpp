// Tells the client; see notices.hpp.
#include "extension/notices.hpp"

#include "bgworker/catalog/stream.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/guard.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"

namespace insync {

namespace {

NoticeList* present_list = nullptr;

}  // namespace

NoticeList::NoticeList() : outer_(present_list) {
    present_list = this;
}

NoticeList::~NoticeList() {
    present_list = outer_;
}

pg::Value NoticeList::text() const {
    return text_.empty() ? pg::Value() : pg::Value(text_);
}

void notice(const std::string& text, const std::string& hint) {
    if (present_list != nullptr) {
        present_list->text_ += (present_list->text_.empty() ? "" : "; ") + text;
        return;
    }
    const char *message = text.c_str(), *advice = hint.c_str();
    pg::call([&] { ereport(NOTICE, (errmsg_internal("%s", message), *advice != '\0' ? errhint("%s", advice) : 0)); });
}

std::vector<std::string> chosen_streams(const std::string& pattern, Access access) {
    auto names = matching_streams(pattern, access);
    if (names.empty()) {
        notice(pattern == "%" ? "there are no streams" : "no stream matches " + quote_for_message(pattern),
               "SELECT stream FROM sync_status() lists the streams that you can see.");
    }
    return names;
}

void tell_missing_workers() {
    try {
        require_workers();
    } catch (const pg::Error& error) {  // it is our own, not PostgreSQL's: nothing is broken by it
        if (error.sqlstate != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) throw;
        notice(error.message, error.hint);
    }
}

void tell_how_it_runs(const Stream& stream) {
    const std::string name = pg::quote_literal(stream.name);
    if (!stream.schedule)
        notice("stream \"" + stream.name + "\" has no schedule and runs only when asked",
               "SELECT sync_alter(" + name + ", '{\"schedule\": \"10 minutes\"}') sets one; CALL sync_run(" + name +
                   ") runs it now.");
    tell_missing_workers();
}

}  // namespace insync

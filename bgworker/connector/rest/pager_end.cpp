// Whether the page behind which nothing leads on is the last one; see pager.hpp.
#include <algorithm>
#include <array>
#include <utility>

#include "bgworker/connector/rest/pager.hpp"

namespace insync::rest {

namespace {

// More than that aren't worth their place in the position.
constexpr std::size_t most_places = 100;

// As many rows as sources send where nobody says how many.
bool is_usual_size(std::size_t rows) {
    static constexpr std::array<std::size_t, 13> usual = {10,  20,  25,   30,   50,   100,  200,
                                                          250, 500, 1000, 2000, 5000, 10000};
    return std::find(usual.begin(), usual.end(), rows) != usual.end();
}

constexpr const char* paging_hint =
    "Set paging and params, such as {\"offset\": \"{offset}\", \"limit\": \"{limit}\"}.";
constexpr const char* all_hint = " If there is never more than that page, set paging to none.";

std::string shown(const std::string& text) {
    return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

Failure more_pages(const std::string& detail, const std::string& hint) {
    return {FailureClass::config, "the source has more pages, and no option says how to ask for them", detail, hint};
}

// The failure that a sign of more rows is, if there is one.
std::optional<Failure> failure_of(const Signs& signs, std::int64_t rows) {
    if (signs.token) {
        const Signs::Found& token = *signs.token;
        const bool is_place = token.place.starts_with('/');
        return more_pages("Its answer continues with \"" + shown(token.text) + "\" at " + token.place + ".",
                          is_place ? "Set paging and params, such as paging token, next_path " + token.place +
                                         " and params {\"" + parameter_for(token.place) + "\": \"[[{page_token}]]\"}."
                                   : "Set paging and params, such as paging page and params {\"page\": \"{page}\"}.");
    }
    if (signs.next_url) {
        const Signs::Found& link = *signs.next_url;
        const std::string hint = link.place.starts_with('/') ? "paging next_url, next_path " + link.place
                                                             : std::string("paging link_header");
        return more_pages("Its answer has a link to the next page at " + link.place + ".",
                          "Set paging and params, such as " + hint + ".");
    }
    if (signs.pages) {
        return more_pages("Its answer says " + signs.pages->text + " pages at " + signs.pages->place + ".",
                          "Set paging and params, such as paging page and params {\"page\": \"{page}\"}.");
    }
    if (signs.total) {
        return more_pages("Its answer says " + signs.total->text + " at " + signs.total->place + ", and " +
                              std::to_string(rows) + " rows came.",
                          std::string(paging_hint) + " If that is not a number of rows, set paging to none.");
    }
    if (signs.more && !signs.no_more)
        return more_pages("Its answer says so at " + signs.more->place + ".", paging_hint);
    return std::nullopt;
}

}  // namespace

// What the source has beyond the only page, as far as anything tells: it would be missed without a word.
void Pager::require_whole(const HttpResponse& response, const Page& page, std::optional<bool> more) {
    const std::int64_t longest = std::exchange(memory_->longest, std::max(memory_->longest, rows_));
    const Signs signs = signs_in(response, page, rows_);
    if (more.value_or(false)) throw failure_of(signs, rows_).value_or(more_pages("", paging_hint));
    if (total_ && *total_ > rows_) {
        throw failure_of(signs, rows_)
            .value_or(more_pages(
                "Its answer says " + std::to_string(*total_) + ", and " + std::to_string(rows_) + " rows came.",
                paging_hint));
    }
    if (endpoint_.paging != Paging::automatic) return;  // paging none: one page is all
    if (more || (signs.no_more && !signs.more)) return;
    if (const auto failure = failure_of(signs, rows_)) throw *failure;
    const bool asks = endpoint_.max_results == 0 && endpoint_.uses("limit");
    if (asks && !total_ && static_cast<std::int64_t>(page.rows()) >= endpoint_.page_size) {
        throw Failure(FailureClass::config, "the source may have more pages, and no option says how to ask for them",
                      "It sent as many rows as were asked for (" + std::to_string(page.rows()) + ").",
                      std::string(paging_hint) + all_hint);
    }
    if (signs.end || endpoint_.max_results > 0 || !is_usual_size(page.rows()) || longest > rows_) return;
    if (memory_->defers) {
        memory_->suspect = std::max(memory_->suspect, rows_);
        return;
    }
    throw may_be_cut(rows_);
}

Failure may_be_cut(std::int64_t rows) {
    return {FailureClass::config, "the source may have more pages, and no option says how to ask for them",
            "It sent " + std::to_string(rows) +
                " rows, which many sources do where no number is asked for, and nothing in its answer says that these "
                "are all.",
            std::string(paging_hint) + all_hint};
}

void PageMemory::require_whole() const {
    if (suspect > 0 && suspect >= longest) throw may_be_cut(suspect);
}

// A page behind which nothing leads on, where pages are asked for by what the one before says. The source may leave it
// out on its last page; or the option doesn't name the place where it stands, or the source has renamed it.
void Pager::require_end(const HttpResponse& response, const Page& page, std::optional<bool> more) {
    is_doubtful_ = false;
    if (more && !*more) return;
    if (more) {
        throw Failure(FailureClass::config, "the source says that it has more pages, but not where",
                      paging_ == Paging::link_header ? "The answer has no header Link with rel=\"next\"."
                                                     : "The answer has nothing at next_path \"" + next_path_ + "\".",
                      "Check the options paging, next_path and more_path.");
    }
    if (has_continued_) return;
    if (paging_ != Paging::link_header && page.envelope(next_path_).kind != Value::Kind::absent) return;
    Signs signs = signs_in(response, page, rows_);
    const bool is_known = memory_->is_of_run;
    if (is_known) {
        // A page before told where it stands, so that it isn't elsewhere; totals may be of all rows, not of the
        // query's.
        signs.total.reset();
        signs.pages.reset();
    }
    if (auto failure = failure_of(signs, rows_)) {
        failure->message = "the source has more pages, but the options do not lead to them";
        failure->detail += paging_ == Paging::link_header
                               ? " The answer has no header Link with rel=\"next\"."
                               : " The answer has nothing at next_path \"" + next_path_ + "\".";
        throw *failure;
    }
    if (is_known || signs.no_more || signs.end) return;
    const bool is_full = is_usual_size(page.rows()) ||
                         (endpoint_.uses("limit") && static_cast<std::int64_t>(page.rows()) >= endpoint_.page_size);
    if (!is_full) return;
    // The run before found it: now the source has left it out, unless it has come under another name.
    const std::vector<std::string>& known = memory_->places;
    const bool has_news = std::any_of(signs.places.begin(), signs.places.end(), [&](const std::string& place) {
        return std::find(known.begin(), known.end(), place) == known.end();
    });
    is_doubtful_ = !memory_->has_continued || has_news;
}

Failure Pager::doubt(std::size_t rows) const {
    return {FailureClass::config, "the source may have more pages, but the options do not lead to them",
            "It sent a full page of " + std::to_string(rows) + " rows with " +
                (paging_ == Paging::link_header ? "no header Link in the answer"
                                                : "nothing at next_path \"" + next_path_ + "\"") +
                ", and nothing says that these are all.",
            "Check the options paging and next_path; if there is never more than that page, set paging to none."};
}

bool Pager::leads_on(const HttpResponse& response, const Page& page) const {
    return paging_ == Paging::link_header ? next_link(response).has_value() : text_at(page, next_path_).has_value();
}

void Pager::note_continuation(const HttpResponse& response, const Page& page) {
    if (has_continued_) return;
    has_continued_ = memory_->has_continued = memory_->is_of_run = true;
    memory_->places = signs_in(response, page, rows_).places;
    if (memory_->places.size() > most_places) memory_->places.clear();
}

}  // namespace insync::rest

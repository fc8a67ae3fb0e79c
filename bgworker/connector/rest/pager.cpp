// Paging; see pager.hpp.
#include "bgworker/connector/rest/pager.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/url.hpp"

namespace insync::rest {

namespace {

// Where well-known APIs put the next page's URL, its token, and whether there is one.
constexpr std::array<const char*, 10> known_next_urls = {
    "/next",        "/@odata.nextLink", "/nextLink",      "/links/next",     "/links/next/href", "/_links/next/href",
    "/paging/next", "/nextRecordsUrl",  "/next_page_url", "/pagination/next"};
constexpr std::array<const char*, 6> known_tokens = {"/next_page_token",  "/nextPageToken",     "/next_cursor",
                                                     "/meta/next_cursor", "/paging/next/after", "/cursor"};
constexpr std::array<const char*, 3> known_more = {"/hasMore", "/has_more", "/hasNextPage"};
constexpr std::array<const char*, 4> known_totals = {"/total", "/totalCount", "/@odata.count", "/meta/total_count"};

std::optional<std::int64_t> to_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
    return number;
}

bool looks_like_url(std::string_view text) {
    return text.find('/') != std::string_view::npos || text.starts_with('?');
}

}  // namespace

std::optional<std::string> text_at(const Page& page, std::string_view pointer) {
    if (pointer.empty()) return std::nullopt;
    const Value value = page.envelope(pointer);
    const bool is_scalar = value.kind == Value::Kind::string || value.kind == Value::Kind::integer;
    if (!is_scalar || value.text.empty()) return std::nullopt;
    return std::string(value.text);
}

namespace {

// A token can be a value of any form, which is sent back as it came: {page_token:json}.
std::optional<std::string> token_at(const Page& page, std::string_view pointer) {
    if (std::optional<std::string> text = text_at(page, pointer)) return text;
    const Value value = pointer.empty() ? Value() : page.envelope(pointer);
    return value.kind == Value::Kind::json ? std::optional(std::string(value.text)) : std::nullopt;
}

}  // namespace

Pager::Pager(const Endpoint& endpoint, PageMemory* memory)
    : endpoint_(endpoint),
      memory_(memory),
      paging_(endpoint.paging),
      next_path_(endpoint.next_path),
      more_path_(endpoint.more_path),
      page_(endpoint.first_page) {
    for (const std::string& pointer :
         {endpoint.next_path, endpoint.more_path, endpoint.total_path, endpoint.response_watermark}) {
        if (!pointer.empty()) wanted_.push_back(pointer);
    }
    for (const char* pointer : known_more) wanted_.push_back(pointer);
    for (const char* pointer : known_totals) wanted_.push_back(pointer);
    if (paging_ == Paging::automatic || (paging_ == Paging::next_url && next_path_.empty())) {
        for (const char* pointer : known_next_urls) wanted_.push_back(pointer);
    }
    if (paging_ == Paging::automatic || (paging_ == Paging::token && next_path_.empty())) {
        for (const char* pointer : known_tokens) wanted_.push_back(pointer);
    }
}

void Pager::place(Values& values) const {
    values.texts["offset"] = std::to_string(offset_);
    values.texts["page"] = std::to_string(page_);
    if (token_) values.texts["page_token"] = *token_;
    if (last_key_) values.texts["last_key"] = *last_key_;
}

// What the first answer and the request's own placeholders tell of the paging.
void Pager::detect(const HttpResponse& response, const Page& page) {
    auto first_of = [&](const auto& pointers, bool is_url) -> const char* {
        for (const char* pointer : pointers) {
            const std::optional<std::string> text = text_at(page, pointer);
            if (text && (!is_url || looks_like_url(*text))) return pointer;
        }
        return nullptr;
    };
    if (paging_ == Paging::automatic) {
        if (endpoint_.uses("offset")) {
            paging_ = Paging::offset;
        } else if (endpoint_.uses("page")) {
            paging_ = Paging::page;
        } else if (endpoint_.uses("last_key")) {
            paging_ = Paging::last_key;
        } else if (endpoint_.uses("page_token")) {
            paging_ = Paging::token;
        } else if (!next_path_.empty()) {
            paging_ = Paging::next_url;
        } else if (next_link(response)) {
            paging_ = Paging::link_header;
        } else if (const char* pointer = first_of(known_next_urls, true)) {
            paging_ = Paging::next_url;
            next_path_ = pointer;
        } else if (const Signs signs = signs_in(response, page, rows_); signs.next_url && !signs.no_more) {
            paging_ = Paging::next_url;
            keeps_parameters_ = true;
            find_at(*signs.next_url);
        } else {
            paging_ = Paging::none;
        }
    }
    if (next_path_.empty() && paging_ == Paging::next_url) {
        if (const char* pointer = first_of(known_next_urls, true)) {
            next_path_ = pointer;
        } else if (const Signs signs = signs_in(response, page, rows_); signs.next_url) {
            find_at(*signs.next_url);
        }
    }
    if (next_path_.empty() && paging_ == Paging::token) {
        if (const char* pointer = first_of(known_tokens, false)) {
            next_path_ = pointer;
        } else if (const Signs signs = signs_in(response, page, rows_); signs.token) {
            find_at(*signs.token);
        }
    }
}

// The place where the first page has its continuation is where the others have theirs.
void Pager::find_at(const Signs::Found& sign) {
    if (!sign.place.starts_with('/')) return;
    next_path_ = sign.place;
    wanted_.push_back(next_path_);
    first_next_ = sign.text;
    if (sign.place.ends_with("/next")) wanted_.push_back(base_path());
}

// Where the URL stands that links like /next are meant to be below.
std::string Pager::base_path() const {
    return next_path_.substr(0, next_path_.rfind('/')) + "/base";
}

std::optional<std::string> Pager::next_in(const Page& page) {
    std::optional<std::string> next = paging_ == Paging::token ? token_at(page, next_path_) : text_at(page, next_path_);
    if (!next) next = first_next_;
    first_next_.reset();
    return next;
}

std::optional<bool> Pager::says_more(const Page& page) const {
    auto read = [&](std::string_view pointer) -> std::optional<bool> {
        const Value value = page.envelope(pointer);
        // A number is how many are left, where an option names it.
        if (value.kind == Value::Kind::integer && pointer == more_path_) return value.text != "0";
        if (value.kind != Value::Kind::boolean) return std::nullopt;
        return value.text == "true";
    };
    if (!more_path_.empty()) {
        const std::optional<bool> said = read(more_path_);
        return said && endpoint_.more_is_negated ? std::optional(!*said) : said;
    }
    for (const char* pointer : known_more) {
        if (const std::optional<bool> said = read(pointer)) return said;
    }
    return std::nullopt;
}

void Pager::read_total(const HttpResponse& response, const Page& page) {
    total_.reset();
    auto take = [&](const std::optional<std::string>& text) {
        if (!total_ && text) total_ = to_number(*text);
    };
    total_is_sure_ = true;
    if (!endpoint_.total_path.empty()) return take(text_at(page, endpoint_.total_path));
    for (const char* header : {"x-total-count", "x-wp-total", "x-total"}) take(response.header(header));
    if (const std::optional<std::string> range = response.header("content-range")) {
        if (const std::size_t slash = range->rfind('/'); slash != std::string::npos) take(range->substr(slash + 1));
    }
    total_is_sure_ = total_.has_value();
    for (const char* pointer : known_totals) take(text_at(page, pointer));
}

void Pager::require_new(const std::string& mark) {
    if (seen_.insert(mark).second) return;
    throw Failure(FailureClass::source, "the source's pages form a loop",
                  "The same next link or token came a second time.",
                  "Check the options paging, next_path and more_path, and the source itself.");
}

bool Pager::follow(const HttpResponse& response, const Page& page, std::optional<std::string> reference) {
    url_.reset();
    if (!reference) return false;
    if (const auto base = text_at(page, base_path()); base && reference->starts_with('/')) {
        const std::string path = path_of(*base);
        if (path.size() > 1 && !reference->starts_with(path + "/")) reference = *base + *reference;
    }
    url_ = resolve_url(response.url, *reference);
    if (keeps_parameters_ && reference->starts_with('?')) url_ = with_missing_parameters(*url_, response.url);
    require_new(*url_);
    return true;
}

bool Pager::advance(const HttpResponse& response, const Page& page, std::size_t rows, const std::string& last_key) {
    detect(response, page);
    read_total(response, page);
    rows_ += static_cast<std::int64_t>(rows);
    const std::optional<bool> more = says_more(page);
    const auto has_reached_total = [&](std::int64_t count) { return total_ && total_is_sure_ && count >= *total_; };
    expects_more_ = more.value_or(total_ && total_is_sure_ && rows_ < *total_);
    // The same place would be asked for again and again.
    const bool must_move = paging_ == Paging::offset || paging_ == Paging::keyset || paging_ == Paging::last_key;
    if (must_move && more.value_or(false) && page.rows() == 0) {
        throw Failure(FailureClass::source, "a page of the source brings nothing new",
                      "It is empty, and the source says that there are more.",
                      "Check the options paging, params and more_path, and the source itself.");
    }
    switch (paging_) {
        case Paging::automatic:
        case Paging::none:
            require_whole(response, page, more);
            return false;
        case Paging::offset:
        case Paging::keyset:
            offset_ += static_cast<std::int64_t>(page.rows());
            if (more) return *more;
            return page.rows() > 0 && !has_reached_total(offset_);
        case Paging::page: {
            page_++;
            const auto pages = response.header("x-wp-totalpages");
            const std::optional<std::int64_t> last = pages ? to_number(*pages) : std::nullopt;
            if (more) return *more;
            if (last && page_ - endpoint_.first_page >= *last) return false;
            return page.rows() > 0 && !has_reached_total(rows_);
        }
        case Paging::link_header:
        case Paging::next_url: {
            const std::optional<std::string> next =
                paging_ == Paging::link_header ? next_link(response) : next_in(page);
            // A link that we found by ourselves may be there on the last page, too, where a flag says that it is.
            const bool is_ours = endpoint_.next_path.empty() && paging_ == Paging::next_url;
            if (next && is_ours && signs_in(response, page, rows_).no_more) return false;
            if (next) {
                note_continuation(response, page);
            } else {
                require_end(response, page, more);
            }
            return follow(response, page, next);
        }
        case Paging::token:
            // Some give a token with every answer: the last has no rows.
            if (page.rows() == 0 && !more.value_or(false)) return false;
            token_ = next_in(page);
            if (more && !*more) return false;
            if (!token_) {
                require_end(response, page, more);
                return false;
            }
            note_continuation(response, page);
            require_new(*token_);
            return true;
        case Paging::last_key:
            if (more && !*more) return false;
            if (page.rows() == 0) return false;
            require_new(last_key);
            last_key_ = last_key;
            return true;
    }
    return false;
}

}  // namespace insync::rest

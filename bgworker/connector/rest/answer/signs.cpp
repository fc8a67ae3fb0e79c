// Signs of further pages; see signs.hpp.
#include "bgworker/connector/rest/answer/signs.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string_view>

#include "bgworker/options/values.hpp"

namespace insync::rest {

namespace {

using Names = std::initializer_list<std::string_view>;

bool is_among(std::string_view name, Names names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool holds(std::string_view name, Names parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

// Without case, punctuation and the like: next_page, nextPage and @odata.nextPage begin alike.
std::string plain(std::string_view name) {
    std::string out;
    for (char c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
    }
    return out;
}

bool is_url(std::string_view text) {
    return text.starts_with("http://") || text.starts_with("https://") || text.starts_with('/') ||
           text.starts_with('?') ||
           (text.find('?') != std::string_view::npos && text.find('=') != std::string_view::npos);
}

// A link, by its name alone.
bool is_link_name(std::string_view name) {
    if (is_among(name, {"odatanextlink", "moretopicsurl"})) return true;
    return name.starts_with("next") &&
           (name.ends_with("url") || name.ends_with("uri") || name.ends_with("link") || name.ends_with("href"));
}

// A link or a token.
bool is_next_name(std::string_view name) {
    return is_among(name, {"next", "nextpage", "nextresults", "nextresult"});
}

bool is_token_name(std::string_view name) {
    if (holds(name, {"sync", "delta", "refresh", "access", "auth", "csrf"})) return false;
    if (is_among(name, {"cursor", "aftercursor", "endcursor", "continuation", "continuationtoken", "continue",
                        "scrollid", "lastevaluatedkey", "resumptiontoken", "pagestate", "cursornext"})) {
        return true;
    }
    return (name.starts_with("next") || name.ends_with("next")) &&
           holds(name, {"cursor", "token", "page", "start", "offset", "marker", "key", "index", "position", "after",
                        "skip", "from", "batch"});
}

// What follows an object called next.
bool is_inside_next(std::string_view name) {
    return is_among(name, {"after", "cursor", "page", "offset", "startingafter", "token", "start", "skip", "id"});
}

bool is_more_name(std::string_view name) {
    return is_among(
        name, {"hasmore", "hasnext", "hasnextpage", "more", "morerecords", "moreitemsincollection", "moreresults",
               "moreresultsavailable", "istruncated", "truncated", "hasmorepages", "hasmoreresults", "hasmoreitems",
               "hasmorerecords", "hasmoredata", "moreavailable", "next", "nextpage"});
}

bool is_last_name(std::string_view name) {
    return is_among(name, {"last", "islast", "islastpage", "lastpage", "done", "complete", "iscomplete", "finished",
                           "endofrecords", "end", "endoflist"});
}

bool is_total_name(std::string_view name) {
    return is_among(name,
                    {"total",           "totalcount",   "totalsize",    "totalitems", "totalelements", "totalresults",
                     "totalrows",       "totalrecords", "totalentries", "totalhits",  "nbhits",        "numfound",
                     "recordsfiltered", "itemcount",    "filtercount",  "odatacount", "totalsetsize",  "totalmatches",
                     "numberofrecords", "totalobjects", "totalnumber",  "itemstotal", "rowcount"});
}

// As often of the page.
bool is_count_name(std::string_view name) {
    return is_among(name, {"count", "items"});
}

// Objects that count something else than rows.
bool is_other(std::string_view name) {
    return is_among(name, {"shards", "facets", "aggregations", "stats", "summary", "usage", "quota", "ratelimit",
                           "limits", "cost", "credits", "timing", "timings"});
}

bool is_page_count_name(std::string_view name) {
    return is_among(name, {"totalpages", "pagecount", "pages", "lastpage", "nbpages", "numpages", "pagestotal",
                           "totalpagecount", "numberofpages", "last"});
}

std::optional<std::int64_t> to_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
    return number;
}

void set(std::optional<Signs::Found>& sign, std::string_view place, std::string_view text) {
    if (!sign) sign = {std::string(place), std::string(text)};
}

class Reading {
  public:
    Reading(Signs& signs, std::int64_t rows) : signs_(signs), rows_(rows) {}

    void read(const Page::Around& item) {
        const Value::Kind kind = item.kind;
        const std::string_view place = item.pointer, text = item.text;
        const std::string name = item.name == "__count" ? "odatacount" : plain(item.name), parent = plain(item.parent);
        const bool is_text = kind == Value::Kind::string;
        if (item.is_next_link) {
            if (is_text && !text.empty()) set(signs_.next_url, place, text);
            return;
        }
        const bool in_next = is_next_name(parent) || parent == "nextlink";
        // Of a link object: {"next": {"href": ...}}.
        if (in_next && is_among(name, {"href", "url", "uri", "link"}) && is_text && !text.empty()) {
            return set(signs_.next_url, place, text);
        }
        const bool is_link = is_link_name(name);
        const bool is_airtable = name == "offset" && is_text && !to_number(text);
        const bool is_reddit = name == "after" && holds(parent, {"data", "pag", "meta"});
        const bool continues = is_link || is_next_name(name) || is_token_name(name) || is_airtable || is_reddit ||
                               (in_next && is_inside_next(name));
        if (continues && (kind == Value::Kind::null || (is_text && text.empty()))) return set(signs_.end, place, text);
        if (is_text && (is_link || (is_next_name(name) && is_url(text)))) return set(signs_.next_url, place, text);
        if (kind == Value::Kind::boolean) return read_flag(name, place, text == "true");
        if (continues && (is_text || kind == Value::Kind::integer) && text != "0" && text != "nil") {
            // A token beside a number is what to ask by.
            if (is_text && token_is_number_) signs_.token.reset();
            token_is_number_ = kind == Value::Kind::integer && (!signs_.token || token_is_number_);
            return set(signs_.token, place, text);
        }
        if (kind == Value::Kind::json && is_token_name(name)) return set(signs_.token, place, text);
        if (kind == Value::Kind::integer || is_text) read_number(name, parent, place, text);
    }

    // Where nothing else tells of a total, a count at the top may be one.
    void finish() {
        if (count_ && !has_total_) read_total(count_->place, count_->text, true);
    }

    void read_total(std::string_view place, std::string_view text, bool may_be_of_page) {
        const auto number = to_number(text);
        if (!number) return;
        if (*number > rows_ && (!signs_.count || *signs_.count <= rows_)) {
            signs_.count = number;
            signs_.total = {std::string(place), std::string(text)};
        }
        if (*number <= rows_ && !may_be_of_page) set(signs_.end, place, text);
    }

    void read_pages(std::string_view place, std::string_view text) {
        const auto number = to_number(text);
        if (!number) return;
        set(*number > 1 ? signs_.pages : signs_.end, place, text);
    }

  private:
    void read_flag(std::string_view name, std::string_view place, bool is_set) {
        const bool is_more = is_more_name(name);
        if (!is_more && !is_last_name(name)) return;
        set(is_more == is_set ? signs_.more : signs_.no_more, place, is_set ? "true" : "false");
    }

    void read_number(std::string_view name, std::string_view parent, std::string_view place, std::string_view text) {
        if (name == "remainingitemcount") {
            if (text != "0") set(signs_.more, place, text);
        } else if (is_other(parent)) {
            return;
        } else if (is_total_name(name) || (name == "value" && is_total_name(parent))) {
            has_total_ = has_total_ || to_number(text);
            read_total(place, text, false);
        } else if (is_count_name(name) && parent.empty()) {
            set(count_, place, text);
        } else if (is_page_count_name(name)) {
            read_pages(place, text);
        }
    }

    Signs& signs_;
    std::int64_t rows_;
    std::optional<Signs::Found> count_;
    bool has_total_ = false, token_is_number_ = false;
};

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
    return result;
}

// Whether the parameters of a link, in lower case, have a rel that holds the word: rel="next last" holds next.
bool has_relation(std::string_view parameters, std::string_view word) {
    for (std::size_t at = 0; (at = parameters.find("rel", at)) != std::string_view::npos;) {
        const bool is_name = at == 0 || std::string_view("; \t").find(parameters[at - 1]) != std::string_view::npos;
        at += 3;
        const std::string_view rest = trim(parameters.substr(at));
        if (!is_name || !rest.starts_with('=')) continue;
        std::string_view words = trim(rest.substr(1));
        const char quote = words.empty() ? ' ' : words[0];
        const bool is_quoted = quote == '"' || quote == '\'';
        if (is_quoted) words.remove_prefix(1);
        words = words.substr(0, words.find_first_of(is_quoted ? std::string_view(&quote, 1) : ";, \t"));
        while (!words.empty()) {
            const std::size_t space = std::min(words.find_first_of(" \t"), words.size());
            if (words.substr(0, space) == word) return true;
            words.remove_prefix(std::min(space + 1, words.size()));
        }
    }
    return false;
}

std::optional<std::string> link_to(const HttpResponse& response, std::string_view relation) {
    for (const auto& [name, value] : response.headers) {
        if (name != "link") continue;
        for (std::size_t begin = value.find('<'); begin != std::string::npos;) {
            const std::size_t end = value.find('>', begin);
            if (end == std::string::npos) break;
            const std::size_t next = value.find('<', end);
            const std::string parameters = lower(std::string_view(value).substr(end + 1, next - end - 1));
            if (has_relation(parameters, relation)) return value.substr(begin + 1, end - begin - 1);
            begin = next;
        }
    }
    return std::nullopt;
}

void read_headers(const HttpResponse& response, Signs& signs, Reading& reading) {
    const auto next = next_link(response);
    if (next) signs.next_url = {"header Link", *next};
    if (!next && (link_to(response, "last") || link_to(response, "prev") || link_to(response, "first"))) {
        set(signs.end, "header Link", "");
    }
    for (const char* name : {"x-total-count", "x-wp-total", "x-total", "total-count", "x-pagination-total-count"}) {
        if (const auto value = response.header(name)) reading.read_total("header " + std::string(name), *value, false);
    }
    if (const auto range = response.header("content-range")) {
        if (const std::size_t slash = range->rfind('/'); slash != std::string::npos) {
            reading.read_total("header content-range", range->substr(slash + 1), false);
        }
    }
    for (const char* name : {"x-total-pages", "x-wp-totalpages", "x-pagination-page-count"}) {
        if (const auto value = response.header(name)) reading.read_pages("header " + std::string(name), *value);
    }
    for (const char* name : {"x-next-page", "next-range", "x-next-cursor", "x-continuation", "x-ms-continuation"}) {
        const auto value = response.header(name);
        if (value) set(value->empty() ? signs.end : signs.token, "header " + std::string(name), *value);
    }
    if (response.status == 206) set(signs.more, "status", "206");
}

}  // namespace

std::optional<std::string> next_link(const HttpResponse& response) {
    return link_to(response, "next");
}

Signs signs_in(const HttpResponse& response, const Page& page, std::int64_t rows) {
    Signs signs;
    Reading reading(signs, rows);
    read_headers(response, signs, reading);
    // The whole total tells what the status means.
    if (response.status == 206 && signs.end && !signs.total) signs.more.reset();
    for (const Page::Around& item : page.around()) {
        signs.places.push_back(item.pointer);
        reading.read(item);
    }
    reading.finish();
    return signs;
}

std::string parameter_for(std::string_view place) {
    const std::string_view name = place.substr(std::min(place.find_last_of("/ ") + 1, place.size()));
    const std::string key = plain(name);
    if (key == "nextpagetoken") return name.find('_') == std::string_view::npos ? "pageToken" : "page_token";
    if (key == "next" || key == "nextpage") return "page";
    for (const std::string_view prefix : {"next_", "next"}) {
        if (!name.starts_with(prefix) || name.size() <= prefix.size()) continue;
        std::string rest(name.substr(prefix.size()));
        if (rest[0] >= 'A' && rest[0] <= 'Z' && key != "nexttoken") rest[0] = static_cast<char>(rest[0] - 'A' + 'a');
        return key == "nexttoken" ? std::string(name) : rest;
    }
    if (key == "endcursor") return "after";
    return std::string(name);
}

}  // namespace insync::rest

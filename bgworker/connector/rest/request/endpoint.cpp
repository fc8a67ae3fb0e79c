// Resources from options; see endpoint.hpp.
#include "bgworker/connector/rest/request/endpoint.hpp"

#include <algorithm>
#include <array>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/http/url.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync::rest {

namespace {

constexpr std::array<std::string_view, 9> paging_names = {"auto",     "none",  "offset",   "page",  "link_header",
                                                          "next_url", "token", "last_key", "keyset"};

constexpr std::array<std::string_view, 6> rows_form_names = {"auto", "objects", "map", "arrays", "ndjson", "csv"};

std::vector<std::string> parse_names(std::string_view list) {
    std::vector<std::string> names;
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const std::string_view name = trim(list.substr(0, comma));
        if (!name.empty()) names.emplace_back(name);
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return names;
}

// Each text of a JSON value as a template of its own; what has no value then is left out of the object or array that it
// stands in. False: it is left out itself.
bool render_texts(nlohmann::ordered_json& json, const Values& values) {
    if (json.is_string()) {
        const auto text = Template(json.get<std::string>(), true).render(values, Place::plain);
        if (text) json = replaced_utf8(*text);
        return text.has_value();
    }
    for (auto member = json.begin(); json.is_structured() && member != json.end();) {
        if (render_texts(*member, values)) {
            ++member;
        } else {
            member = json.erase(member);
        }
    }
    return true;
}

// A text of which only constants can be part, such as a path in the answer.
std::string render_constant(const std::string& text, const Values& constants) {
    return Template(text).render(constants, Place::plain).value_or(text);
}

// A value that comes to nothing isn't sent: a filter without what it would compare with.
bool is_empty(const std::optional<std::string>& value) {
    return !value || value->empty() || *value == "{}";
}

}  // namespace

std::string_view name_of(Paging paging) {
    return paging_names[static_cast<std::size_t>(paging)];
}

bool Endpoint::uses(std::string_view placeholder) const {
    auto pair_uses = [&](const auto& pair) { return pair.first.uses(placeholder) || pair.second.uses(placeholder); };
    return path.uses(placeholder) || (body && body->uses(placeholder)) ||
           std::any_of(parameters.begin(), parameters.end(), pair_uses) ||
           std::any_of(headers.begin(), headers.end(), pair_uses);
}

std::vector<std::string> Endpoint::parent_fields() const {
    std::vector<std::string> fields;
    auto add = [&](const Template& text) {
        for (std::string& field : text.parent_fields()) {
            if (std::find(fields.begin(), fields.end(), field) == fields.end()) fields.push_back(std::move(field));
        }
    };
    add(path);
    for (const auto& [name, value] : parameters) add(value);
    for (const auto& [name, value] : headers) add(value);
    if (body) add(*body);
    return fields;
}

HttpRequest Endpoint::request(const Values& given) const {
    Values values = given;
    values.texts.insert(constants.texts.begin(), constants.texts.end());
    if (values.order.empty()) values.order = constants.order;
    auto missing = [](const char* what) {
        return Failure(FailureClass::config, std::string("a placeholder in the option ") + what + " has no value here",
                       "", "Put it into an optional part: [[...]].");
    };
    HttpRequest request;
    request.method = method;
    const std::optional<std::string> rendered_path = path.render(values, Place::path);
    if (!rendered_path) throw missing("path");
    std::vector<std::pair<std::string, std::string>> query;
    for (const auto& [name, value] : parameters) {
        const std::optional<std::string> rendered_name = name.render(values, Place::plain);
        std::optional<std::string> rendered = value.render(values, value.is_json() ? Place::json : Place::plain);
        if (!is_empty(rendered_name) && !is_empty(rendered)) query.emplace_back(*rendered_name, std::move(*rendered));
    }
    request.url = with_parameters(join_url(base_url, *rendered_path), query);
    // Whoever may use a server may name sources, but not send this machine anywhere else.
    if (origin_of(request.url) != origin_of(base_url)) {
        throw Failure(FailureClass::config, "the path leads away from base_url",
                      "It leads to " + origin_of(request.url) + ".", "Name the source by its path under base_url.");
    }
    for (const auto& [name, value] : headers) {
        const std::optional<std::string> rendered_name = name.render(values, Place::plain);
        std::optional<std::string> rendered = value.render(values, Place::plain);
        if (is_empty(rendered_name) || is_empty(rendered)) continue;
        if (has_control_characters(*rendered_name) || has_control_characters(*rendered)) {
            throw Failure(FailureClass::config, "header \"" + *rendered_name + "\" would hold a control character");
        }
        request.headers.emplace_back(*rendered_name, std::move(*rendered));
    }
    if (body) {
        if (body->needs("select") && !values.texts.contains("select")) {
            throw Failure(FailureClass::config,
                          "the request names the fields to read, and option \"select\" is not set", "",
                          "Set it, such as select 'id name updatedAt'.");
        }
        request.body = body->render(values, body_place);
        if (!request.body && body_place == Place::json) {
            // An object has no place for an optional part around a member.
            auto json = nlohmann::ordered_json::parse(body_text, nullptr, false);
            if (!json.is_discarded() && render_texts(json, values)) request.body = json.dump();
        }
        if (!request.body) throw missing("body");
        if (body_place == Place::json && !has_header(request.headers, "content-type"))
            request.headers.emplace_back("Content-Type", "application/json");
    }
    return request;
}

Endpoint make_endpoint(const Settings& settings, const std::string& source, const std::vector<std::string>& key,
                       const std::vector<std::string>& watermark) {
    if (has_control_characters(source)) {
        throw Failure(FailureClass::config,
                      "source " + quote_for_message(source) + " holds a line break or another control character", "",
                      "A source is one path, such as orders or shop/orders.");
    }
    Endpoint endpoint;
    endpoint.base_url = settings.text("base_url");
    endpoint.source = source;
    endpoint.method = settings.text("method");
    endpoint.page_size = settings.number("page_size");
    endpoint.first_page = settings.number("first_page");
    endpoint.max_pages = settings.number("max_pages");
    endpoint.stable_pages = settings.flag("stable_pages");
    if (settings.has("max_results")) endpoint.max_results = settings.number("max_results");

    Values& constants = endpoint.constants;
    constants.texts["source"] = source;
    constants.texts["limit"] = std::to_string(endpoint.page_size);
    if (settings.has("select")) constants.texts["select"] = settings.text("select");
    if (!watermark.empty()) constants.texts["watermark"] = watermark.front();

    // A source is a path itself, with its own slashes and parameters.
    const std::string path = settings.text("path");
    endpoint.path = path == "{source}" ? Template(source) : Template(path);
    for (const auto& [name, value] : settings.object("params")) {
        endpoint.parameters.emplace_back(Template(name), Template(value));
    }
    for (const auto& [name, value] : settings.object("headers")) {
        endpoint.headers.emplace_back(Template(name), Template(value));
    }
    if (settings.has("body")) {
        const std::string body = settings.text("body");
        endpoint.body = Template(body);
        endpoint.body_text = body;
        endpoint.body_place = endpoint.body->is_json() ? Place::json : Place::plain;
    }
    // What the parent's row tells is no field of these rows.
    const std::vector<std::string> parents = endpoint.parent_fields();
    constants.order = watermark;
    std::string& keys = constants.texts["keys"];
    for (const std::string& field : key) {
        const bool is_parents =
            std::any_of(parents.begin(), parents.end(), [&](const auto& name) { return field == "parent_" + name; });
        if (is_parents) continue;
        constants.texts.emplace("key", field);
        keys += (keys.empty() ? "" : ",") + field;
        if (std::find(constants.order.begin(), constants.order.end(), field) == constants.order.end()) {
            constants.order.push_back(field);
        }
    }
    endpoint.shape.rows_path = render_constant(settings.text("rows_path"), constants);
    endpoint.shape.row_path = settings.text("row_path");
    endpoint.shape.flatten = parse_names(settings.text("flatten"));
    endpoint.shape.ignored = parse_names(settings.text("ignored_fields"));
    const std::string form = settings.text("rows_form");
    const auto known_form = std::find(rows_form_names.begin(), rows_form_names.end(), form);
    if (known_form != rows_form_names.end())
        endpoint.rows_form = static_cast<RowsForm>(known_form - rows_form_names.begin());
    endpoint.row_names = parse_names(settings.text("row_names"));
    endpoint.finds_rows = endpoint.shape.rows_path.empty();
    endpoint.error_path = settings.text("error_path");
    endpoint.next_path = render_constant(settings.text("next_path"), constants);
    endpoint.more_path = render_constant(settings.text("more_path"), constants);
    endpoint.more_is_negated = endpoint.more_path.starts_with('!');
    if (endpoint.more_is_negated) endpoint.more_path.erase(0, 1);
    endpoint.total_path = render_constant(settings.text("total_path"), constants);
    endpoint.response_watermark = render_constant(settings.text("response_watermark"), constants);
    const std::string paging = settings.text("paging");
    const auto named = std::find(paging_names.begin(), paging_names.end(), paging);
    endpoint.paging =
        named == paging_names.end() ? Paging::automatic : static_cast<Paging>(named - paging_names.begin());
    const std::string order = settings.text("order");
    endpoint.order = order == "asc" ? Order::asc : order == "desc" ? Order::desc : Order::none;
    return endpoint;
}

namespace {

void lay_over(Endpoint& endpoint, const Settings& settings, std::string_view option, bool in_slice) {
    const auto slice = settings.object(option);
    // Those that are laid over are told by their names as they were written.
    const auto params = settings.object("params");
    std::vector<std::pair<Template, Template>> parameters;
    for (std::size_t i = 0; i < params.size(); i++) {
        const bool is_replaced = std::any_of(slice.begin(), slice.end(),
                                             [&](const auto& member) { return member.first == params[i].first; });
        if (!is_replaced) parameters.push_back(std::move(endpoint.parameters[i]));
    }
    for (const auto& [name, value] : slice)
        parameters.emplace_back(Template(name, in_slice), Template(value, in_slice));
    endpoint.parameters = std::move(parameters);
    if (!settings.has("slice_body")) return;
    endpoint.body_text = settings.text("slice_body");
    endpoint.body = Template(endpoint.body_text, true);
    endpoint.body_place = endpoint.body->is_json() ? Place::json : Place::plain;
}

}  // namespace

void require_column_names(const Endpoint& endpoint, bool by_order, const std::string& columns) {
    if (endpoint.uses("watermark") || (by_order && endpoint.uses("order"))) return;
    throw Failure(FailureClass::config, "the request cannot ask for several watermark columns",
                  "The stream's are " + columns + ", and nothing in the request stands for the one that it asks by.",
                  "Write {watermark} in params in place of the column's name, or name one watermark column.");
}

void add_slice_query(Endpoint& endpoint, const Settings& settings) {
    lay_over(endpoint, settings, "slice_query", true);
}

void add_null_query(Endpoint& endpoint, const Settings& settings) {
    lay_over(endpoint, settings, "null_query", false);
}

}  // namespace insync::rest

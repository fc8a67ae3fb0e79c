// Fields by name and by pointer; see fields.hpp.
#include "bgworker/connector/rest/answer/fields.hpp"

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_scanner.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

namespace {

// As many as a table can have columns. Rows that are used as maps have as many members as there are keys.
constexpr std::size_t max_members = 1600;

}  // namespace

std::size_t Fields::new_field(std::string_view name) {
    names_.emplace_back(name);
    by_name_.emplace(name, names_.size() - 1);
    return names_.size() - 1;
}

std::size_t Fields::member_entry(std::string_view name) {
    if (auto found = by_member_.find(name); found != by_member_.end()) return found->second;
    if (members_.size() == max_members) {
        throw Failure(FailureClass::source,
                      "the rows have more than " + std::to_string(max_members) + " different members", "",
                      "If the rows are the values of a map by key, see rows_path and row_path. The option other_fields "
                      "gathers members.");
    }
    members_.emplace_back().name = name;
    by_member_.emplace(name, members_.size() - 1);
    return members_.size() - 1;
}

std::size_t Fields::add(std::string_view name) {
    if (const std::optional<std::size_t> known = find(name)) return *known;
    const std::size_t field = new_field(name);
    members_[member_entry(name)].fields.push_back(field);
    return field;
}

std::size_t Fields::add_pointer(std::string_view name, std::string_view pointer) {
    std::vector<std::string> tokens = pointer_tokens(pointer);
    if (tokens.empty()) {
        throw Failure(FailureClass::config, "field \"" + std::string(name) + "\" points to the row itself");
    }
    if (find(name)) {
        throw Failure(FailureClass::config, "field \"" + std::string(name) + "\" is declared twice");
    }
    const std::size_t field = new_field(name);
    Member& member = members_[member_entry(tokens[0])];
    if (tokens.size() == 1) {
        member.fields.push_back(field);
    } else {
        tokens.erase(tokens.begin());
        member.deep.push_back({field, std::move(tokens)});
    }
    return field;
}

std::optional<std::size_t> Fields::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::size_t Fields::member(std::string_view name, std::size_t guess) {
    if (guess < members_.size() && members_[guess].row != 0 && members_[guess].name == name) return guess;
    if (is_closed_) {
        const auto found = by_member_.find(name);
        return found == by_member_.end() ? none : found->second;
    }
    const std::size_t known = members_.size();
    const std::size_t number = member_entry(name);
    Member& member = members_[number];
    // A member with pointers into it has a field of its own as well, but only once it was seen.
    if ((number == known || !member.deep.empty()) && member.fields.empty()) {
        const std::string shown = replaced_utf8(name);
        if (!find(shown)) member.fields.push_back(new_field(shown));
    }
    return number;
}

}  // namespace insync::rest

// The fields of a JSON source: which members its rows have, and what is taken from where in them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace insync::rest {

// Fields by number: the members of rows that were seen or declared. A declared field may stand deeper in the row, as
// its JSON pointer says; a member that isn't known gets the next number. A member that a declared field points to has
// no field of its own name, and a declared field hides a member of its name.
class Fields {
  public:
    // A member of the row.
    std::size_t add(std::string_view name);
    // A value at a JSON pointer (RFC 6901) in the row, under a name of its own. Raises Failure (config) for what is no
    // pointer, or for a name that is another field's already.
    std::size_t add_pointer(std::string_view name, std::string_view pointer);
    std::size_t size() const { return names_.size(); }
    const std::string& name(std::size_t field) const { return names_[field]; }
    std::optional<std::size_t> find(std::string_view name) const;
    // From now on members that aren't known become no fields.
    void close() { is_closed_ = true; }
    // True if the rows' member of that name is a field, whole.
    bool takes_member(std::string_view name) const {
        const auto found = by_member_.find(name);
        return found != by_member_.end() && !members_[found->second].fields.empty();
    }

    // What a row's member of one name gives; for Page.
    struct Deep {
        std::size_t field;
        std::vector<std::string> tokens;  // from the member's value on
    };
    struct Member {
        std::string name;
        std::vector<std::size_t> fields;  // that have its value
        std::vector<Deep> deep;           // that have a value inside of it
        std::size_t next = 0;             // the member that came after it last time
        std::uint64_t row = 0;            // the last row that had it
    };
    // The number of the member, which is probably `guess`; one that is new becomes a field, or `none` when they are
    // closed. Raises Failure (source) where there are more of them than a table can have columns.
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::size_t member(std::string_view name, std::size_t guess);
    Member& operator[](std::size_t member) { return members_[member]; }
    // The number of a member that was seen or declared; `none` for others.
    std::size_t known_member(std::string_view name) const {
        const auto found = by_member_.find(name);
        return found == by_member_.end() ? none : found->second;
    }
    // The member that came after `member` last time; of none: at the front of a row.
    std::size_t& guess_after(std::size_t member) { return member == none ? first_ : members_[member].next; }
    std::uint64_t next_row() { return ++row_; }

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    template <typename Value>
    using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

    std::size_t new_field(std::string_view name);
    std::size_t member_entry(std::string_view name);

    std::vector<std::string> names_;
    ByName<std::size_t> by_name_;
    std::vector<Member> members_;
    ByName<std::size_t> by_member_;
    std::uint64_t row_ = 0;
    std::size_t first_ = 0;
    bool is_closed_ = false;
};

}  // namespace insync::rest

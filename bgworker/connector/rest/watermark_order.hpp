// Which of two watermarks of a source is later, and where the source's clock stands among them.
//
// A watermark is kept in the source's own form. Its kind is known with the first one: a time, a number, a number that
// is a time (`epoch`, option watermark_format), or a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bgworker/clock/watermark_literal.hpp"

namespace insync::rest {

class WatermarkOrder {
  public:
    WatermarkOrder() = default;
    // `zone_offset_s`: by how much times without a zone are ahead of UTC, where that is known.
    WatermarkOrder(std::string epoch, std::optional<std::int64_t> zone_offset_s)
        : epoch_(std::move(epoch)), zone_offset_s_(zone_offset_s) {}

    WatermarkKind kind() const { return kind_; }
    void set_kind(WatermarkKind kind) { kind_ = kind; }
    WatermarkKind kind_of(bool is_number, std::string_view literal) const;
    const std::string& epoch() const { return epoch_; }
    bool is_time() const { return kind_ == WatermarkKind::time || !epoch_.empty(); }

    bool is_later(const std::string& left, const std::string& right) const;
    // Later than anything that was written when the clock showed that; false where the two cannot be compared.
    bool is_beyond(const std::string& literal, const std::optional<std::string>& clock) const;
    // The lower of a watermark and the clock, in the watermark's form. One without a zone may be in a zone that is not
    // known, and is left as it is then: the lookback has to cover what was written meanwhile.
    std::string sooner_of(const std::string& literal, const std::string& clock) const;
    // The watermark less a lookback, in its form; as it is where that cannot be computed.
    std::string less_lookback(const std::string& literal, const std::string& lookback) const;

  private:
    std::optional<std::string> clock_for(const std::string& literal, const std::string& clock) const;

    WatermarkKind kind_ = WatermarkKind::none;
    std::string epoch_;
    std::optional<std::int64_t> zone_offset_s_;
};

}  // namespace insync::rest

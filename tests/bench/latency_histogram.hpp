// Latencies in buckets that grow with the value: 64 per power of two, so a percentile is at most 1.6 % too high.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace actnet::bench {

/// Fixed memory, constant time per value. The unit is the caller's.
class latency_histogram {
 public:
  void record(std::uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    ++total_;
    max_ = std::max(max_, value);
  }

  std::uint64_t count() const noexcept { return total_; }
  std::uint64_t max() const noexcept { return max_; }

  /// The value that `percent` of all recorded ones do not exceed; 0 while nothing is recorded.
  std::uint64_t percentile(double percent) const noexcept {
    const auto wanted = std::max<std::uint64_t>(1, std::llround(percent / 100 * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) >= wanted)
        return std::min(last_value_of(i), max_);
    return max_;
  }

 private:
  static constexpr int bucket_bits = 6;
  static constexpr std::size_t buckets_per_power = 1 << bucket_bits;

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < buckets_per_power)
      return value;
    const auto shift = static_cast<int>(std::bit_width(value)) - 1 - bucket_bits;
    return static_cast<std::size_t>(shift) * buckets_per_power + (value >> shift);
  }

  static std::uint64_t last_value_of(std::size_t bucket) noexcept {
    if (bucket < buckets_per_power)
      return bucket;
    const auto shift = bucket / buckets_per_power - 1;
    return ((bucket % buckets_per_power + buckets_per_power + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (64 - bucket_bits + 1) * buckets_per_power> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

} // namespace actnet::bench
